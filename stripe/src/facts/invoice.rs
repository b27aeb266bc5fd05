//! Facts about an invoice: its period, its payments and its outcome.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Catalogue, Item, PriceKind};

/// An invoice's status (<https://docs.stripe.com/api/invoices/object#invoice_object-status>), in the order of its lifecycle.
/// Nothing follows the last two, and an invoice reaches only one of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceStatus {
    /// Named by another object only.
    #[default]
    Unknown,
    /// Not finalized.
    Draft,
    /// To be paid.
    Open,
    /// Given up.
    Uncollectible,
    /// Canceled: as if it had never been there.
    Void,
    /// Paid, also where it cost nothing.
    Paid,
}

/// An invoice. Each field only grows, so that merging is commutative, associative and idempotent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Invoice {
    /// When Stripe made it, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<i64>,
    /// The time of the earliest event that names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<i64>,
    /// Its status.
    pub status: InvoiceStatus,
    /// Stripe's `billing_reason`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Periods by price, without prorations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub periods: BTreeMap<String, (i64, i64)>,
    /// True if it has prorations.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub prorations: bool,
    /// True if it has more lines than the event shows.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub more_lines: bool,
    /// The amount paid, in the currency's smallest unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_paid: Option<i64>,
    /// When it was last reported paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paid_at: Option<i64>,
    /// When it was voided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voided_at: Option<i64>,
    /// When a payment last failed, or had to be confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<i64>,
    /// Payment intents and charges for it, with the amount where it is known.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub payments: BTreeMap<String, i64>,
}

/// The earlier of two times.
pub(super) fn earliest(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    one.into_iter().chain(other).min()
}

impl Invoice {
    /// Merges the invoice as another source has it.
    pub(super) fn merge(&mut self, other: Self) {
        self.created = earliest(self.created, other.created);
        self.seen = earliest(self.seen, other.seen);
        self.status = self.status.max(other.status);
        self.reason = self.reason.take().max(other.reason);
        for (price, period) in other.periods {
            let known = self.periods.entry(price).or_insert(period);
            *known = (*known).max(period);
        }
        self.prorations |= other.prorations;
        self.more_lines |= other.more_lines;
        self.amount_paid = self.amount_paid.max(other.amount_paid);
        self.paid_at = self.paid_at.max(other.paid_at);
        self.voided_at = self.voided_at.max(other.voided_at);
        self.failed_at = self.failed_at.max(other.failed_at);
        for (payment, amount) in other.payments {
            let known = self.payments.entry(payment).or_insert(amount);
            *known = (*known).max(amount);
        }
    }

    /// Returns the time when it was created, as far as is known.
    pub(super) fn created_or_seen(&self) -> i64 {
        earliest(self.created, self.seen).unwrap_or(i64::MIN)
    }

    pub(super) fn is_paid(&self) -> bool {
        self.status == InvoiceStatus::Paid
    }

    pub(super) fn is_void(&self) -> bool {
        self.status == InvoiceStatus::Void
    }

    /// Checks whether it was made by hand, beside the subscription's periods and changes.
    pub(super) fn is_manual(&self) -> bool {
        self.reason.as_deref() == Some("manual")
    }

    /// Checks whether it is due, and may be for the plan's base or seats, or for a change of them. A draft demands nothing:
    /// Stripe leaves those of an unpaid subscription so, and only the subscription names them.
    pub(super) fn is_due_for_plan(&self, catalogue: &Catalogue) -> bool {
        let is_of_plan = |price: &String| catalogue.get(price).is_some_and(|price| price.kind != PriceKind::Other);
        let is_for_plan =
            self.prorations || self.more_lines || self.periods.is_empty() || self.periods.keys().any(is_of_plan);
        matches!(self.status, InvoiceStatus::Open | InvoiceStatus::Uncollectible) && is_for_plan
    }

    fn has_prorations_only(&self) -> bool {
        self.prorations && self.periods.is_empty() && !self.more_lines
    }

    /// Checks whether it is for a change within a period. While such an invoice is not paid, the change may be pending
    /// (`pending_if_incomplete`) and the subscription as active as before; only Stripe's status shows it.
    pub(super) fn is_for_change(&self) -> bool {
        let is_for_period = match self.reason.as_deref() {
            None => true,
            Some(reason) => ["subscription_create", "subscription_cycle", "subscription_threshold", "subscription"]
                .contains(&reason),
        };
        !is_for_period || self.has_prorations_only()
    }

    /// Checks whether it paid a period of the plan's base. `items` are those of the subscription's newest state.
    pub(super) fn is_for_base(&self, items: &[Item], catalogue: &Catalogue) -> bool {
        let kind = |price: &str| catalogue.get(price).map(|price| price.kind);
        if self.periods.keys().any(|price| kind(price) == Some(PriceKind::Base)) {
            return true;
        }
        // A price that the catalogue lacks may have been the base once, unless the subscription has it beside a known base.
        let has_base = items.iter().any(|item| kind(&item.price) == Some(PriceKind::Base));
        let may_be_base =
            |price: &str| kind(price).is_none() && !(has_base && items.iter().any(|item| item.price == price));
        let is_whole = matches!(self.reason.as_deref(), None | Some("subscription_create" | "subscription_cycle"));
        let is_unknown = self.periods.is_empty() || self.more_lines;
        is_whole && !self.has_prorations_only() && (is_unknown || self.periods.keys().any(|price| may_be_base(price)))
    }

    /// Returns the end of the base's period that it is for.
    pub(super) fn period_end(&self, catalogue: &Catalogue) -> Option<i64> {
        let of_base = |price: &String| catalogue.get(price).is_some_and(|price| price.kind == PriceKind::Base);
        let ends = self.periods.iter().filter(|(price, _)| of_base(price)).map(|(_, (_, end))| *end);
        ends.min().or_else(|| self.periods.values().map(|(_, end)| *end).max())
    }

    /// Returns the amount that was received for it, where that is known. Two payments of one invoice are more than was due.
    pub(super) fn received(&self) -> Option<i64> {
        let payments: i64 = self.payments.values().fold(0, |sum, amount| sum.saturating_add(*amount));
        self.amount_paid.map(|paid| paid.max(payments)).or((payments > 0).then_some(payments))
    }
}
