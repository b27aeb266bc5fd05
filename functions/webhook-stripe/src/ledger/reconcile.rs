//! Compares all stored subscriptions and payments with Stripe.

use std::collections::HashSet;
use std::fmt;

use common::Problem;
use jiff::Timestamp;
use protocol::id::TenantId;
use serde_json::Value;
use stripe::api::{Api, ApiError};
use stripe::event::{DisputeState, InvoiceNews, Malformed, dispute_state, invoice, snapshot};
use stripe::facts::Snapshot;
use uuid::Uuid;

use super::{Ledger, Owner};
use crate::change::{Cause, Change};
use crate::queries::{self, License};

/// Result of comparing a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// `sub_…`; none where the customer as a whole could not be compared.
    pub subscription: Option<String>,
    /// `cus_…`
    pub customer: String,
    /// The license before: plan, seats, standing and end.
    pub before: Option<String>,
    /// The license as Stripe has it.
    pub after: Option<String>,
    /// Why it could not be brought to what Stripe has.
    pub problem: Option<String>,
}

/// A customer as Stripe has it.
struct AtStripe {
    subscriptions: Vec<(String, Snapshot)>,
    invoices: Vec<InvoiceNews>,
    refunds: Vec<Refund>,
    /// Charges that are not refunded in full.
    kept: HashSet<String>,
    disputes: Vec<Dispute>,
}

/// A dispute of a charge.
struct Dispute {
    id: String,
    of: Vec<String>,
    state: DisputeState,
    created: i64,
}

/// A charge that was refunded in full.
struct Refund {
    charge: String,
    of: Vec<String>,
    amount: Option<i64>,
    at: i64,
}

/// Why a customer could not be read from Stripe.
enum Unread {
    /// Stripe gave no answer that could be used, or refused.
    Api(ApiError),
    /// One of the customer's objects is not of the shape that Stripe documents. Other customers' may be.
    Malformed(Malformed),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api(error) => error.fmt(f),
            Self::Malformed(Malformed(what)) => {
                write!(f, "An object that Stripe has of this customer has no usable {what}.")
            }
        }
    }
}

impl From<ApiError> for Unread {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<Malformed> for Unread {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl Ledger {
    /// Compares every customer of these tenants with Stripe, and unless it is only to be shown, brings licenses to what
    /// Stripe has. Answers what differs, or can't be compared.
    ///
    /// # Errors
    /// When Postgres or Stripe doesn't answer; what was compared before stays.
    pub async fn reconcile(
        &self,
        tenants: &[TenantId],
        actor: &str,
        is_applied: bool,
    ) -> Result<Vec<Compared>, Problem> {
        let Some((api, livemode)) = self.api.as_ref().and_then(|api| Some((api, api.livemode()?))) else {
            return Err(Problem::unavailable("Stripe", "STRIPE_API_KEY is not set, or says no mode"));
        };
        let (mut found, mut known) = (Vec::new(), HashSet::new());
        for &tenant in tenants {
            let tx = self.db.tenant("stripe_customers", tenant).await?;
            let [customers] = tx.finish([(queries::CUSTOMERS, &[&livemode])]).await?;
            for row in customers {
                let customer: String = row.get(0);
                let cause = Run { actor, livemode, is_applied };
                found.extend(self.compare_customer(api, tenant, &customer, cause).await?);
                known.insert(customer);
            }
        }
        // A sale whose Checkout event never came has no tenant, and so no customer here.
        for subscription in api.list("/v1/subscriptions", &[]).await.map_err(silent)? {
            let [id, customer] = ["id", "customer"].map(|name| text(&subscription[name]).unwrap_or_default());
            if !known.contains(&customer) {
                let problem = "No event has named this customer. Resend its checkout.session.completed at Stripe.";
                found.push(Compared::problem(Some(id), &customer, problem));
            }
        }
        Ok(found)
    }

    async fn compare_customer(
        &self,
        api: &Api,
        tenant: TenantId,
        customer: &str,
        run: Run<'_>,
    ) -> Result<Vec<Compared>, Problem> {
        let owner = Owner::known(tenant, customer.to_owned(), None);
        let id = format!("reconcile_{}", Uuid::now_v7().simple());
        let at = Timestamp::now().as_second();
        let cause = Cause { id: &id, kind: "stripe reconcile", at, livemode: run.livemode, actor: run.actor };
        let mut tx = self.db.tenant("stripe_known", tenant).await?;
        let Some(before) = Change::load(&mut tx, (queries::TENANT, &[]), cause, &owner).await? else {
            return Ok(Vec::new());
        };
        drop(tx);
        let answer = match ask(api, customer).await {
            Ok(answer) => answer,
            Err(Unread::Api(ApiError::Unreachable(why))) => return Err(Problem::unavailable("Stripe", &why)),
            Err(unread) => return Ok(vec![Compared::problem(None, customer, &unread.to_string())]),
        };
        let comparison = Comparison { owner: &owner, cause, is_applied: run.is_applied, before, at_stripe: answer };
        let mut found = Vec::new();
        // One at a time, so that one which can't follow does not keep the others.
        for (subscription, snapshot) in &comparison.at_stripe.subscriptions {
            found.extend(self.compare_subscription(&comparison, subscription, snapshot).await?);
        }
        Ok(found)
    }

    async fn compare_subscription(
        &self,
        comparison: &Comparison<'_>,
        subscription: &str,
        snapshot: &Snapshot,
    ) -> Result<Option<Compared>, Problem> {
        let Comparison { owner, cause, is_applied, before, at_stripe } = comparison;
        let mut tx = self.db.tenant("stripe_reconcile", owner.tenant).await?;
        let Some(mut change) = Change::load(&mut tx, (queries::TENANT, &[]), *cause, owner).await? else {
            return Ok(None);
        };
        let known = change.state_of(subscription);
        if known != before.state_of(subscription) {
            let problem = "It changed meanwhile. Compare again.";
            return Ok(Some(Compared::problem(Some(subscription.to_owned()), &owner.customer, problem)));
        }
        if !known.is_known() && snapshot.status.is_terminal() {
            return Ok(None);
        }
        let was = shown(change.working(subscription).license.as_ref());
        at_stripe.teach(&mut change, subscription, snapshot, cause.at);
        let (after, mut problem) = match change.wanted(subscription) {
            Ok(wanted) => (shown(wanted.as_ref()), None),
            Err(unfit) => (None, Some(unfit)),
        };
        if *is_applied && problem.is_none() {
            match change.finish(self, tx).await? {
                Ok(changed) => changed.tell(self).await,
                // Another license of the customer, which is written with this one, can't follow.
                Err(unfit) => problem = Some(unfit),
            }
        }
        let differs = problem.is_some() || after != was;
        let (subscription, customer) = (Some(subscription.to_owned()), owner.customer.clone());
        Ok(differs.then_some(Compared { subscription, customer, before: was, after, problem }))
    }
}

/// A customer here and at Stripe.
struct Comparison<'a> {
    owner: &'a Owner,
    cause: Cause<'a>,
    is_applied: bool,
    /// As it was known when Stripe was asked: the answer is not newer than states that became known since.
    before: Change<'a>,
    at_stripe: AtStripe,
}

/// Parameters of a comparison.
#[derive(Clone, Copy)]
struct Run<'a> {
    actor: &'a str,
    livemode: bool,
    is_applied: bool,
}

impl Compared {
    fn problem(subscription: Option<String>, customer: &str, problem: &str) -> Self {
        let problem = Some(problem.to_owned());
        Self { subscription, customer: customer.to_owned(), before: None, after: None, problem }
    }
}

impl AtStripe {
    /// Merges Stripe's state of one subscription into the facts. Known facts are not learned again, so that a refund or dispute
    /// that an operator lifted stays lifted.
    fn teach(&self, change: &mut Change<'_>, subscription: &str, snapshot: &Snapshot, at: i64) {
        change.learn_answer(subscription, snapshot.clone());
        let known = change.working(subscription);
        for news in self.invoices.iter().filter(|news| news.subscription.as_deref() == Some(subscription)) {
            known.learn_invoice(at, news);
        }
        for refund in &self.refunds {
            if !known.facts.has_invoice_of(&refund.of) {
                continue;
            }
            if !known.facts.stands(&refund.charge) || known.facts.lacks_invoice_of(&refund.charge) {
                known.facts.learn_refund(refund.at, &refund.charge, &refund.of, refund.amount);
            }
        }
        for charge in &self.kept {
            if known.facts.stands(charge) {
                known.facts.learn_failed_refund(at, charge, &[]);
            }
        }
        for dispute in &self.disputes {
            if !known.facts.has_invoice_of(&dispute.of) {
                continue;
            }
            let is_taken = matches!(dispute.state, DisputeState::Open | DisputeState::Lost);
            let Dispute { id, of, state, created } = dispute;
            if known.facts.stands(id) != is_taken {
                known.facts.learn_dispute(at, id, of, *state);
            } else if known.facts.lacks_invoice_of(id) {
                known.facts.learn_dispute(*created, id, of, *state);
            }
        }
    }
}

/// All that Stripe has of a customer's subscriptions and payments.
async fn ask(api: &Api, customer: &str) -> Result<AtStripe, Unread> {
    let mut at_stripe = AtStripe {
        subscriptions: Vec::new(),
        invoices: Vec::new(),
        refunds: Vec::new(),
        kept: HashSet::new(),
        disputes: Vec::new(),
    };
    for mut subscription in api.list("/v1/subscriptions", &[("customer", customer), ("status", "all")]).await? {
        let id = text(&subscription["id"])?;
        if subscription["items"]["has_more"] == true {
            subscription = api.subscription(&id).await?.unwrap_or(subscription);
        }
        at_stripe.subscriptions.push((id, snapshot(&subscription)?));
    }
    let expanded = [("customer", customer), ("expand[]", "data.payments")];
    for object in api.list("/v1/invoices", &expanded).await? {
        at_stripe.invoices.push(invoice(&object)?);
    }
    for charge in api.list("/v1/charges", &[("customer", customer)]).await? {
        let id = text(&charge["id"])?;
        let named = [&charge["id"], &charge["payment_intent"], &charge["invoice"]];
        let of: Vec<String> = named.into_iter().filter_map(|value| text(value).ok()).collect();
        if charge["refunded"] == true {
            let refunds = api.list("/v1/refunds", &[("charge", id.as_str())]).await?;
            let at = refunds.iter().filter_map(|refund| refund["created"].as_i64()).max();
            let at = at.or(charge["created"].as_i64()).unwrap_or_default();
            let amount = charge["amount_refunded"].as_i64();
            at_stripe.refunds.push(Refund { charge: id.clone(), of: of.clone(), amount, at });
        } else {
            at_stripe.kept.insert(id.clone());
        }
        if charge["disputed"] == true {
            for dispute in api.list("/v1/disputes", &[("charge", id.as_str())]).await? {
                let state = dispute["status"].as_str().map_or(DisputeState::Open, dispute_state);
                let created = dispute["created"].as_i64().unwrap_or_default();
                at_stripe.disputes.push(Dispute { id: text(&dispute["id"])?, of: of.clone(), state, created });
            }
        }
    }
    Ok(at_stripe)
}

/// An id, also of an expanded object.
fn text(value: &Value) -> Result<String, Malformed> {
    let id = value.as_str().or_else(|| value["id"].as_str());
    id.map(str::to_owned).ok_or(Malformed("id"))
}

fn silent(error: ApiError) -> Problem {
    Problem::unavailable("Stripe", error.to_string())
}

/// A license in a line.
fn shown(license: Option<&License>) -> Option<String> {
    license.map(|license| {
        let end = license.expires_at.and_then(|at| Timestamp::from_second(at).ok());
        let end = end.map_or_else(|| "no end".to_owned(), |end| format!("ends {end}"));
        format!("{} × {}, {}, {end}", license.plan, license.seats, license.standing)
    })
}
