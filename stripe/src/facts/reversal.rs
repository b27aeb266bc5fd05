//! Reversals of payments: refunds and disputes, the invoices that they concern, and the holds on a license that follow.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::invoice::{Invoice, earliest};
use super::{Catalogue, Facts, Standing};

/// State of a dispute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeState {
    /// An inquiry of the bank. The money stays, and nothing happens.
    Inquiry,
    /// The money is withdrawn until it is decided.
    Open,
    /// Decided for the seller, or an inquiry that was closed.
    Won,
    /// Decided against the seller.
    Lost,
}

/// The newest status of a charge's refund. The order of the fields is the order of statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct RefundStatus {
    at: i64,
    failed: bool,
    /// `None`: the whole charge, whose amount an older release did not keep.
    amount: Option<i64>,
}

/// The newest status of a dispute: closed wins over open, then the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct DisputeStatus {
    pub(super) closed: bool,
    pub(super) at: i64,
    pub(super) state: DisputeState,
}

/// A refund with the ids of the payment that it reverses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Refund {
    newest: RefundStatus,
    /// Charge, payment intent and invoice.
    #[serde(rename = "of")]
    payment_ids: BTreeSet<String>,
}

/// A dispute with the ids of the payment that it reverses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Dispute {
    newest: DisputeStatus,
    /// When the money was first withdrawn.
    #[serde(rename = "taken_at", default, skip_serializing_if = "Option::is_none")]
    withdrawn_at: Option<i64>,
    /// The time of the last fact about it, also of one that changed nothing.
    #[serde(rename = "told_at")]
    reported_at: i64,
    #[serde(rename = "of")]
    payment_ids: BTreeSet<String>,
}

/// Refunds and disputes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Reversals {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    refunds: BTreeMap<String, Refund>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    disputes: BTreeMap<String, Dispute>,
    /// Charges and disputes that operators lifted, with the time of the newest fact then. A later fact counts again.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    lifted: BTreeMap<String, i64>,
}

/// A refund or dispute that is in force: its money is gone.
struct Reversal<'a> {
    id: &'a str,
    payment_ids: BTreeSet<&'a str>,
    /// When the money was withdrawn.
    at: i64,
    /// The time of its newest fact.
    reported_at: i64,
    /// `None`: all of it.
    amount: Option<i64>,
    standing: Standing,
}

/// The payment that a reversal concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReversedPayment {
    /// The payment of the current period.
    Current,
    /// Another payment: a proration, a charge made twice, a former period.
    Other,
    /// The known invoices do not decide.
    Unknown,
}

impl Reversals {
    fn merge_refund(&mut self, charge: &str, payment_ids: &[String], status: RefundStatus) {
        let new = || Refund { newest: status, payment_ids: BTreeSet::default() };
        let known = self.refunds.entry(charge.to_owned()).or_insert_with(new);
        known.newest = known.newest.max(status);
        known.payment_ids.extend(payment_ids.iter().cloned());
    }

    fn merge_dispute(&mut self, id: &str, other: Dispute) {
        match self.disputes.get_mut(id) {
            Some(known) => {
                known.newest = known.newest.max(other.newest);
                known.withdrawn_at = earliest(known.withdrawn_at, other.withdrawn_at);
                known.reported_at = known.reported_at.max(other.reported_at);
                known.payment_ids.extend(other.payment_ids);
            }
            None => drop(self.disputes.insert(id.to_owned(), other)),
        }
    }
}

impl Facts {
    /// Merges the refund of a whole charge. `payment_ids` are the ids of charge, payment intent and invoice.
    pub fn merge_refund(&mut self, at: i64, charge: &str, payment_ids: &[String], amount: Option<i64>) {
        self.payments.reversals.merge_refund(charge, payment_ids, RefundStatus { at, failed: false, amount });
    }

    /// Merges the failure of a refund: the money is back.
    pub fn merge_failed_refund(&mut self, at: i64, charge: &str, payment_ids: &[String]) {
        self.payments.reversals.merge_refund(charge, payment_ids, RefundStatus { at, failed: true, amount: None });
    }

    /// Merges the state of a dispute.
    pub fn merge_dispute(&mut self, at: i64, dispute: &str, payment_ids: &[String], state: DisputeState) {
        let closed = matches!(state, DisputeState::Won | DisputeState::Lost);
        let reported = Dispute {
            newest: DisputeStatus { closed, at, state },
            withdrawn_at: is_withdrawn(state).then_some(at),
            reported_at: at,
            payment_ids: payment_ids.iter().cloned().collect(),
        };
        self.payments.reversals.merge_dispute(dispute, reported);
    }

    /// Takes over the reversals of this subscription's invoices that were assigned to another subscription while their
    /// invoice was unknown. Returns true if there were some.
    pub fn take_over_reversals(&mut self, other: &mut Self) -> bool {
        let is_mine = |payment_ids: &BTreeSet<String>| {
            let ids: BTreeSet<&str> = payment_ids.iter().map(String::as_str).collect();
            self.invoices_of(&ids).next().is_some() && other.invoices_of(&ids).next().is_none()
        };
        let Reversals { refunds, disputes, .. } = &other.payments.reversals;
        let refunds = refunds.iter().filter(|(_, refund)| is_mine(&refund.payment_ids)).map(|(id, _)| id.clone());
        let disputes = disputes.iter().filter(|(_, dispute)| is_mine(&dispute.payment_ids)).map(|(id, _)| id.clone());
        let (refunds, disputes): (Vec<String>, Vec<String>) = (refunds.collect(), disputes.collect());
        for id in &refunds {
            if let Some(refund) = other.payments.reversals.refunds.remove(id) {
                let payment_ids: Vec<String> = refund.payment_ids.into_iter().collect();
                self.payments.reversals.merge_refund(id, &payment_ids, refund.newest);
            }
        }
        for id in &disputes {
            if let Some(dispute) = other.payments.reversals.disputes.remove(id) {
                self.payments.reversals.merge_dispute(id, dispute);
            }
        }
        !refunds.is_empty() || !disputes.is_empty()
    }

    /// Lifts the holds of refunds and disputes, until Stripe's next fact about one of them; returns their ids.
    pub fn lift(&mut self, catalogue: &Catalogue) -> Vec<String> {
        let held: Vec<(String, i64)> = self.holds(catalogue).map(|r| (r.id.to_owned(), r.reported_at)).collect();
        for (id, reported_at) in &held {
            let known = self.payments.reversals.lifted.entry(id.clone()).or_insert(*reported_at);
            *known = (*known).max(*reported_at);
        }
        held.into_iter().map(|(id, _)| id).collect()
    }

    /// Checks whether a charge's refund, or a dispute, holds the license back.
    pub fn is_held_by(&self, id: &str, catalogue: &Catalogue) -> bool {
        self.holds(catalogue).any(|reversal| reversal.id == id)
    }

    /// Checks whether a charge's refund, or a dispute, is in force, also one that holds nothing back.
    pub fn has_reversal(&self, id: &str) -> bool {
        self.reversals().iter().any(|reversal| reversal.id == id)
    }

    /// Checks whether the invoice that a charge's refund, or a dispute, concerns is unknown.
    pub fn lacks_invoice_of(&self, id: &str) -> bool {
        self.reversals()
            .iter()
            .any(|reversal| reversal.id == id && self.invoices_of(&reversal.payment_ids).next().is_none())
    }

    /// Checks whether a payment with these ids is known to be for one of the subscription's invoices.
    pub fn has_invoice_of(&self, payment_ids: &[String]) -> bool {
        self.invoices_of(&payment_ids.iter().map(String::as_str).collect()).next().is_some()
    }

    /// Returns the strictest standing that a refund or dispute imposes.
    pub(super) fn held_standing(&self, catalogue: &Catalogue) -> Option<Standing> {
        self.holds(catalogue).map(|reversal| reversal.standing).max()
    }

    /// The reversals that hold the license back.
    fn holds<'a>(&'a self, catalogue: &'a Catalogue) -> impl Iterator<Item = Reversal<'a>> {
        let (reversals, current) = (self.reversals(), self.current_payment(catalogue));
        let payments: Vec<ReversedPayment> =
            reversals.iter().map(|reversal| self.reversed_payment(reversal, current, catalogue)).collect();
        // Charges that were refunded in full, one after the other, may add up to the whole.
        let mut amounts = reversals.iter().zip(&payments).filter_map(|(reversal, payment)| {
            (reversal.standing == Standing::Refunded && *payment == ReversedPayment::Current).then_some(reversal.amount)
        });
        let refunded = amounts.try_fold(0_i64, |sum, amount| Some(sum.saturating_add(amount?)));
        reversals.into_iter().zip(payments).filter_map(move |(reversal, payment)| {
            let lifted =
                self.payments.reversals.lifted.get(reversal.id).is_some_and(|lifted| reversal.reported_at <= *lifted);
            let takes_all = |amount: Option<i64>| match (current.and_then(Invoice::received), amount) {
                (Some(0), _) => false,
                (Some(received), Some(amount)) => amount >= received,
                _ => true,
            };
            let holds = match (payment, reversal.standing) {
                (ReversedPayment::Other, _) => false,
                (ReversedPayment::Current, Standing::Refunded) => takes_all(refunded),
                (ReversedPayment::Current, _) => true,
                // Before the current period was paid, it was another payment's money.
                (ReversedPayment::Unknown, standing) => {
                    let amount = reversal.amount.filter(|_| standing == Standing::Refunded);
                    current.is_none_or(|c| Some(reversal.at) >= c.paid_at)
                        && (current.is_some() || Some(reversal.at) >= self.charged_at)
                        && takes_all(amount)
                }
            };
            (holds && !lifted).then_some(reversal)
        })
    }

    /// The invoice that the current period, or the last one that was paid, was paid with.
    fn current_payment(&self, catalogue: &Catalogue) -> Option<&Invoice> {
        let items = self.newest.as_ref().map(|known| known.snapshot.items.as_slice()).unwrap_or_default();
        self.newest_invoice(|invoice| invoice.is_paid() && invoice.is_for_base(items, catalogue)).map(|(_, i)| i)
    }

    fn reversed_payment(
        &self,
        reversal: &Reversal<'_>,
        current: Option<&Invoice>,
        catalogue: &Catalogue,
    ) -> ReversedPayment {
        let invoices: Vec<(&String, &Invoice)> = self.invoices_of(&reversal.payment_ids).collect();
        let Some(current) = current else {
            let is_other = !invoices.is_empty() && invoices.iter().all(|(_, invoice)| invoice.is_for_change());
            return if is_other { ReversedPayment::Other } else { ReversedPayment::Unknown };
        };
        // Money withdrawn after the period's end was for a former period: the next one is to be paid by then.
        if current.period_end(catalogue).is_some_and(|end| reversal.at >= end) {
            return ReversedPayment::Other;
        }
        if current.payments.keys().any(|payment| reversal.payment_ids.contains(payment.as_str())) {
            return ReversedPayment::Current;
        }
        // Another charge, or intent, than the one that paid the period: it was charged twice, or for something else.
        let is_intent = |id: &str| id.starts_with("pi_");
        let mut paid_with = reversal.payment_ids.iter().filter(|id| !id.starts_with("in_"));
        let pays_otherwise = paid_with.any(|id| current.payments.keys().any(|p| is_intent(p) == is_intent(id)));
        if invoices.iter().any(|(_, invoice)| std::ptr::eq(*invoice, current)) && !pays_otherwise {
            return ReversedPayment::Current;
        }
        let is_elsewhere = !invoices.is_empty() || reversal.payment_ids.iter().any(|id| id.starts_with("in_"));
        if is_elsewhere || pays_otherwise { ReversedPayment::Other } else { ReversedPayment::Unknown }
    }

    /// The known invoices of a payment.
    fn invoices_of<'a>(
        &'a self,
        payment_ids: &'a BTreeSet<&'a str>,
    ) -> impl Iterator<Item = (&'a String, &'a Invoice)> {
        self.payments.invoices.iter().filter(move |(id, invoice)| {
            payment_ids.contains(id.as_str())
                || invoice.payments.keys().any(|payment| payment_ids.contains(payment.as_str()))
        })
    }

    /// Every refund and dispute that is in force, also those that an older release stored.
    fn reversals(&self) -> Vec<Reversal<'_>> {
        let known = &self.payments.reversals;
        let refunds = known.refunds.iter().filter(|(_, refund)| !refund.newest.failed).map(|(id, refund)| Reversal {
            id,
            payment_ids: refund.payment_ids.iter().map(String::as_str).chain([id.as_str()]).collect(),
            at: refund.newest.at,
            reported_at: refund.newest.at,
            amount: refund.newest.amount,
            standing: Standing::Refunded,
        });
        let older = self.refunds.iter().filter(|(id, _)| !known.refunds.contains_key(*id)).map(|(id, at)| Reversal {
            id,
            payment_ids: BTreeSet::from([id.as_str()]),
            at: *at,
            reported_at: *at,
            amount: None,
            standing: Standing::Refunded,
        });
        let ids: BTreeSet<&String> = known.disputes.keys().chain(self.disputes.keys()).collect();
        let disputes = ids.into_iter().filter_map(|id| {
            let (dispute, older) = (known.disputes.get(id), self.disputes.get(id).copied());
            let newest = dispute.map(|d| d.newest).max(older)?;
            let older_at = older.filter(|older| is_withdrawn(older.state)).map(|older| older.at);
            is_withdrawn(newest.state).then(|| Reversal {
                id,
                payment_ids: dispute.iter().flat_map(|d| d.payment_ids.iter().map(String::as_str)).collect(),
                at: earliest(dispute.and_then(|d| d.withdrawn_at), older_at).unwrap_or(newest.at),
                reported_at: dispute.map_or(newest.at, |d| d.reported_at.max(newest.at)),
                amount: None,
                standing: Standing::Disputed,
            })
        });
        refunds.chain(older).chain(disputes).collect()
    }
}

/// Returns true if a dispute of this state has withdrawn the money.
fn is_withdrawn(state: DisputeState) -> bool {
    matches!(state, DisputeState::Open | DisputeState::Lost)
}
