//! The known state of a subscription, merged so that the order of events does not matter, and the license that follows from it.
//!
//! [`Facts`] is a join-semilattice: each event adds a fact, each fact is stored as the greatest of its kind in a total order,
//! so that the same events give the same facts in whatever order and however often they come. [`Facts::terms`] then derives
//! the license from the facts and the catalogue alone.
//!
//! Money belongs to an invoice ([`Invoice`]), an invoice to the periods of its lines, a period to an item. The newest
//! invoice that is not void decides the standing between two states of the subscription; the base item's period bounds
//! the license; a refund or dispute (`reversal`) counts while it takes back what the current period was paid with.
//!
//! The order of a subscription's states is by when their events were made. Within one second, which is the resolution of
//! Stripe's timestamps, by the stage of the lifecycle, then by the status. That is a guess, and reported as one, so that the
//! caller can fetch the subscription from Stripe.

mod invoice;
mod reversal;
mod terms;
mod unpaid_period;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use invoice::{Invoice, InvoiceStatus};
pub use reversal::DisputeState;
use reversal::{DisputeStatus, Reversals};
pub use terms::{Catalogue, ItemsError, Price, PriceKind, Standing, Terms};
use unpaid_period::{UnpaidPeriod, UnpaidPeriods};

/// A subscription's status (<https://docs.stripe.com/api/subscriptions/object#subscription_object-status>), in the order of
/// its lifecycle, which decides between states of the same second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The first payment is not made yet.
    Incomplete,
    /// Not paying yet.
    Trialing,
    /// A trial ended without a way to pay.
    Paused,
    /// Paying.
    Active,
    /// A payment failed, Stripe tries again.
    PastDue,
    /// Stripe gave up trying.
    Unpaid,
    /// The first payment was never made.
    IncompleteExpired,
    /// Over.
    Canceled,
}

impl Status {
    /// Returns true if no other status follows.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Canceled | Self::IncompleteExpired)
    }
}

/// Stage of a subscription's lifecycle at an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The first event.
    Created,
    /// Any but the first and last.
    Updated,
    /// The last event.
    Deleted,
    /// Not an event: fetched from Stripe's API, and so at least as new as the event that was the reason for it.
    #[serde(rename = "asked")]
    Fetched,
}

/// A subscription at one time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its status.
    pub status: Status,
    /// The paid items.
    pub items: Vec<Item>,
    /// True if there are more items than the event shows.
    #[serde(default)]
    pub more_items: bool,
    /// When the current period ends, in seconds since 1970.
    pub period_end: Option<i64>,
    /// When the subscription is to end, in seconds since 1970.
    pub cancel_at: Option<i64>,
    /// True if the subscription is to end with the period.
    pub cancel_at_period_end: bool,
    /// When it ended, in seconds since 1970.
    pub ended_at: Option<i64>,
    /// When the trial ends, in seconds since 1970.
    pub trial_end: Option<i64>,
    /// Collection is paused, and service with it.
    pub pause_void: bool,
}

/// A price and its quantity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Item {
    /// `price_…`
    pub price: String,
    /// The quantity.
    pub quantity: u32,
    /// The item's period, in seconds since 1970. Each item has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<(i64, i64)>,
}

/// Outcome of an invoice, as an older release stored it; the greater wins a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LegacyOutcome {
    /// The payment failed.
    Failed,
    /// The customer has to confirm the payment.
    ActionRequired,
    /// Paid.
    Paid,
}

/// A snapshot with its order among others, which is that of the fields.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct OrderedSnapshot {
    terminal: bool,
    at: i64,
    stage: Stage,
    snapshot: Snapshot,
}

/// The newest known state of a subscription, to be compared with a later one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownState(Option<OrderedSnapshot>);

impl KnownState {
    /// Checks whether any state of the subscription is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.0.is_some()
    }
}

/// An invoice's outcome and when, as an older release stored it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct LegacyPayment {
    at: i64,
    outcome: LegacyOutcome,
}

/// Invoices, periods that were not paid, refunds and disputes. Stored apart from the rest, which an older release writes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct PaymentFacts {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    invoices: BTreeMap<String, Invoice>,
    #[serde(rename = "debts", skip_serializing_if = "UnpaidPeriods::is_empty")]
    unpaid_periods: UnpaidPeriods,
    #[serde(flatten)]
    reversals: Reversals,
}

/// The known facts of a subscription.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    newest: Option<OrderedSnapshot>,
    /// When a state last reported that all is paid.
    settled_at: Option<i64>,
    /// Checkout ended before the payment was through.
    checkout_unpaid: bool,
    /// Checkout's payment is through.
    checkout_paid: bool,
    payments: PaymentFacts,
    // The rest is read as an older release stored it, and never changed: that had no invoices.
    payment: Option<LegacyPayment>,
    charged_at: Option<i64>,
    unpaid: BTreeMap<i64, i64>,
    refunds: BTreeMap<String, i64>,
    disputes: BTreeMap<String, DisputeStatus>,
}

impl Facts {
    /// Merges the end of a checkout. `is_paid`: the payment is through.
    pub fn merge_checkout(&mut self, is_paid: bool) {
        self.checkout_paid |= is_paid;
        self.checkout_unpaid |= !is_paid;
    }

    /// Merges a state. Returns false if a guess decides which of two states of the same second is newer.
    pub fn merge_snapshot(&mut self, at: i64, stage: Stage, snapshot: Snapshot) -> bool {
        if matches!(snapshot.status, Status::Active | Status::Trialing) {
            self.settled_at = self.settled_at.max(Some(at));
        }
        self.payments.unpaid_periods.merge(at, &snapshot);
        let terminal = snapshot.status.is_terminal();
        let reported = OrderedSnapshot { terminal, at, stage, snapshot };
        let Some(known) = &self.newest else {
            self.newest = Some(reported);
            return true;
        };
        let is_same = known.snapshot == reported.snapshot;
        let is_certain = is_same || known.at != at || known.terminal != terminal || stage == Stage::Fetched;
        if reported > *known {
            self.newest = Some(reported);
        }
        is_certain
    }

    /// Merges a state that was fetched from Stripe because of an event of this time. It is newer than all that is known.
    pub fn merge_fetched(&mut self, at: i64, snapshot: Snapshot) {
        let at = self.newest.as_ref().map_or(at, |known| known.at.max(at));
        // One that was fetched earlier in the same second was true then.
        if self.newest.as_ref().is_some_and(|known| known.stage == Stage::Fetched && known.at == at) {
            self.newest = None;
        }
        self.merge_snapshot(at, Stage::Fetched, snapshot);
    }

    /// Merges an invoice as an event of this time, or Stripe's API, has it.
    pub fn merge_invoice(&mut self, at: i64, id: &str, invoice: Invoice) {
        let known = self.payments.invoices.entry(id.to_owned()).or_default();
        known.merge(Invoice { seen: Some(at), ..invoice });
    }

    /// Returns the newest state.
    pub fn state(&self) -> KnownState {
        KnownState(self.newest.clone())
    }

    /// Checks whether any state of the subscription is known.
    pub fn has_snapshot(&self) -> bool {
        self.newest.is_some()
    }

    /// Returns true if the event of the newest state showed only some of the items.
    pub fn lacks_items(&self) -> bool {
        self.newest.as_ref().is_some_and(|known| known.snapshot.more_items)
    }

    /// Returns the prices of the newest state that the catalogue lacks.
    pub fn unknown_prices<'a>(&'a self, catalogue: &'a Catalogue) -> impl Iterator<Item = &'a str> {
        let items = self.newest.iter().flat_map(|known| &known.snapshot.items);
        items.map(|item| item.price.as_str()).filter(|price| !catalogue.contains_key(*price))
    }

    /// Returns the value of `subscriptions.status`: Stripe's status as far as the events report it. An invoice decides from its
    /// second on until a state of a later second comes.
    pub fn status(&self) -> Option<Status> {
        let known = self.newest.as_ref()?;
        let status = known.snapshot.status;
        Some(match status {
            // The state that follows may come later than the invoice, or not at all.
            Status::Incomplete | Status::PastDue | Status::Unpaid if self.is_paid_since(known.at) => Status::Active,
            Status::Active if self.is_failed_since(known.at) => Status::PastDue,
            status => status,
        })
    }

    fn has_known_invoices(&self) -> bool {
        self.payments.invoices.values().any(|invoice| invoice.status != InvoiceStatus::Unknown)
    }

    /// Checks whether the newest invoice that is not void was paid, or became the newest, at or after a time.
    fn is_paid_since(&self, since: i64) -> bool {
        if !self.has_known_invoices() {
            return self.payment.is_some_and(|p| p.at >= since && p.outcome == LegacyOutcome::Paid);
        }
        let Some((id, newest)) = self.newest_invoice(|_| true).filter(|(_, newest)| newest.is_paid()) else {
            return false;
        };
        let later_void = self
            .own_invoices()
            .filter(|(other, i)| i.is_void() && creation_order(other, i) > creation_order(id, newest));
        later_void.map(|(_, invoice)| invoice.voided_at).chain([newest.paid_at]).max() >= Some(Some(since))
    }

    /// Checks whether a payment of the newest invoice failed at or after a time, with none since.
    fn is_failed_since(&self, since: i64) -> bool {
        if !self.has_known_invoices() {
            return self.payment.is_some_and(|p| p.at >= since && p.outcome != LegacyOutcome::Paid);
        }
        let newest = self.newest_invoice(|invoice| {
            invoice.status != InvoiceStatus::Draft && (invoice.is_paid() || !invoice.is_for_change())
        });
        newest.is_some_and(|(_, invoice)| {
            matches!(invoice.status, InvoiceStatus::Unknown | InvoiceStatus::Open) && invoice.failed_at >= Some(since)
        })
    }

    /// The invoices that Stripe made for the subscription. One that was made by hand is for no period.
    fn own_invoices(&self) -> impl Iterator<Item = (&String, &Invoice)> {
        self.payments.invoices.iter().filter(|(_, invoice)| !invoice.is_manual())
    }

    /// The newest of the invoices that are not void.
    fn newest_invoice(&self, counts: impl Fn(&Invoice) -> bool) -> Option<(&String, &Invoice)> {
        let counting = self.own_invoices().filter(|(_, invoice)| !invoice.is_void() && counts(invoice));
        counting.max_by_key(|(id, invoice)| creation_order(id, invoice))
    }

    fn was_ever_charged(&self) -> bool {
        let charged = |invoice: &Invoice| invoice.is_paid() && invoice.received() > Some(0);
        self.charged_at.is_some() || self.payments.invoices.values().any(charged)
    }

    /// Returns the license's terms. `None`: nothing was ever paid for, so that there is nothing to license.
    pub fn terms(&self, customer_deleted: bool, catalogue: &Catalogue) -> Option<Terms<'_>> {
        let known = &self.newest.as_ref()?.snapshot;
        let status = self.status()?;
        if matches!(status, Status::Incomplete | Status::IncompleteExpired)
            || (self.checkout_unpaid && !self.checkout_paid && !self.was_ever_charged())
        {
            return None;
        }
        let standing = if let Some(held) = self.held_standing(catalogue) {
            held
        } else if status == Status::Paused || known.pause_void {
            Standing::Inactive
        } else if matches!(status, Status::PastDue | Status::Unpaid) {
            Standing::PastDue
        } else {
            Standing::Good
        };
        Some(Terms {
            items: &known.items,
            more_items: known.more_items,
            standing,
            expires_at: self.expires_at(customer_deleted, catalogue),
        })
    }

    /// When the license ends, in seconds since 1970. A subscription that Stripe calls ended has ended then. Without
    /// payments the license lasts for the first unpaid period, and never a second one: Stripe begins the next period of
    /// a subscription also while it is unpaid.
    fn expires_at(&self, customer_deleted: bool, catalogue: &Catalogue) -> Option<i64> {
        let known = self.newest.as_ref()?;
        let snapshot = &known.snapshot;
        let of_base = |item: &&Item| catalogue.get(&item.price).is_some_and(|price| price.kind == PriceKind::Base);
        let bases = || snapshot.items.iter().filter(of_base);
        let base = bases().filter_map(|item| item.period).min_by_key(|(_, end)| *end);
        let period_end = base.map(|(_, end)| end).or(snapshot.period_end).or(snapshot.ended_at).unwrap_or(known.at);
        let status = self.status()?;
        let first_unpaid = self.first_unpaid_period(catalogue);
        if status == Status::Canceled || customer_deleted {
            let end = match status {
                Status::Canceled => snapshot.ended_at.unwrap_or(known.at),
                _ => snapshot.cancel_at.unwrap_or(period_end),
            };
            return Some(first_unpaid.map_or(end, |period| period.served_until().min(end)));
        }
        let canceled_at = snapshot.cancel_at.or_else(|| snapshot.cancel_at_period_end.then_some(period_end));
        let unpaid_until = match status {
            Status::Unpaid => {
                let is_paid = bases().any(|item| self.has_paid(&item.price, period_end, catalogue));
                let gave_up_at = (!is_paid).then_some(known.at);
                let current = UnpaidPeriod { end: period_end, start: base.map(|(start, _)| start), gave_up_at };
                Some(first_unpaid.unwrap_or(current).served_until())
            }
            Status::PastDue => first_unpaid.map(|period| period.end).filter(|end| *end < period_end),
            _ => None,
        };
        canceled_at.into_iter().chain(unpaid_until).min()
    }
}

/// Returns the sort key of an invoice: when it was created, as far as is known.
fn creation_order<'a>(id: &'a String, invoice: &Invoice) -> (i64, Option<i64>, &'a String) {
    (invoice.created_or_seen(), invoice.seen, id)
}
