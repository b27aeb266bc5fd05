//! Periods that Stripe reported as unpaid, and how long they are served.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::invoice::{Invoice, earliest};
use super::{Catalogue, Facts, PriceKind, Snapshot, Status, creation_order};

/// The longest period that is served to its end when Stripe gives up on its payment. A longer one ends then.
const LONGEST_GRACE_SECONDS: i64 = 31 * 86_400;

/// Stripe's reports of a period as unpaid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct UnpaidReport {
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<i64>,
    /// When it was last reported.
    at: i64,
    /// When it was first reported that Stripe does not retry any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gave_up_at: Option<i64>,
}

/// Periods that were reported as unpaid, by price and end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct UnpaidPeriods(BTreeMap<String, BTreeMap<i64, UnpaidReport>>);

/// A period without a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnpaidPeriod {
    /// When the period ends.
    pub(super) end: i64,
    pub(super) start: Option<i64>,
    /// When Stripe gave up on its payment.
    pub(super) gave_up_at: Option<i64>,
}

impl UnpaidPeriods {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn merge(&mut self, at: i64, snapshot: &Snapshot) {
        if !matches!(snapshot.status, Status::PastDue | Status::Unpaid) {
            return;
        }
        let gave_up_at = (snapshot.status == Status::Unpaid).then_some(at);
        for item in &snapshot.items {
            let start = item.period.map(|(start, _)| start);
            let Some(end) = item.period.map(|(_, end)| end).or(snapshot.period_end) else { continue };
            let reported = UnpaidReport { start, at, gave_up_at };
            let known = self.0.entry(item.price.clone()).or_default().entry(end).or_insert(reported);
            known.start = known.start.max(start);
            known.at = known.at.max(at);
            known.gave_up_at = earliest(known.gave_up_at, gave_up_at);
        }
    }
}

impl UnpaidPeriod {
    /// Returns the end of service in the period although it is unpaid. A long one ends when Stripe gives up on its payment:
    /// the retries were its grace.
    pub(super) fn served_until(self) -> i64 {
        let is_long = self.start.is_some_and(|start| self.end - start > LONGEST_GRACE_SECONDS);
        self.gave_up_at.filter(|at| is_long && *at < self.end).unwrap_or(self.end)
    }
}

impl Facts {
    /// Returns the first period of the base that was reported as unpaid, and not settled since. A period of the base that was
    /// paid is none, where only invoices of other items are not paid.
    pub(super) fn first_unpaid_period(&self, catalogue: &Catalogue) -> Option<UnpaidPeriod> {
        let is_base = |price: &str| catalogue.get(price).is_some_and(|price| price.kind == PriceKind::Base);
        let has_base = self.payments.unpaid_periods.0.keys().any(|price| is_base(price));
        let of_base = self.payments.unpaid_periods.0.iter().filter(|(price, _)| !has_base || is_base(price));
        let reported =
            of_base.flat_map(|(price, ends)| ends.iter().filter(|(end, _)| !self.has_paid(price, **end, catalogue)));
        let reported = reported.map(|(end, report)| (*end, *report));
        let older = self.unpaid.iter().map(|(end, at)| (*end, UnpaidReport { start: None, at: *at, gave_up_at: None }));
        let open = reported.chain(older).filter(|(_, report)| !self.is_settled_since(report.at));
        let open: Vec<(i64, UnpaidReport)> = open.collect();
        let (end, first) =
            open.iter().min_by_key(|(end, report)| (*end, report.start.is_none(), report.at)).copied()?;
        // Stripe gives up on a subscription, not on one of its periods.
        let gave_up_at = open.iter().filter_map(|(_, report)| report.gave_up_at).min();
        Some(UnpaidPeriod { end, start: first.start, gave_up_at })
    }

    /// Checks whether the period of a price that ends then was paid, and all that is owed is for items beside the plan.
    pub(super) fn has_paid(&self, price: &str, end: i64, catalogue: &Catalogue) -> bool {
        let is_for_period = |invoice: &Invoice| invoice.periods.get(price).is_some_and(|period| period.1 == end);
        self.payments.invoices.values().any(|invoice| invoice.is_paid() && is_for_period(invoice))
            && !self.own_invoices().any(|(_, invoice)| invoice.is_due_for_plan(catalogue))
    }

    /// Checks whether all was paid at or after a time. An older invoice that is paid while a newer one is open settles
    /// nothing.
    fn is_settled_since(&self, since: i64) -> bool {
        let was_newest = |id: &String, invoice: &Invoice| {
            let newer = |(other, o): (&String, &Invoice)| {
                !o.is_void()
                    && creation_order(other, o) > creation_order(id, invoice)
                    && Some(o.created_or_seen()) <= invoice.paid_at
            };
            !self.own_invoices().any(newer)
        };
        let settles = |(id, invoice): (&String, &Invoice)| {
            invoice.is_paid() && invoice.paid_at >= Some(since) && was_newest(id, invoice)
        };
        self.settled_at >= Some(since) || self.own_invoices().any(settles)
    }
}
