//! Money that is taken back: refunds and disputes, the invoice that they are about, and whether they hold a license back.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::invoice::{Invoice, earliest};
use super::{Catalogue, Facts, Standing};
use crate::event::DisputeState;

/// The newest state of a charge's refund. The fields' order is the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Refunded {
    at: i64,
    failed: bool,
    /// `None`: the whole charge, whose amount an older release did not keep.
    amount: Option<i64>,
}

/// The newest state of a dispute: closed wins over open, then the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Dispute {
    pub(super) closed: bool,
    pub(super) at: i64,
    pub(super) state: DisputeState,
}

/// A refund with the ids that say what it is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RefundOf {
    newest: Refunded,
    /// Its charge, payment intent and invoice.
    of: BTreeSet<String>,
}

/// A dispute with the ids that say what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct DisputeOf {
    newest: Dispute,
    /// When the money was first taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    taken_at: Option<i64>,
    /// The time of the last fact about it, whether it changed anything.
    told_at: i64,
    of: BTreeSet<String>,
}

/// Refunds and disputes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Takings {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    refunds: BTreeMap<String, RefundOf>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    disputes: BTreeMap<String, DisputeOf>,
    /// Charges and disputes that operators lifted, with the time of the newest fact then. A later fact counts again.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    lifted: BTreeMap<String, i64>,
}

/// A refund or dispute that stands: its money is gone.
struct Taking<'a> {
    id: &'a str,
    of: BTreeSet<&'a str>,
    /// When the money went.
    at: i64,
    /// The time of its newest fact.
    told_at: i64,
    /// `None`: all of it.
    amount: Option<i64>,
    standing: Standing,
}

/// The payment that a taking is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// The payment of the current period.
    Current,
    /// Another payment: a proration, a charge taken twice, a former period.
    Other,
    /// Nothing known says.
    Unknown,
}

impl Takings {
    fn learn_refund(&mut self, charge: &str, of: &[String], learned: Refunded) {
        let known =
            self.refunds.entry(charge.to_owned()).or_insert(RefundOf { newest: learned, of: BTreeSet::default() });
        known.newest = known.newest.max(learned);
        known.of.extend(of.iter().cloned());
    }

    fn learn_dispute(&mut self, at: i64, dispute: &str, of: &[String], state: DisputeState) {
        let closed = matches!(state, DisputeState::Won | DisputeState::Lost);
        let is_taken = matches!(state, DisputeState::Open | DisputeState::Lost);
        let of = of.iter().cloned().collect();
        let learned =
            DisputeOf { newest: Dispute { closed, at, state }, taken_at: is_taken.then_some(at), told_at: at, of };
        self.join_dispute(dispute, learned);
    }

    fn join_dispute(&mut self, id: &str, learned: DisputeOf) {
        match self.disputes.get_mut(id) {
            Some(known) => {
                known.newest = known.newest.max(learned.newest);
                known.taken_at = earliest(known.taken_at, learned.taken_at);
                known.told_at = known.told_at.max(learned.told_at);
                known.of.extend(learned.of);
            }
            None => drop(self.disputes.insert(id.to_owned(), learned)),
        }
    }
}

impl Facts {
    /// Learns of a refund of a whole charge. `of` are the ids of charge, payment intent and invoice.
    pub fn learn_refund(&mut self, at: i64, charge: &str, of: &[String], amount: Option<i64>) {
        self.money.takings.learn_refund(charge, of, Refunded { at, failed: false, amount });
    }

    /// Learns that a refund came to nothing: the money is back.
    pub fn learn_failed_refund(&mut self, at: i64, charge: &str, of: &[String]) {
        self.money.takings.learn_refund(charge, of, Refunded { at, failed: true, amount: None });
    }

    /// Learns where a dispute stands.
    pub fn learn_dispute(&mut self, at: i64, dispute: &str, of: &[String], state: DisputeState) {
        self.money.takings.learn_dispute(at, dispute, of, state);
    }

    /// Takes over refunds and disputes that were taken for another subscription's while nothing said which they are of, and
    /// that are of an invoice of this one. `true`: there were some.
    pub fn claim(&mut self, other: &mut Self) -> bool {
        let is_mine = |of: &BTreeSet<String>| {
            let of: BTreeSet<&str> = of.iter().map(String::as_str).collect();
            self.linked(&of).next().is_some() && other.linked(&of).next().is_none()
        };
        let takings = &other.money.takings;
        let refunds = takings.refunds.iter().filter(|(_, refund)| is_mine(&refund.of)).map(|(id, _)| id.clone());
        let disputes = takings.disputes.iter().filter(|(_, dispute)| is_mine(&dispute.of)).map(|(id, _)| id.clone());
        let (refunds, disputes): (Vec<String>, Vec<String>) = (refunds.collect(), disputes.collect());
        for id in &refunds {
            if let Some(refund) = other.money.takings.refunds.remove(id) {
                let of: Vec<String> = refund.of.into_iter().collect();
                self.money.takings.learn_refund(id, &of, refund.newest);
            }
        }
        for id in &disputes {
            if let Some(dispute) = other.money.takings.disputes.remove(id) {
                self.money.takings.join_dispute(id, dispute);
            }
        }
        !refunds.is_empty() || !disputes.is_empty()
    }

    /// Lifts what refunds and disputes hold back, until Stripe's next fact about one of them; answers their ids.
    pub fn lift(&mut self, catalogue: &Catalogue) -> Vec<String> {
        let held: Vec<(String, i64)> = self.holds(catalogue).map(|t| (t.id.to_owned(), t.told_at)).collect();
        for (id, told_at) in &held {
            let known = self.money.takings.lifted.entry(id.clone()).or_insert(*told_at);
            *known = (*known).max(*told_at);
        }
        held.into_iter().map(|(id, _)| id).collect()
    }

    /// Checks whether a charge's refund, or a dispute, holds the license back.
    pub fn is_held_by(&self, id: &str, catalogue: &Catalogue) -> bool {
        self.holds(catalogue).any(|taking| taking.id == id)
    }

    /// Checks whether a refund or dispute stands, whatever it is of.
    pub fn stands(&self, id: &str) -> bool {
        self.takings().iter().any(|taking| taking.id == id)
    }

    /// Checks whether the invoice that a charge's refund, or a dispute, is of is unknown.
    pub fn lacks_invoice_of(&self, id: &str) -> bool {
        self.takings().iter().any(|taking| taking.id == id && self.linked(&taking.of).next().is_none())
    }

    /// Checks whether a payment with these ids is known to be of one of the subscription's invoices.
    pub fn has_invoice_of(&self, ids: &[String]) -> bool {
        self.linked(&ids.iter().map(String::as_str).collect()).next().is_some()
    }

    /// Returns the strictest standing that a refund or dispute imposes.
    pub(super) fn held(&self, catalogue: &Catalogue) -> Option<Standing> {
        self.holds(catalogue).map(|taking| taking.standing).max()
    }

    /// The takings that hold the license back.
    fn holds<'a>(&'a self, catalogue: &'a Catalogue) -> impl Iterator<Item = Taking<'a>> {
        let (takings, current) = (self.takings(), self.current_payment(catalogue));
        let targets: Vec<Target> = takings.iter().map(|taking| self.target(taking, current, catalogue)).collect();
        // Charges that were refunded in full, one after the other, may make up the whole.
        let mut amounts = takings.iter().zip(&targets).filter_map(|(taking, target)| {
            (taking.standing == Standing::Refunded && *target == Target::Current).then_some(taking.amount)
        });
        let refunded = amounts.try_fold(0_i64, |sum, amount| Some(sum.saturating_add(amount?)));
        takings.into_iter().zip(targets).filter_map(move |(taking, target)| {
            let lifted = self.money.takings.lifted.get(taking.id).is_some_and(|lifted| taking.told_at <= *lifted);
            let takes_all = |amount: Option<i64>| match (current.and_then(Invoice::received), amount) {
                (Some(0), _) => false,
                (Some(received), Some(amount)) => amount >= received,
                _ => true,
            };
            let holds = match (target, taking.standing) {
                (Target::Other, _) => false,
                (Target::Current, Standing::Refunded) => takes_all(refunded),
                (Target::Current, _) => true,
                // Before the current period was paid, it was another payment's money.
                (Target::Unknown, standing) => {
                    let amount = taking.amount.filter(|_| standing == Standing::Refunded);
                    current.is_none_or(|c| Some(taking.at) >= c.paid_at)
                        && (current.is_some() || Some(taking.at) >= self.charged_at)
                        && takes_all(amount)
                }
            };
            (holds && !lifted).then_some(taking)
        })
    }

    /// The invoice that the current period, or the last one that was paid, was paid with.
    fn current_payment(&self, catalogue: &Catalogue) -> Option<&Invoice> {
        let items = self.newest.as_ref().map(|known| known.snapshot.items.as_slice()).unwrap_or_default();
        self.newest_invoice(|invoice| invoice.is_paid() && invoice.is_for_base(items, catalogue)).map(|(_, i)| i)
    }

    fn target(&self, taking: &Taking<'_>, current: Option<&Invoice>, catalogue: &Catalogue) -> Target {
        let linked: Vec<(&String, &Invoice)> = self.linked(&taking.of).collect();
        let Some(current) = current else {
            let is_other = !linked.is_empty() && linked.iter().all(|(_, invoice)| invoice.is_for_change());
            return if is_other { Target::Other } else { Target::Unknown };
        };
        // Money taken after the period's end was taken from a former period: the next one is to be paid by then.
        if current.period_end(catalogue).is_some_and(|end| taking.at >= end) {
            return Target::Other;
        }
        if current.payments.keys().any(|payment| taking.of.contains(payment.as_str())) {
            return Target::Current;
        }
        // Another charge, or intent, than the one that paid the period: it was taken twice, or for something else.
        let is_intent = |id: &str| id.starts_with("pi_");
        let mut paid_with = taking.of.iter().filter(|id| !id.starts_with("in_"));
        let pays_otherwise = paid_with.any(|id| current.payments.keys().any(|p| is_intent(p) == is_intent(id)));
        if linked.iter().any(|(_, invoice)| std::ptr::eq(*invoice, current)) && !pays_otherwise {
            return Target::Current;
        }
        let is_elsewhere = !linked.is_empty() || taking.of.iter().any(|id| id.starts_with("in_"));
        if is_elsewhere || pays_otherwise { Target::Other } else { Target::Unknown }
    }

    /// The invoices that a taking is known to be of.
    fn linked<'a>(&'a self, of: &'a BTreeSet<&'a str>) -> impl Iterator<Item = (&'a String, &'a Invoice)> {
        self.money.invoices.iter().filter(move |(id, invoice)| {
            of.contains(id.as_str()) || invoice.payments.keys().any(|payment| of.contains(payment.as_str()))
        })
    }

    /// Every refund and dispute that stands, also those that an older release kept.
    fn takings(&self) -> Vec<Taking<'_>> {
        let known = &self.money.takings;
        let refunds = known.refunds.iter().filter(|(_, refund)| !refund.newest.failed).map(|(id, refund)| Taking {
            id,
            of: refund.of.iter().map(String::as_str).chain([id.as_str()]).collect(),
            at: refund.newest.at,
            told_at: refund.newest.at,
            amount: refund.newest.amount,
            standing: Standing::Refunded,
        });
        let older = self.refunds.iter().filter(|(id, _)| !known.refunds.contains_key(*id)).map(|(id, at)| Taking {
            id,
            of: BTreeSet::from([id.as_str()]),
            at: *at,
            told_at: *at,
            amount: None,
            standing: Standing::Refunded,
        });
        let ids: BTreeSet<&String> = known.disputes.keys().chain(self.disputes.keys()).collect();
        let disputes = ids.into_iter().filter_map(|id| {
            let (dispute, older) = (known.disputes.get(id), self.disputes.get(id).copied());
            let newest = dispute.map(|d| d.newest).max(older)?;
            let is_taken = |state| matches!(state, DisputeState::Open | DisputeState::Lost);
            let older_at = older.filter(|older| is_taken(older.state)).map(|older| older.at);
            is_taken(newest.state).then(|| Taking {
                id,
                of: dispute.iter().flat_map(|d| d.of.iter().map(String::as_str)).collect(),
                at: earliest(dispute.and_then(|d| d.taken_at), older_at).unwrap_or(newest.at),
                told_at: dispute.map_or(newest.at, |d| d.told_at.max(newest.at)),
                amount: None,
                standing: Standing::Disputed,
            })
        });
        refunds.chain(older).chain(disputes).collect()
    }
}
