//! Simulates a customer's subscription at Stripe: its changes, the events that report them, and the expected license.
//!
//! The state here is Stripe's own, so the expectation holds in whatever order the events come. Every step takes a second at
//! least: within one, only Stripe knows an order.

mod invoice;

use super::{Event, Events, Subscription, Version};

/// A month of this calendar.
pub const MONTH: i64 = 30 * 86_400;

/// A step in a subscription's life.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// The next period begins: paid by card, paid from the customer's balance, or not paid.
    Renew(Payment),
    /// The newest invoice is paid after all.
    PayNewest,
    /// The oldest open invoice is paid, though a newer one is open.
    PayOldest,
    /// The newest open invoice is voided.
    VoidNewest,
    /// Stripe makes no more payment attempts.
    GiveUp,
    /// One seat more, paid at once.
    Upgrade,
    /// One seat more, whose payment fails, with `pending_if_incomplete`.
    TryUpgrade,
    /// The pending seat is paid, or not in time.
    EndPending(bool),
    /// Adds or removes an item that is no part of the plan.
    AddOn(bool),
    /// An invoice is made by hand, and paid or not.
    ByHand(bool),
    /// The charge of one of the invoices is refunded in full.
    Refund(usize),
    /// The refund fails.
    FailRefund(usize),
    /// A charge of one of the invoices is disputed: first as an inquiry, or at once.
    Dispute(usize, bool),
    /// The inquiry becomes a dispute.
    Escalate(usize),
    /// The dispute is decided: won, or lost.
    Decide(usize, bool),
    /// Sets or clears the cancellation at the end of the period.
    CancelAtPeriodEnd(bool),
    /// Cancels the subscription now.
    Cancel,
}

/// The way in which a period is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payment {
    /// By card.
    Card,
    /// From the balance: nothing changes hands.
    Balance,
    /// The payment fails.
    Fails,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Open,
    Void,
    Paid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dispute {
    None,
    Inquiry,
    Open,
    Won,
    Lost,
}

/// An invoice.
#[derive(Debug, Clone)]
struct Invoice {
    /// The subscription at that time.
    of: Subscription,
    /// When Stripe made it, in seconds since 1970: after the period's begin where the renewal came late.
    created: i64,
    is_for_period: bool,
    is_by_hand: bool,
    is_first: bool,
    is_free: bool,
    status: Status,
    /// Refunded while its period was the current one.
    refunded: Option<bool>,
    dispute: Dispute,
    /// Disputed while its period was the current one.
    is_disputed_in_time: bool,
}

/// The state that the license has to be in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// As `licenses.standing` has it.
    pub standing: &'static str,
    /// When it ends, in seconds since 1970.
    pub expires_at: Option<i64>,
    /// Seats.
    pub seats: i32,
}

/// A subscription's life so far.
#[derive(Debug)]
pub struct Life {
    events: Events,
    version: Version,
    at: i64,
    sub: Subscription,
    invoices: Vec<Invoice>,
    /// The end of the first period that was not paid.
    debt: Option<i64>,
    /// The newest invoice when a pending seat was asked for.
    pending: Option<usize>,
    /// All events so far, in order.
    pub told: Vec<Event>,
}

/// Returns a step for each number, each kind as often as in real life.
#[must_use]
pub fn step(of: u32) -> Step {
    let (kind, n) = (of % 33, usize::try_from(of / 33).unwrap_or(0) % 8);
    let odd = n % 2 == 1;
    match kind {
        0..=3 => Step::Renew(Payment::Card),
        4 => Step::Renew(Payment::Balance),
        5..=8 => Step::Renew(Payment::Fails),
        9..=10 => Step::PayNewest,
        11..=12 => Step::PayOldest,
        13 => Step::VoidNewest,
        14 => Step::GiveUp,
        15..=16 => Step::Upgrade,
        17 => Step::TryUpgrade,
        18 => Step::EndPending(odd),
        19 => Step::AddOn(odd),
        20..=22 => Step::Refund(n),
        23 => Step::FailRefund(n),
        24..=25 => Step::Dispute(n, odd),
        26 => Step::Escalate(n),
        27..=28 => Step::Decide(n, odd),
        29..=30 => Step::CancelAtPeriodEnd(odd),
        31 => Step::ByHand(odd),
        _ => Step::Cancel,
    }
}

impl Life {
    /// Begins with a TEAM subscription that was bought and paid.
    #[must_use]
    pub fn begin(version: Version, name: &str, customer: Option<&str>, at: i64) -> Self {
        let mut sub = Subscription::new(name, &[("price_team", 1)], at);
        sub.ids = customer.map(|customer| (customer.to_owned(), format!("sub_{name}")));
        let events = Events::new(version);
        let mut life =
            Self { events, version, at, sub, invoices: Vec::new(), debt: None, pending: None, told: Vec::new() };
        life.told.push(life.events.subscription("created", &life.sub, at));
        if customer.is_none() {
            life.told.push(life.events.checkout("checkout.session.completed", &life.sub, true, at));
        }
        life.invoice(true, Status::Open);
        life.pay(0);
        life
    }

    /// The subscription's id.
    #[must_use]
    pub fn id(&self) -> String {
        self.sub.id()
    }

    /// The state that the license has to be in by now.
    #[must_use]
    pub fn expected(&self) -> Expected {
        let period_end = self.sub.period.1;
        let expires_at = match self.sub.status.as_str() {
            "canceled" => {
                let ended = self.sub.ended_at.unwrap_or(i64::MAX);
                Some(self.debt.map_or(ended, |debt| debt.min(ended)))
            }
            status => {
                let chosen = self.sub.cancel_at_period_end.then_some(period_end);
                let unpaid = match status {
                    "unpaid" => self.debt,
                    "past_due" => self.debt.filter(|debt| *debt < period_end),
                    _ => None,
                };
                chosen.into_iter().chain(unpaid).min()
            }
        };
        let current = self.invoices.iter().rfind(|i| i.is_for_period && i.status == Status::Paid);
        let is_disputed = |i: &Invoice| i.is_disputed_in_time && matches!(i.dispute, Dispute::Open | Dispute::Lost);
        let standing = match current {
            Some(invoice) if is_disputed(invoice) => "disputed",
            Some(Invoice { refunded: Some(true), .. }) => "refunded",
            _ if matches!(self.sub.status.as_str(), "past_due" | "unpaid") => "past_due",
            _ => "good",
        };
        let extra: u32 = self.sub.items.iter().filter(|(price, _)| price == "price_team_seat").map(|(_, n)| n).sum();
        Expected { standing, expires_at, seats: 5 + i32::try_from(extra).unwrap_or(i32::MAX) }
    }

    /// Applies a step, if it is possible, after so many seconds.
    pub fn go(&mut self, step: Step, pause: i64) {
        if self.sub.status == "canceled" && !matches!(step, Step::PayOldest) {
            return;
        }
        self.at += pause.max(1);
        let newest = self.newest();
        match step {
            Step::Renew(payment) => self.renew(payment),
            Step::PayNewest if self.invoices[newest].status == Status::Open => {
                self.pay(newest);
                self.becomes("active");
            }
            Step::PayOldest => {
                let open = |i: &Invoice| i.is_for_period && i.status == Status::Open;
                let oldest =
                    self.invoices.iter().position(open).filter(|n| *n != newest || self.sub.status == "canceled");
                if let Some(oldest) = oldest {
                    self.pay(oldest);
                    self.debt = self.debt.filter(|_| oldest != newest);
                }
            }
            Step::VoidNewest if self.invoices[newest].status == Status::Open => {
                self.void(newest);
                if self.invoices[self.newest()].status == Status::Paid {
                    self.becomes("active");
                }
            }
            Step::GiveUp if self.sub.status == "past_due" => self.becomes("unpaid"),
            _ => self.change(step),
        }
    }

    /// Applies a step that concerns neither a new period nor an unpaid one.
    fn change(&mut self, step: Step) {
        match step {
            Step::Upgrade | Step::TryUpgrade if self.sub.status == "active" && self.pending.is_none() => {
                let pending = matches!(step, Step::TryUpgrade);
                if !pending {
                    self.add_seat();
                }
                let n = self.invoice(false, Status::Open);
                if pending {
                    self.pending = Some(n);
                    self.tell_invoice(n, "payment_failed");
                } else {
                    self.pay(n);
                }
                self.updated("updated");
            }
            Step::EndPending(paid) => {
                if let Some(n) = self.pending.take() {
                    if paid {
                        self.add_seat();
                        self.pay(n);
                    } else {
                        self.void(n);
                    }
                    self.updated(if paid { "pending_update_applied" } else { "pending_update_expired" });
                }
            }
            Step::AddOn(there) => {
                self.sub.items.retain(|(price, _)| price != "price_addon");
                if there {
                    self.sub.items.push(("price_addon".to_owned(), 1));
                }
                self.updated("updated");
            }
            Step::ByHand(paid) => {
                let n = self.invoice(false, Status::Open);
                self.invoices[n].is_by_hand = true;
                if paid {
                    self.pay(n);
                } else {
                    self.tell_invoice(n, "payment_failed");
                }
            }
            Step::CancelAtPeriodEnd(yes) => {
                self.sub.cancel_at_period_end = yes;
                self.updated("updated");
            }
            Step::Cancel => {
                self.sub.end(self.at);
                self.updated("deleted");
            }
            Step::Refund(n) | Step::FailRefund(n) => self.refund(n, matches!(step, Step::FailRefund(_))),
            Step::Dispute(n, _) | Step::Escalate(n) | Step::Decide(n, _) => self.dispute(n, step),
            _ => {}
        }
    }

    /// The newest invoice that is not void, not made by hand, and not one of a change that is pending.
    fn newest(&self) -> usize {
        let counts = |(n, i): &(usize, &Invoice)| i.status != Status::Void && !i.is_by_hand && Some(*n) != self.pending;
        self.invoices.iter().enumerate().filter(counts).map(|(n, _)| n).next_back().unwrap_or(0)
    }

    fn renew(&mut self, payment: Payment) {
        // A pending change ends with the period at the latest.
        self.go(Step::EndPending(false), 1);
        self.at = self.sub.period.1.max(self.at + 1);
        if self.sub.cancel_at_period_end {
            self.sub.end(self.sub.period.1);
            self.updated("deleted");
            return;
        }
        self.sub.renew();
        if self.sub.status == "active" && payment == Payment::Fails {
            self.sub.status = "past_due".to_owned();
        }
        let pays = payment != Payment::Fails && self.sub.status == "active";
        let n = self.invoice(true, Status::Open);
        self.invoices[n].is_free = pays && payment == Payment::Balance;
        if pays {
            self.pay(n);
        } else if self.sub.status == "past_due" {
            self.tell_invoice(n, "payment_failed");
        } else {
            self.tell_invoice(n, "finalized");
        }
        if !pays {
            self.debt = self.debt.or(Some(self.sub.period.1));
        }
        self.updated("updated");
    }

    fn becomes(&mut self, status: &str) {
        self.sub.status = status.to_owned();
        if status == "active" {
            self.debt = None;
        }
        self.updated("updated");
    }

    fn add_seat(&mut self) {
        match self.sub.items.iter_mut().find(|(price, _)| price == "price_team_seat") {
            Some((_, seats)) => *seats += 1,
            None => self.sub.items.push(("price_team_seat".to_owned(), 1)),
        }
    }

    fn updated(&mut self, what: &str) {
        self.told.push(self.events.subscription(what, &self.sub, self.at));
    }
}
