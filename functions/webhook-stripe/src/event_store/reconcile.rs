//! Compares all stored subscriptions and payments with Stripe.

use std::collections::HashSet;
use std::fmt;

use common::Problem;
use jiff::Timestamp;
use protocol::id::TenantId;
use serde_json::Value;
use stripe::api::{Api, ApiError};
use stripe::event::{Malformed, ParsedInvoice, dispute_state, invoice, snapshot};
use stripe::facts::{DisputeState, Snapshot};
use uuid::Uuid;

use super::EventStore;
use crate::customer_update::commit::CommitOutcome;
use crate::customer_update::{Cause, CustomerUpdate};
use crate::owner::Owner;
use crate::queries::{self, License};

/// A difference between a stored subscription and Stripe's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// `sub_…`; `None` where the customer as a whole could not be compared.
    pub subscription: Option<String>,
    /// `cus_…`
    pub customer: String,
    /// The license before: plan, seats, standing and end.
    pub before: Option<String>,
    /// The license as Stripe has it.
    pub after: Option<String>,
    /// The reason why the license could not be updated to what Stripe has.
    pub problem: Option<String>,
}

/// A customer as Stripe has it.
struct StripeCustomer {
    subscriptions: Vec<(String, Snapshot)>,
    invoices: Vec<ParsedInvoice>,
    refunds: Vec<Refund>,
    /// Charges that are not refunded in full.
    unrefunded: HashSet<String>,
    disputes: Vec<Dispute>,
}

/// A dispute of a charge.
struct Dispute {
    id: String,
    payment_ids: Vec<String>,
    state: DisputeState,
    created: i64,
}

/// A charge that was refunded in full.
struct Refund {
    charge: String,
    payment_ids: Vec<String>,
    amount: Option<i64>,
    at: i64,
}

/// Error of fetching a customer from Stripe.
enum FetchError {
    /// Stripe gave no answer that could be used, or refused.
    Api(ApiError),
    /// One of the customer's objects is not of the shape that Stripe documents. Other customers' may be.
    Malformed(Malformed),
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api(error) => error.fmt(f),
            Self::Malformed(Malformed(what)) => {
                write!(f, "An object that Stripe has of this customer has no usable {what}.")
            }
        }
    }
}

impl From<ApiError> for FetchError {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<Malformed> for FetchError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl EventStore {
    /// Compares every customer of these tenants with Stripe, and where `is_applied`, updates licenses to what Stripe has. Returns
    /// what differs, or can't be compared.
    ///
    /// # Errors
    /// When Postgres or Stripe doesn't answer; what was compared before stays.
    pub async fn reconcile(
        &self,
        tenants: &[TenantId],
        actor: &str,
        is_applied: bool,
    ) -> Result<Vec<Difference>, Problem> {
        let Some((api, livemode)) = self.api.as_ref().and_then(|api| Some((api, api.livemode()?))) else {
            return Err(Problem::unavailable("Stripe", "STRIPE_API_KEY is not set, or says no mode"));
        };
        let (mut found, mut known) = (Vec::new(), HashSet::new());
        for &tenant in tenants {
            let tx = self.db.tenant("stripe_customers", tenant).await?;
            let [customers] = tx.finish([(queries::CUSTOMERS, &[&livemode])]).await?;
            for row in customers {
                let customer: String = row.get(0);
                let run = ReconcileRun { actor, livemode, is_applied };
                found.extend(self.compare_customer(api, tenant, &customer, run).await?);
                known.insert(customer);
            }
        }
        // A sale whose Checkout event never came has no tenant, and so no customer here.
        for subscription in api.list("/v1/subscriptions", &[]).await.map_err(unavailable)? {
            let [id, customer] = ["id", "customer"].map(|name| id_of(&subscription[name]).unwrap_or_default());
            if !known.contains(&customer) {
                let problem = "No event has named this customer. Resend its checkout.session.completed at Stripe.";
                found.push(Difference::problem(Some(id), &customer, problem));
            }
        }
        Ok(found)
    }

    async fn compare_customer(
        &self,
        api: &Api,
        tenant: TenantId,
        customer: &str,
        run: ReconcileRun<'_>,
    ) -> Result<Vec<Difference>, Problem> {
        let owner = Owner::known(tenant, customer.to_owned(), None);
        let id = format!("reconcile_{}", Uuid::now_v7().simple());
        let at = Timestamp::now().as_second();
        let cause = Cause { id: &id, kind: "stripe reconcile", at, livemode: run.livemode, actor: run.actor };
        let mut tx = self.db.tenant("stripe_known", tenant).await?;
        let Some(before) = CustomerUpdate::load(&mut tx, (queries::TENANT, &[]), cause, &owner).await? else {
            return Ok(Vec::new());
        };
        drop(tx);
        let stripe_customer = match fetch_customer(api, customer).await {
            Ok(stripe_customer) => stripe_customer,
            Err(FetchError::Api(ApiError::Unreachable(why))) => return Err(Problem::unavailable("Stripe", &why)),
            Err(error) => return Ok(vec![Difference::problem(None, customer, &error.to_string())]),
        };
        let comparison = Comparison { owner: &owner, cause, is_applied: run.is_applied, before, stripe_customer };
        let mut found = Vec::new();
        // One at a time, so that one which can't be updated does not prevent the others.
        for (subscription, snapshot) in &comparison.stripe_customer.subscriptions {
            found.extend(self.compare_subscription(&comparison, subscription, snapshot).await?);
        }
        Ok(found)
    }

    async fn compare_subscription(
        &self,
        comparison: &Comparison<'_>,
        subscription: &str,
        snapshot: &Snapshot,
    ) -> Result<Option<Difference>, Problem> {
        let Comparison { owner, cause, is_applied, before, stripe_customer } = comparison;
        let mut tx = self.db.tenant("stripe_reconcile", owner.tenant).await?;
        let Some(mut update) = CustomerUpdate::load(&mut tx, (queries::TENANT, &[]), *cause, owner).await? else {
            return Ok(None);
        };
        let known = update.state_of(subscription);
        if known != before.state_of(subscription) {
            let problem = "It changed meanwhile. Compare again.";
            return Ok(Some(Difference::problem(Some(subscription.to_owned()), &owner.customer, problem)));
        }
        if !known.is_known() && snapshot.status.is_terminal() {
            return Ok(None);
        }
        let stored = describe(update.subscription_mut(subscription).license.as_ref());
        stripe_customer.merge_into(&mut update, subscription, snapshot, cause.at);
        let (after, mut problem) = match update.wanted(subscription) {
            Ok(wanted) => (describe(wanted.as_ref()), None),
            Err(error) => (None, Some(error)),
        };
        if *is_applied && problem.is_none() {
            match update.commit(&self.hasher, tx).await? {
                CommitOutcome::Committed(update) => update.publish(&self.db, &self.seats).await,
                // Another license of the customer, which is written with this one, can't be derived.
                CommitOutcome::Rejected(error) => problem = Some(error),
            }
        }
        let differs = problem.is_some() || after != stored;
        let (subscription, customer) = (Some(subscription.to_owned()), owner.customer.clone());
        Ok(differs.then_some(Difference { subscription, customer, before: stored, after, problem }))
    }
}

/// A customer as it is stored, and as Stripe has it.
struct Comparison<'a> {
    owner: &'a Owner,
    cause: Cause<'a>,
    is_applied: bool,
    /// As it was known before Stripe's answer, which is not newer than states that became known since.
    before: CustomerUpdate<'a>,
    stripe_customer: StripeCustomer,
}

/// Parameters of a comparison.
#[derive(Clone, Copy)]
struct ReconcileRun<'a> {
    actor: &'a str,
    livemode: bool,
    is_applied: bool,
}

impl Difference {
    fn problem(subscription: Option<String>, customer: &str, problem: &str) -> Self {
        let problem = Some(problem.to_owned());
        Self { subscription, customer: customer.to_owned(), before: None, after: None, problem }
    }
}

impl StripeCustomer {
    /// Merges Stripe's state of one subscription into the facts. Known facts are not merged again, so that a refund or dispute
    /// that an operator lifted stays lifted.
    fn merge_into(&self, update: &mut CustomerUpdate<'_>, subscription: &str, snapshot: &Snapshot, at: i64) {
        update.merge_fetched(subscription, snapshot.clone());
        let known = update.subscription_mut(subscription);
        for invoice in self.invoices.iter().filter(|invoice| invoice.subscription.as_deref() == Some(subscription)) {
            known.merge_invoice(at, invoice);
        }
        for refund in &self.refunds {
            if !known.facts.has_invoice_of(&refund.payment_ids) {
                continue;
            }
            if !known.facts.has_reversal(&refund.charge) || known.facts.lacks_invoice_of(&refund.charge) {
                known.facts.merge_refund(refund.at, &refund.charge, &refund.payment_ids, refund.amount);
            }
        }
        for charge in &self.unrefunded {
            if known.facts.has_reversal(charge) {
                known.facts.merge_failed_refund(at, charge, &[]);
            }
        }
        for dispute in &self.disputes {
            if !known.facts.has_invoice_of(&dispute.payment_ids) {
                continue;
            }
            let is_withdrawn = matches!(dispute.state, DisputeState::Open | DisputeState::Lost);
            let Dispute { id, payment_ids, state, created } = dispute;
            if known.facts.has_reversal(id) != is_withdrawn {
                known.facts.merge_dispute(at, id, payment_ids, *state);
            } else if known.facts.lacks_invoice_of(id) {
                known.facts.merge_dispute(*created, id, payment_ids, *state);
            }
        }
    }
}

/// Fetches a customer's subscriptions and payments.
async fn fetch_customer(api: &Api, customer: &str) -> Result<StripeCustomer, FetchError> {
    let mut stripe_customer = StripeCustomer {
        subscriptions: Vec::new(),
        invoices: Vec::new(),
        refunds: Vec::new(),
        unrefunded: HashSet::new(),
        disputes: Vec::new(),
    };
    for mut subscription in api.list("/v1/subscriptions", &[("customer", customer), ("status", "all")]).await? {
        let id = id_of(&subscription["id"])?;
        if subscription["items"]["has_more"] == true {
            subscription = api.subscription(&id).await?.unwrap_or(subscription);
        }
        stripe_customer.subscriptions.push((id, snapshot(&subscription)?));
    }
    let expanded = [("customer", customer), ("expand[]", "data.payments")];
    for object in api.list("/v1/invoices", &expanded).await? {
        stripe_customer.invoices.push(invoice(&object)?);
    }
    for charge in api.list("/v1/charges", &[("customer", customer)]).await? {
        let id = id_of(&charge["id"])?;
        let named = [&charge["id"], &charge["payment_intent"], &charge["invoice"]];
        let payment_ids: Vec<String> = named.into_iter().filter_map(|value| id_of(value).ok()).collect();
        if charge["refunded"] == true {
            let refunds = api.list("/v1/refunds", &[("charge", id.as_str())]).await?;
            let at = refunds.iter().filter_map(|refund| refund["created"].as_i64()).max();
            let at = at.or(charge["created"].as_i64()).unwrap_or_default();
            let amount = charge["amount_refunded"].as_i64();
            stripe_customer.refunds.push(Refund { charge: id.clone(), payment_ids: payment_ids.clone(), amount, at });
        } else {
            stripe_customer.unrefunded.insert(id.clone());
        }
        if charge["disputed"] == true {
            for dispute in api.list("/v1/disputes", &[("charge", id.as_str())]).await? {
                let state = dispute["status"].as_str().map_or(DisputeState::Open, dispute_state);
                let created = dispute["created"].as_i64().unwrap_or_default();
                stripe_customer.disputes.push(Dispute {
                    id: id_of(&dispute["id"])?,
                    payment_ids: payment_ids.clone(),
                    state,
                    created,
                });
            }
        }
    }
    Ok(stripe_customer)
}

/// Returns an id, also of an expanded object.
fn id_of(value: &Value) -> Result<String, Malformed> {
    let id = value.as_str().or_else(|| value["id"].as_str());
    id.map(str::to_owned).ok_or(Malformed("id"))
}

fn unavailable(error: ApiError) -> Problem {
    Problem::unavailable("Stripe", error.to_string())
}

/// Describes a license in a line.
fn describe(license: Option<&License>) -> Option<String> {
    license.map(|license| {
        let end = license.expires_at.and_then(|at| Timestamp::from_second(at).ok());
        let end = end.map_or_else(|| "no end".to_owned(), |end| format!("ends {end}"));
        format!("{} × {}, {}, {end}", license.plan, license.seats, license.standing)
    })
}
