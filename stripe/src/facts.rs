//! What is known of a subscription, merged so that the order of events does not matter, and what follows.
//!
//! [`Facts`] is a join-semilattice: each event adds a fact, each fact is kept as the greatest of its kind in a total order,
//! so that the same events give the same facts in whatever order and however often they come. [`Facts::terms`] then reads
//! the licence off the facts alone.
//!
//! The order of a subscription's states is by when their events were made. Within one second, which is all that Stripe
//! tells, by the stage of life, then by the status; that is a guess, so it is reported as one, and whoever can asks Stripe.

mod terms;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::DisputeState;

pub use terms::{Catalogue, Price, Standing, Terms, Unfit};

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
    /// Whether nothing comes after it.
    fn is_terminal(self) -> bool {
        matches!(self, Self::Canceled | Self::IncompleteExpired)
    }
}

/// Where in its life an event finds a subscription.
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
    /// What is paid for.
    pub items: Vec<Item>,
    /// There are more items than the event shows.
    #[serde(default)]
    pub more_items: bool,
    /// When the current period ends, in seconds since 1970.
    pub period_end: Option<i64>,
    /// When it is to end, in seconds since 1970.
    pub cancel_at: Option<i64>,
    /// It is to end with the period.
    pub cancel_at_period_end: bool,
    /// When it ended, in seconds since 1970.
    pub ended_at: Option<i64>,
    /// When the trial ends, in seconds since 1970.
    pub trial_end: Option<i64>,
    /// Collection is paused, and service with it.
    pub pause_void: bool,
}

/// A price and how often.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Item {
    /// `price_…`
    pub price: String,
    /// How many.
    pub quantity: u32,
}

/// What became of an invoice; the greater wins a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The payment failed.
    Failed,
    /// The customer has to confirm the payment.
    ActionRequired,
    /// Paid.
    Paid,
}

/// A snapshot and what orders it. The fields' order is the order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Stamped {
    terminal: bool,
    at: i64,
    stage: Stage,
    snapshot: Snapshot,
}

/// An invoice's outcome and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Payment {
    at: i64,
    outcome: Outcome,
}

/// A dispute's state and when: closed wins over open, then the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Dispute {
    closed: bool,
    at: i64,
    state: DisputeState,
}

/// What is known of a subscription.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    newest: Option<Stamped>,
    payment: Option<Payment>,
    /// When money last changed hands.
    charged_at: Option<i64>,
    /// When all was last known to be paid, also where it cost nothing.
    settled_at: Option<i64>,
    /// Ends of periods that were seen unpaid, and when last.
    unpaid: BTreeMap<i64, i64>,
    /// Checkout ended before the payment was through.
    checkout_unpaid: bool,
    /// Checkout's payment is through.
    checkout_paid: bool,
    /// Charges refunded in full, and when.
    refunds: BTreeMap<String, i64>,
    disputes: BTreeMap<String, Dispute>,
}

impl Facts {
    /// Learns a state. `false`: another state of the same second is known, and which of them is newer can only be guessed.
    pub fn learn_snapshot(&mut self, at: i64, stage: Stage, snapshot: Snapshot) -> bool {
        match (snapshot.status, snapshot.period_end) {
            (Status::Active | Status::Trialing, _) => self.settled_at = self.settled_at.max(Some(at)),
            (Status::PastDue | Status::Unpaid, Some(end)) => {
                let seen = self.unpaid.entry(end).or_insert(at);
                *seen = (*seen).max(at);
            }
            _ => {}
        }
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
        // What was asked before, in the same second, was true then.
        if self.newest.as_ref().is_some_and(|known| known.stage == Stage::Asked && known.at == at) {
            self.newest = None;
        }
        self.learn_snapshot(at, Stage::Asked, snapshot);
    }

    /// Learns what became of an invoice.
    pub fn learn_payment(&mut self, at: i64, outcome: Outcome, charged: bool) {
        self.payment = self.payment.max(Some(Payment { at, outcome }));
        if outcome == Outcome::Paid {
            self.settled_at = self.settled_at.max(Some(at));
        }
        if charged && outcome == Outcome::Paid {
            self.charged_at = self.charged_at.max(Some(at));
        }
    }

    /// Learns how Checkout ended.
    pub fn learn_checkout(&mut self, paid: bool) {
        if paid {
            self.checkout_paid = true;
        } else {
            self.checkout_unpaid = true;
        }
    }

    /// Learns of a full refund.
    pub fn learn_refund(&mut self, at: i64, charge: &str) {
        let known = self.refunds.entry(charge.to_owned()).or_insert(at);
        *known = (*known).max(at);
    }

    /// Learns where a dispute stands.
    pub fn learn_dispute(&mut self, at: i64, dispute: &str, state: DisputeState) {
        let closed = matches!(state, DisputeState::Won | DisputeState::Lost);
        let learned = Dispute { closed, at, state };
        let known = self.disputes.entry(dispute.to_owned()).or_insert(learned);
        *known = (*known).max(learned);
    }

    /// Whether the newest state is the same one.
    pub fn has_state_of(&self, other: &Self) -> bool {
        self.newest == other.newest
    }

    /// Whether any state of the subscription is known.
    pub fn has_snapshot(&self) -> bool {
        self.newest.is_some()
    }

    /// Whether the known state lacks items that only Stripe can tell.
    pub fn lacks_items(&self) -> bool {
        self.newest.as_ref().is_some_and(|known| known.snapshot.more_items)
    }

    /// When the trial ends, in seconds since 1970.
    pub fn trial_end(&self) -> Option<i64> {
        self.newest.as_ref()?.snapshot.trial_end
    }

    /// What the subscription is called in `subscriptions.status`: Stripe's word, as far as events went.
    pub fn status(&self) -> Option<Status> {
        let known = self.newest.as_ref()?;
        let payment = self.payment.filter(|p| p.at >= known.at);
        Some(match (known.snapshot.status, payment.map(|p| p.outcome)) {
            // The state that follows may come later than the invoice, or not at all.
            (Status::Incomplete | Status::PastDue | Status::Unpaid, Some(Outcome::Paid)) => Status::Active,
            (Status::Active, Some(Outcome::Failed | Outcome::ActionRequired)) => Status::PastDue,
            (status, _) => status,
        })
    }

    /// What the licence is to be. `None`: nothing was ever paid for, so that there is nothing to license.
    pub fn terms(&self, customer_deleted: bool) -> Option<Terms<'_>> {
        let known = &self.newest.as_ref()?.snapshot;
        let status = self.status()?;
        if matches!(status, Status::Incomplete | Status::IncompleteExpired)
            || (self.checkout_unpaid && !self.checkout_paid && self.charged_at.is_none())
        {
            return None;
        }
        let standing = if self.disputes.values().any(|d| matches!(d.state, DisputeState::Open | DisputeState::Lost)) {
            Standing::Disputed
        } else if self.refunds.values().any(|refunded| Some(*refunded) >= self.charged_at) {
            Standing::Refunded
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
            expires_at: self.end(customer_deleted),
        })
    }

    /// When the licence ends, in seconds since 1970. Who cancels at once has the period to its end, for it was paid. Who
    /// stops paying has the first period without a payment, and never a second one: Stripe begins the next period of a
    /// subscription also while nobody pays for it.
    fn end(&self, customer_deleted: bool) -> Option<i64> {
        let known = self.newest.as_ref()?;
        let snapshot = &known.snapshot;
        let period_end = snapshot.period_end.or(snapshot.ended_at).unwrap_or(known.at);
        let status = self.status()?;
        let unpaid = self.unpaid.iter().find(|(_, seen)| Some(**seen) > self.settled_at).map(|(end, _)| *end);
        if status == Status::Canceled || customer_deleted {
            let ended = snapshot.ended_at.unwrap_or(i64::MAX);
            let end = snapshot.cancel_at.filter(|at| *at <= ended).unwrap_or(period_end);
            return Some(unpaid.map_or(end, |unpaid| unpaid.min(end)));
        }
        let chosen = snapshot.cancel_at.or_else(|| snapshot.cancel_at_period_end.then_some(period_end));
        let unpaid = match status {
            Status::Unpaid => unpaid.or(Some(period_end)),
            Status::PastDue => unpaid.filter(|unpaid| *unpaid < period_end),
            _ => None,
        };
        chosen.into_iter().chain(unpaid).min()
    }
}
