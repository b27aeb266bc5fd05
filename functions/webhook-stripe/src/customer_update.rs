//! An update of a customer's subscriptions and licenses, with audit log and outbox, in the transaction of its cause.

pub(crate) mod commit;

use std::collections::HashMap;

use common::outbox::About;
use common::postgres::{Query, TenantTx};
use common::{LogEvent, Problem};
use protocol::wire::Tier;
use stripe::event::{Contact, Event, EventKind, ParsedEvent, ParsedInvoice};
use stripe::facts::{Catalogue, Facts, KnownState, Snapshot};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::owner::Owner;
use crate::queries::{self, License, SubscriptionRow};

/// Cause of an update: an event of Stripe's, or an operator.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cause<'a> {
    pub(crate) id: &'a str,
    pub(crate) kind: &'a str,
    /// In seconds since 1970.
    pub(crate) at: i64,
    pub(crate) livemode: bool,
    /// As the audit log has it.
    pub(crate) actor: &'a str,
}

impl<'a> From<&'a Event> for Cause<'a> {
    fn from(event: &'a Event) -> Self {
        Self { id: &event.id, kind: &event.kind, at: event.created, livemode: event.livemode, actor: "stripe" }
    }
}

/// An update of a customer's stored state. Nothing is written before [`CustomerUpdate::commit`].
pub(crate) struct CustomerUpdate<'a> {
    cause: Cause<'a>,
    owner: &'a Owner,
    subscriptions: Vec<SubscriptionUpdate>,
    email: Option<String>,
    deleted: bool,
    contact: Option<Contact>,
    catalogue: Catalogue,
    tiers: HashMap<String, Tier>,
    statements: Statements,
    /// Logged once the update is committed.
    transitions: Vec<LicenseTransition>,
}

/// A license that begins or stops.
enum LicenseTransition {
    Created(License),
    Stopped(License),
}

impl LicenseTransition {
    fn emit(&self) {
        let by = "stripe";
        match self {
            Self::Created(License { id, plan, seats, .. }) => {
                LogEvent::LicenseCreated { license: *id, plan, by, seats: u64::from(seats.unsigned_abs()) }.emit();
            }
            Self::Stopped(License { id, standing, .. }) => {
                LogEvent::LicenseStopped { license: *id, reason: standing, by }.emit();
            }
        }
    }
}

/// A subscription that is updated.
pub(crate) struct SubscriptionUpdate {
    id: String,
    pub(crate) facts: Facts,
    pub(crate) license: Option<License>,
    is_modified: bool,
    is_new: bool,
    references: Vec<String>,
    /// Mails about the event itself, beside those about the license's change, each with its key in the outbox.
    mails: Vec<(String, About)>,
    /// The charge or dispute by which the event reverses a payment.
    reversal: Option<String>,
    /// Prices that the catalogue lacked before.
    unknown_before: Vec<String>,
}

/// A parameter of a statement.
type Parameter = Box<dyn ToSql + Sync + Send>;

/// Statements with their parameters, to be sent in one round trip.
#[derive(Default)]
struct Statements(Vec<(&'static str, Vec<Parameter>)>);

/// Adds a statement with its parameters; returns the index of its rows.
macro_rules! push_statement {
    ($statements:expr, $sql:expr, $($parameter:expr),+) => {
        $statements.push($sql, vec![$(Box::new($parameter) as Parameter),+])
    };
}
use push_statement;

impl<'a> CustomerUpdate<'a> {
    /// Locks the customer, runs `first`, which writes the event's own row, and loads the stored state. `None` when `first` returns
    /// no row.
    pub(crate) async fn load(
        tx: &mut TenantTx<'static>,
        first: Query<'_>,
        cause: impl Into<Cause<'a>>,
        owner: &'a Owner,
    ) -> Result<Option<Self>, Problem> {
        let customer = &owner.customer;
        let [_, event_rows, subscriptions, customers, prices] = tx
            .run([
                (queries::CUSTOMER_LOCK, &[customer]),
                first,
                (queries::SUBSCRIPTIONS, &[customer]),
                (queries::CUSTOMER, &[customer]),
                (queries::CATALOGUE, &[]),
            ])
            .await?;
        if event_rows.is_empty() {
            return Ok(None);
        }
        let stored: Result<Vec<SubscriptionRow>, _> = subscriptions.iter().map(SubscriptionRow::from_row).collect();
        let stored = stored.map_err(Problem::internal_error)?;
        let tier = |row: &Row| Some((row.get(1), row.get::<_, &str>(4).parse().ok()?));
        let catalogue = queries::catalogue(&prices);
        Ok(Some(Self {
            cause: cause.into(),
            owner,
            subscriptions: stored.into_iter().map(|row| SubscriptionUpdate::from_row(row, &catalogue)).collect(),
            email: customers.first().and_then(|row| row.get(0)),
            deleted: customers.first().is_some_and(|row| row.get(1)),
            contact: None,
            catalogue,
            tiers: prices.iter().filter_map(tier).collect(),
            statements: Statements::default(),
            transitions: Vec::new(),
        }))
    }

    /// Returns the subscription that the event is about: the one that it names, or the customer's only one.
    pub(crate) fn subscription(&self) -> Option<String> {
        self.owner.subscription.clone().or_else(|| match self.subscriptions.as_slice() {
            [only] => Some(only.id.clone()),
            _ => None,
        })
    }

    /// Merges the customer's contact.
    pub(crate) fn merge_contact(&mut self, contact: &Contact, deleted: bool) {
        self.email = contact.email.clone().or(self.email.take());
        self.contact = Some(contact.clone());
        if deleted && !self.deleted {
            self.deleted = true;
            self.subscriptions.iter_mut().for_each(|s| s.is_modified = true);
        }
    }

    /// Merges an event about a subscription, and the invoice of its payment, where that was fetched from Stripe. Returns false if
    /// a guess decides which state is the newest.
    pub(crate) fn merge_event(
        &mut self,
        subscription: &str,
        parsed: &ParsedEvent,
        invoice: Option<&ParsedInvoice>,
    ) -> bool {
        if let EventKind::Checkout { contact, .. } = &parsed.kind {
            self.merge_contact(contact, false);
        }
        let at = self.cause.at;
        let is_guess = self.owner.subscription.is_none();
        let known = self.subscription_mut(subscription);
        // References that are only assumed to be the subscription's are not stored: they may belong to another one's invoice.
        if !is_guess {
            known.references.clone_from(&parsed.references);
        }
        match &parsed.kind {
            EventKind::Subscription { snapshot, trial_will_end: true, .. } => {
                let end =
                    snapshot.trial_end.map(|at| (format!("trial:{subscription}:{at}"), About::TrialEnding { at }));
                known.mails.extend(end);
            }
            EventKind::Invoice { id, failure: Some(failure), .. } => {
                let once = format!("{}:{id}", if failure.action_required { "action" } else { "failed" });
                let (action_required, url) = (failure.action_required, failure.url.clone());
                known.mails.push((once, About::PaymentFailed { action_required, url }));
            }
            EventKind::Refund { charge: id, .. } | EventKind::Dispute { dispute: id, .. } => {
                known.reversal = Some(id.clone())
            }
            _ => {}
        }
        let before = known.facts.state();
        let is_certain = parsed.merge_into(&mut known.facts, at);
        if let Some(invoice) = invoice {
            known.merge_invoice(at, invoice);
        }
        if is_certain && known.facts.state() != before {
            self.clear_rechecks(subscription);
        }
        is_certain
    }

    /// Checks whether the event reverses a payment whose invoice is not known.
    pub(crate) fn lacks_invoice(&mut self, subscription: &str) -> bool {
        let known = self.subscription_mut(subscription);
        known.reversal.as_ref().is_some_and(|id| known.facts.lacks_invoice_of(id))
    }

    /// Merges a subscription as it was fetched from Stripe.
    pub(crate) fn merge_fetched(&mut self, subscription: &str, snapshot: Snapshot) {
        let at = self.cause.at;
        self.subscription_mut(subscription).facts.merge_fetched(at, snapshot);
        self.clear_rechecks(subscription);
    }

    /// Returns the newest known state of a subscription.
    pub(crate) fn state_of(&self, subscription: &str) -> KnownState {
        let known = self.subscriptions.iter().find(|s| s.id == subscription);
        known.map(|s| s.facts.state()).unwrap_or_default()
    }

    /// Returns true if the events so far lack a part of the state.
    pub(crate) fn is_incomplete(&mut self, subscription: &str) -> bool {
        let facts = &self.subscription_mut(subscription).facts;
        !facts.has_snapshot() || facts.lacks_items()
    }

    /// Marks the event, so that its subscription is compared with Stripe later.
    pub(crate) fn mark_for_recheck(&mut self, subscription: &str) {
        let event = self.cause.id.to_owned();
        push_statement!(self.statements, queries::EVENT_RECHECK, event, Some(subscription.to_owned()));
    }

    fn clear_rechecks(&mut self, subscription: &str) {
        push_statement!(self.statements, queries::EVENTS_COMPARED, subscription.to_owned());
    }

    /// Lifts the holds of refunds and disputes on a subscription's license; returns their ids.
    pub(crate) fn lift(&mut self, subscription: &str) -> Vec<String> {
        let catalogue = std::mem::take(&mut self.catalogue);
        let lifted = self.subscription_mut(subscription).facts.lift(&catalogue);
        self.catalogue = catalogue;
        lifted
    }

    /// Returns a subscription, to be modified. One that isn't stored is added.
    pub(crate) fn subscription_mut(&mut self, subscription: &str) -> &mut SubscriptionUpdate {
        let place = self.subscriptions.iter().position(|s| s.id == subscription).unwrap_or_else(|| {
            self.subscriptions.push(SubscriptionUpdate::new(subscription));
            self.subscriptions.len() - 1
        });
        let subscription = &mut self.subscriptions[place];
        subscription.is_modified = true;
        subscription
    }
}

impl SubscriptionUpdate {
    fn new(id: &str) -> Self {
        Self::from_parts(id.to_owned(), Facts::default(), None, true)
    }

    fn from_row(row: SubscriptionRow, catalogue: &Catalogue) -> Self {
        let unknown_before = row.facts.unknown_prices(catalogue).map(str::to_owned).collect();
        Self { unknown_before, ..Self::from_parts(row.id, row.facts, row.license, false) }
    }

    fn from_parts(id: String, facts: Facts, license: Option<License>, is_new: bool) -> Self {
        Self {
            id,
            facts,
            license,
            is_modified: false,
            is_new,
            references: Vec::new(),
            mails: Vec::new(),
            reversal: None,
            unknown_before: Vec::new(),
        }
    }

    /// Merges an invoice; its id and its payments are references to the subscription from then on.
    pub(crate) fn merge_invoice(&mut self, at: i64, invoice: &ParsedInvoice) {
        self.facts.merge_invoice(at, &invoice.id, invoice.invoice.clone());
        self.references.push(invoice.id.clone());
        self.references.extend(invoice.payments.iter().cloned());
    }
}

impl Statements {
    fn push(&mut self, sql: &'static str, parameters: Vec<Parameter>) -> usize {
        self.0.push((sql, parameters));
        self.0.len() - 1
    }

    /// Sends the statements and commits, in one round trip.
    async fn commit(&self, tx: TenantTx<'static>) -> Result<Vec<Vec<Row>>, Problem> {
        let values: Vec<Vec<&(dyn ToSql + Sync)>> = self
            .0
            .iter()
            .map(|(_, values)| values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect())
            .collect();
        let queries: Vec<Query<'_>> = self.0.iter().zip(&values).map(|((sql, _), v)| (*sql, v.as_slice())).collect();
        tx.finish_all(&queries).await
    }
}
