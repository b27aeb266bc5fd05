//! What is known of a subscription, merged so that the order of events does not matter, and what follows.
//!
//! [`Facts`] is a join-semilattice: each event adds a fact, each fact is kept as the greatest of its kind in a total order,
//! so that the same events give the same facts in whatever order and however often they come. [`Facts::terms`] then reads
//! the licence off the facts alone.
//!
//! The order of a subscription's states is by when their events were made. Within one second, which is all that Stripe
//! tells, by the stage of life, then by the status; that is a guess, so it is reported as one, and whoever can asks Stripe.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::DisputeState;

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

    /// When the licence ends, in seconds since 1970. What was paid for is served: also who cancels at once, or is given up
    /// after failed payments, has the period to its end.
    fn end(&self, customer_deleted: bool) -> Option<i64> {
        let known = self.newest.as_ref()?;
        let snapshot = &known.snapshot;
        let period_end = snapshot.period_end.or(snapshot.ended_at).unwrap_or(known.at);
        let status = self.status()?;
        if status == Status::Canceled || customer_deleted {
            let ended = snapshot.ended_at.unwrap_or(i64::MAX);
            return Some(snapshot.cancel_at.filter(|at| *at <= ended).unwrap_or(period_end));
        }
        if status == Status::Unpaid {
            return Some(period_end);
        }
        snapshot.cancel_at.or_else(|| snapshot.cancel_at_period_end.then_some(period_end))
    }
}

/// What a licence is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms<'a> {
    items: &'a [Item],
    more_items: bool,
    /// Its standing.
    pub standing: Standing,
    /// When it ends, in seconds since 1970; `None`: it goes on as long as it is paid.
    pub expires_at: Option<i64>,
}

/// A licence's standing, as `licenses.standing` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Paid.
    Good,
    /// Not paid, still served.
    PastDue,
    /// Paused.
    Inactive,
    /// Held back by a refund.
    Refunded,
    /// Held back by a dispute.
    Disputed,
}

impl Standing {
    /// The word in `licenses.standing`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::PastDue => "past_due",
            Self::Inactive => "inactive",
            Self::Refunded => "refunded",
            Self::Disputed => "disputed",
        }
    }

    /// Whether sessions end with it.
    pub fn ends_sessions(self) -> bool {
        matches!(self, Self::Inactive | Self::Refunded | Self::Disputed)
    }
}

/// A price of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// The plan's code.
    pub plan: String,
    /// A base, which names the plan, or only seats more.
    pub is_base: bool,
    /// Seats for each of the quantity.
    pub seats: u32,
}

/// Prices by id.
pub type Catalogue = HashMap<String, Price>;

/// The items are no licence of ours; an error to see, never a guess.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// Nothing known by this price.
    UnknownPrice(String),
    /// Items of several plans.
    SeveralPlans(String, String),
    /// Only extra seats, or nothing.
    NoBase,
    /// More items than the event shows, and Stripe can't be asked.
    MoreItems,
    /// More seats than a licence has.
    TooManySeats,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownPrice(price) => write!(
                f,
                "The catalogue has no price {price}. Add it to a plan with `ops plan import`, then `ops stripe retry`."
            ),
            Self::SeveralPlans(one, other) => {
                write!(f, "The subscription has items of the plans {one} and {other}. A licence is of one plan.")
            }
            Self::NoBase => f.write_str("The subscription has no item that is a plan's base price."),
            Self::MoreItems => f.write_str(
                "The subscription has more items than the event shows. Set STRIPE_API_KEY, then `ops stripe retry`.",
            ),
            Self::TooManySeats => f.write_str("The subscription has more seats than a licence can."),
        }
    }
}

impl Terms<'_> {
    /// Plan and seats.
    ///
    /// # Errors
    /// Why the items are no licence of ours.
    pub fn plan_and_seats(&self, catalogue: &Catalogue) -> Result<(String, i32), Unfit> {
        const MOST_SEATS: u64 = 1_000_000;
        if self.more_items {
            return Err(Unfit::MoreItems);
        }
        let (mut plan, mut seats, mut has_base) = (None::<&str>, 0_u64, false);
        for item in self.items {
            let price = catalogue.get(&item.price).ok_or_else(|| Unfit::UnknownPrice(item.price.clone()))?;
            match plan {
                Some(other) if other != price.plan => {
                    return Err(Unfit::SeveralPlans(other.to_owned(), price.plan.clone()));
                }
                _ => plan = Some(&price.plan),
            }
            has_base |= price.is_base;
            seats += u64::from(item.quantity) * u64::from(price.seats);
        }
        let plan = plan.filter(|_| has_base).ok_or(Unfit::NoBase)?.to_owned();
        let seats = i32::try_from(seats).ok().filter(|_| seats <= MOST_SEATS).ok_or(Unfit::TooManySeats)?;
        Ok((plan, seats))
    }
}
