//! The invoices of a subscription's life, and the money that moves for each of them.

use serde_json::json;

use super::{Dispute, Invoice, Life, Status, Step};
use crate::stripe::Version;

impl Life {
    /// Makes an invoice: for a period, or for a seat's rest of one.
    pub(super) fn invoice(&mut self, is_for_period: bool, status: Status) -> usize {
        if !self.invoices.is_empty() {
            self.sub.invoice = u32::try_from(self.invoices.len()).unwrap_or(0) + 1;
        }
        let mut of = self.sub.clone();
        if !is_for_period {
            of.items = vec![("price_team_seat".to_owned(), 1)];
            of.period.0 = self.at;
        }
        self.invoices.push(Invoice {
            of,
            created: self.at,
            is_for_period,
            is_by_hand: false,
            is_first: self.invoices.is_empty(),
            is_free: false,
            status,
            refunded: None,
            dispute: Dispute::None,
            is_disputed_in_time: false,
        });
        self.invoices.len() - 1
    }

    pub(super) fn pay(&mut self, n: usize) {
        self.invoices[n].status = Status::Paid;
        self.tell_invoice(n, "paid");
        let invoice = &self.invoices[n];
        if self.version == Version::Current && !invoice.is_free {
            self.told.push(self.events.invoice_payment(&invoice.of, self.at));
        }
    }

    pub(super) fn void(&mut self, n: usize) {
        self.invoices[n].status = Status::Void;
        self.tell_invoice(n, "voided");
    }

    pub(super) fn tell_invoice(&mut self, n: usize, what: &str) {
        let Invoice { of, created, is_for_period, is_by_hand, is_first, is_free, .. } = &self.invoices[n];
        let reason = match (is_for_period, is_first) {
            _ if *is_by_hand => "manual",
            (false, _) => "subscription_update",
            (true, true) => "subscription_create",
            (true, false) => "subscription_cycle",
        };
        let event = self.events.invoice(what, of, self.at);
        let mut event = event.with("/data/object/billing_reason", reason).with("/data/object/created", *created);
        if *is_free {
            event = event.with("/data/object/amount_paid", 0);
            if self.version == Version::Old {
                let none = serde_json::Value::Null;
                event = event.with("/data/object/charge", none.clone()).with("/data/object/payment_intent", none);
            }
        }
        if what == "voided" {
            event = event.with("/data/object/status", "void");
        }
        if !is_for_period && !is_by_hand {
            let proration = match self.version {
                Version::Old => "/data/object/lines/data/0/proration",
                Version::Current => "/data/object/lines/data/0/parent/subscription_item_details/proration",
            };
            event = event.with(proration, true);
        }
        self.told.push(event);
    }

    /// One of the invoices that money came for.
    pub(super) fn charged(&self, n: usize) -> Option<usize> {
        let all: Vec<usize> = (0..self.invoices.len())
            .filter(|n| self.invoices[*n].status == Status::Paid && !self.invoices[*n].is_free)
            .collect();
        all.get(n % all.len().max(1)).copied()
    }

    pub(super) fn refund(&mut self, n: usize, fails: bool) {
        let Some(n) = self.charged(n) else { return };
        let (at, events) = (self.at, self.events);
        let invoice = &mut self.invoices[n];
        let is_current = at < invoice.of.period.1;
        if fails && invoice.refunded.take().is_some() {
            let (charge, intent) = (invoice.of.charge_id(), invoice.of.payment_intent_id());
            let refund = json!({
                "id": format!("re_{}_{n}", invoice.of.name), "object": "refund", "charge": charge,
                "payment_intent": intent, "status": "failed", "amount": invoice.of.amount(),
            });
            self.told.push(events.event("refund.failed", refund, at));
        } else if !fails && invoice.refunded.is_none() && invoice.dispute == Dispute::None {
            invoice.refunded = Some(is_current);
            self.told.push(events.refund(&invoice.of, true, at));
        }
    }

    pub(super) fn dispute(&mut self, n: usize, step: Step) {
        let Some(n) = self.charged(n) else { return };
        let (at, events) = (self.at, self.events);
        let invoice = &mut self.invoices[n];
        let (status, kind, next) = match (step, invoice.dispute) {
            (Step::Dispute(_, true), Dispute::None) => ("warning_needs_response", "created", Dispute::Inquiry),
            (Step::Dispute(_, false), Dispute::None) => ("needs_response", "created", Dispute::Open),
            (Step::Escalate(_), Dispute::Inquiry) => ("needs_response", "updated", Dispute::Open),
            (Step::Decide(_, true), Dispute::Open) => ("won", "closed", Dispute::Won),
            (Step::Decide(_, false), Dispute::Open) => ("lost", "closed", Dispute::Lost),
            (Step::Decide(_, _), Dispute::Inquiry) => ("warning_closed", "closed", Dispute::Won),
            _ => return,
        };
        if next == Dispute::Open {
            invoice.is_disputed_in_time = at < invoice.of.period.1;
        }
        invoice.dispute = next;
        let told = events.dispute(&invoice.of, status, at).with("/type", format!("charge.dispute.{kind}"));
        let withdrawn = told.clone().with("/type", "charge.dispute.funds_withdrawn");
        self.told.push(told);
        if next == Dispute::Open {
            let id = format!("{}w", withdrawn.id());
            self.told.push(withdrawn.with("/id", id));
        }
    }
}
