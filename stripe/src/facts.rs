//! The known state of a subscription, merged so that the order of events does not matter, and the license that follows from it.
//!
//! [`Facts`] is a join-semilattice: each event adds a fact, each fact is kept as the greatest of its kind in a total order,
//! so that the same events give the same facts in whatever order and however often they come. [`Facts::terms`] then reads
//! the license off the facts and the catalogue alone.
//!
//! Money belongs to an invoice ([`Invoice`]), an invoice to the periods of its lines, a period to an item. The newest
//! invoice that is not void decides the standing between two states of the subscription; the base item's period bounds
//! the license; a refund or dispute counts while it takes back what the current period was paid with (`taking`).
//!
//! The order of a subscription's states is by when their events were made. Within one second, which is the resolution of
//! Stripe's timestamps, by the stage of life, then by the status; that is a guess, so it is reported as one, and callers that
//! can ask Stripe.

mod arrears;
mod invoice;
mod taking;
mod terms;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::News;

use arrears::{Debt, Debts};
pub use invoice::{Invoice, InvoiceStatus};
use taking::{Dispute, Takings};
pub use terms::{Catalogue, Price, PriceKind, Standing, Terms, Unfit};

/// A subscription's status (<https://docs.stripe.com/api/subscriptions/object#subscription_object-status>), in the order of
/// a life, which decides between states of the same second.
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

/// Stage of a subscription's life at an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The first event.
    Created,
    /// Any but the first and last.
    Updated,
    /// The last event.
    Deleted,
    /// Not an event: asked for at Stripe, and so at least as new as the event that made us ask.
    Asked,
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

/// Outcome of an invoice, as an older release kept it; the greater wins a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// The payment failed.
    Failed,
    /// The customer has to confirm the payment.
    ActionRequired,
    /// Paid.
    Paid,
}

/// A snapshot with its order among others, which is that of the fields.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Stamped {
    terminal: bool,
    at: i64,
    stage: Stage,
    snapshot: Snapshot,
}

/// The newest known state of a subscription, to be compared with a later one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State(Option<Stamped>);

impl State {
    /// Checks whether any state of the subscription is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.0.is_some()
    }
}

/// An invoice's outcome and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Payment {
    at: i64,
    outcome: Outcome,
}

/// Invoices, periods that were not paid, refunds and disputes. Kept apart from the rest, which an older release writes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Money {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    invoices: BTreeMap<String, Invoice>,
    #[serde(skip_serializing_if = "Debts::is_empty")]
    debts: Debts,
    #[serde(flatten)]
    takings: Takings,
}

/// The known facts of a subscription.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    newest: Option<Stamped>,
    /// When a state last said that all is paid.
    settled_at: Option<i64>,
    /// Checkout ended before the payment was through.
    checkout_unpaid: bool,
    /// Checkout's payment is through.
    checkout_paid: bool,
    #[serde(rename = "payments")]
    money: Money,
    // The rest is read as an older release left it, and never written: it knew no invoices.
    payment: Option<Payment>,
    charged_at: Option<i64>,
    unpaid: BTreeMap<i64, i64>,
    refunds: BTreeMap<String, i64>,
    disputes: BTreeMap<String, Dispute>,
}

impl Facts {
    /// Merges an event of this time. `false`: another state of the same second is known, and which of them is newer can only be
    /// guessed.
    pub fn learn(&mut self, at: i64, news: &News, names: &[String]) -> bool {
        let invoices = names.iter().filter(|id| id.starts_with("in_"));
        match news {
            News::Checkout { paid, snapshot, .. } => {
                self.checkout_paid |= *paid;
                self.checkout_unpaid |= !*paid;
                invoices.for_each(|id| self.learn_invoice(at, id, Invoice::default()));
                snapshot.as_ref().is_none_or(|s| self.learn_snapshot(at, Stage::Created, s.clone()))
            }
            News::Subscription { snapshot, stage, .. } => {
                invoices.for_each(|id| self.learn_invoice(at, id, Invoice::default()));
                self.learn_snapshot(at, *stage, snapshot.clone())
            }
            News::Invoice { id, invoice, .. } => {
                self.learn_invoice(at, id, invoice.clone());
                true
            }
            News::Refund { charge, amount } => {
                self.learn_refund(at, charge, names, *amount);
                true
            }
            News::RefundFailed { charge } => {
                self.learn_failed_refund(at, charge, names);
                true
            }
            News::Dispute { dispute, state } => {
                self.learn_dispute(at, dispute, names, *state);
                true
            }
            News::Customer { .. } => true,
        }
    }

    /// Learns a state. `false`: another state of the same second is known, and which of them is newer can only be guessed.
    pub fn learn_snapshot(&mut self, at: i64, stage: Stage, snapshot: Snapshot) -> bool {
        if matches!(snapshot.status, Status::Active | Status::Trialing) {
            self.settled_at = self.settled_at.max(Some(at));
        }
        self.money.debts.learn(at, &snapshot);
        let terminal = snapshot.status.is_terminal();
        let learned = Stamped { terminal, at, stage, snapshot };
        let Some(known) = &self.newest else {
            self.newest = Some(learned);
            return true;
        };
        let alike = known.snapshot == learned.snapshot;
        let decided = alike || known.at != at || known.terminal != terminal || stage == Stage::Asked;
        if learned > *known {
            self.newest = Some(learned);
        }
        decided
    }

    /// Learns what Stripe answered when it was asked because of an event of this time. It is newer than all that is known.
    pub fn learn_answer(&mut self, at: i64, snapshot: Snapshot) {
        let at = self.newest.as_ref().map_or(at, |known| known.at.max(at));
        // The answer to an earlier question, in the same second, was true then.
        if self.newest.as_ref().is_some_and(|known| known.stage == Stage::Asked && known.at == at) {
            self.newest = None;
        }
        self.learn_snapshot(at, Stage::Asked, snapshot);
    }

    /// Learns what an event of this time, or Stripe's answer, says of an invoice.
    pub fn learn_invoice(&mut self, at: i64, id: &str, invoice: Invoice) {
        let known = self.money.invoices.entry(id.to_owned()).or_default();
        known.join(Invoice { seen: Some(at), ..invoice });
    }

    /// The newest state.
    pub fn state(&self) -> State {
        State(self.newest.clone())
    }

    /// Checks whether any state of the subscription is known.
    pub fn has_snapshot(&self) -> bool {
        self.newest.is_some()
    }

    /// Returns true if the known state lacks items that only Stripe has.
    pub fn lacks_items(&self) -> bool {
        self.newest.as_ref().is_some_and(|known| known.snapshot.more_items)
    }

    /// Returns the prices of the newest state that the catalogue lacks.
    pub fn unknown_prices<'a>(&'a self, catalogue: &'a Catalogue) -> impl Iterator<Item = &'a str> {
        let items = self.newest.iter().flat_map(|known| &known.snapshot.items);
        items.map(|item| item.price.as_str()).filter(|price| !catalogue.contains_key(*price))
    }

    /// Returns the value of `subscriptions.status`: Stripe's word, as far as events went. An invoice decides
    /// from its second on until a state of a later second comes.
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

    fn knows_invoices(&self) -> bool {
        self.money.invoices.values().any(|invoice| invoice.status != InvoiceStatus::Unknown)
    }

    /// Checks whether the newest invoice that is not void was paid, or became the newest, at or after a time.
    fn is_paid_since(&self, since: i64) -> bool {
        if !self.knows_invoices() {
            return self.payment.is_some_and(|p| p.at >= since && p.outcome == Outcome::Paid);
        }
        let Some((id, newest)) = self.newest_invoice(|_| true).filter(|(_, newest)| newest.is_paid()) else {
            return false;
        };
        let later_void = self.own_invoices().filter(|(other, i)| i.is_void() && age(other, i) > age(id, newest));
        later_void.map(|(_, invoice)| invoice.voided_at).chain([newest.paid_at]).max() >= Some(Some(since))
    }

    /// Checks whether a payment of the newest invoice failed at or after a time, with none since.
    fn is_failed_since(&self, since: i64) -> bool {
        if !self.knows_invoices() {
            return self.payment.is_some_and(|p| p.at >= since && p.outcome != Outcome::Paid);
        }
        let newest = self.newest_invoice(|invoice| {
            invoice.status != InvoiceStatus::Draft && (invoice.is_paid() || !invoice.is_for_change())
        });
        newest.is_some_and(|(_, invoice)| {
            matches!(invoice.status, InvoiceStatus::Unknown | InvoiceStatus::Open) && invoice.failed_at >= Some(since)
        })
    }

    /// The invoices that Stripe made for the subscription. One that was made by hand says nothing of a period.
    fn own_invoices(&self) -> impl Iterator<Item = (&String, &Invoice)> {
        self.money.invoices.iter().filter(|(_, invoice)| !invoice.is_by_hand())
    }

    /// The newest of the invoices that are not void.
    fn newest_invoice(&self, counts: impl Fn(&Invoice) -> bool) -> Option<(&String, &Invoice)> {
        let counting = self.own_invoices().filter(|(_, invoice)| !invoice.is_void() && counts(invoice));
        counting.max_by_key(|(id, invoice)| age(id, invoice))
    }

    fn was_ever_charged(&self) -> bool {
        let charged = |invoice: &Invoice| invoice.is_paid() && invoice.received() > Some(0);
        self.charged_at.is_some() || self.money.invoices.values().any(charged)
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
        let standing = if let Some(held) = self.held(catalogue) {
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
            expires_at: self.end(customer_deleted, catalogue),
        })
    }

    /// When the license ends, in seconds since 1970. A subscription that Stripe calls ended has ended then. Without
    /// payments the license lasts for the first unpaid period, and never a second one: Stripe begins the next period of
    /// a subscription also while it is unpaid.
    fn end(&self, customer_deleted: bool, catalogue: &Catalogue) -> Option<i64> {
        let known = self.newest.as_ref()?;
        let snapshot = &known.snapshot;
        let of_base = |item: &&Item| catalogue.get(&item.price).is_some_and(|price| price.kind == PriceKind::Base);
        let bases = || snapshot.items.iter().filter(of_base);
        let base = bases().filter_map(|item| item.period).min_by_key(|(_, end)| *end);
        let period_end = base.map(|(_, end)| end).or(snapshot.period_end).or(snapshot.ended_at).unwrap_or(known.at);
        let status = self.status()?;
        let debt = self.first_debt(catalogue);
        if status == Status::Canceled || customer_deleted {
            let end = match status {
                Status::Canceled => snapshot.ended_at.unwrap_or(known.at),
                _ => snapshot.cancel_at.unwrap_or(period_end),
            };
            return Some(debt.map_or(end, |debt| debt.last_served().min(end)));
        }
        let chosen = snapshot.cancel_at.or_else(|| snapshot.cancel_at_period_end.then_some(period_end));
        let unpaid = match status {
            Status::Unpaid => {
                let is_paid = bases().any(|item| self.has_paid(&item.price, period_end, catalogue));
                let gave_up_at = (!is_paid).then_some(known.at);
                let current = Debt { end: period_end, start: base.map(|(start, _)| start), gave_up_at };
                Some(debt.unwrap_or(current).last_served())
            }
            Status::PastDue => debt.map(|debt| debt.end).filter(|end| *end < period_end),
            _ => None,
        };
        chosen.into_iter().chain(unpaid).min()
    }
}

/// Returns the sort key of an invoice: when it began to exist, as far as is known.
fn age<'a>(id: &'a String, invoice: &Invoice) -> (i64, Option<i64>, &'a String) {
    (invoice.begun(), invoice.seen, id)
}
