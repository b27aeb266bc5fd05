//! A customer's subscription at Stripe, as a test wants it to be.

use serde_json::{Value, json};

/// A customer's subscription. Change it, then make an event of it with [`super::Events`].
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Base of the ids of the customer, the subscription, its invoices and charges.
    pub name: String,
    /// The customer's and the subscription's ids where they are not made of the name.
    pub ids: Option<(String, String)>,
    /// E-mail address of the buyer.
    pub email: String,
    /// Name of the buyer.
    pub person: String,
    /// The tenant that the Checkout session's metadata names.
    pub tenant: Option<String>,
    /// Stripe's status.
    pub status: String,
    /// Prices and quantities.
    pub items: Vec<(String, u32)>,
    /// True if there are more items than the events show.
    pub more_items: bool,
    /// Time at which it began, in seconds since 1970.
    pub created: i64,
    /// The current period, in seconds since 1970.
    pub period: (i64, i64),
    /// True if it is to end with the period.
    pub cancel_at_period_end: bool,
    /// Time at which it is to end.
    pub cancel_at: Option<i64>,
    /// Time of the cancellation.
    pub canceled_at: Option<i64>,
    /// Time at which it ended.
    pub ended_at: Option<i64>,
    /// The trial.
    pub trial: Option<(i64, i64)>,
    /// Handling of invoices while their collection is paused: `keep_as_draft`, `mark_uncollectible` or `void`.
    pub pause: Option<String>,
    /// The number of the newest invoice.
    pub invoice: u32,
}

impl Subscription {
    /// Makes an active subscription that begins now, for 30 days.
    #[must_use]
    pub fn new(name: &str, items: &[(&str, u32)], now: i64) -> Self {
        Self {
            name: name.to_owned(),
            ids: None,
            email: format!("ann@{name}.test"),
            person: "Ann Archer".to_owned(),
            tenant: None,
            status: "active".to_owned(),
            items: items.iter().map(|(price, quantity)| ((*price).to_owned(), *quantity)).collect(),
            more_items: false,
            created: now,
            period: (now, now + 30 * 86_400),
            cancel_at_period_end: false,
            cancel_at: None,
            canceled_at: None,
            ended_at: None,
            trial: None,
            pause: None,
            invoice: 1,
        }
    }

    /// `sub_…`
    #[must_use]
    pub fn id(&self) -> String {
        self.ids.as_ref().map_or_else(|| format!("sub_{}", self.name), |(_, subscription)| subscription.clone())
    }

    /// `cus_…`
    #[must_use]
    pub fn customer(&self) -> String {
        self.ids.as_ref().map_or_else(|| format!("cus_{}", self.name), |(customer, _)| customer.clone())
    }

    /// `in_…`, the newest one.
    #[must_use]
    pub fn invoice_id(&self) -> String {
        format!("in_{}_{}", self.name, self.invoice)
    }

    /// `ch_…` of the newest invoice.
    #[must_use]
    pub fn charge_id(&self) -> String {
        format!("ch_{}_{}", self.name, self.invoice)
    }

    /// `pi_…` of the newest invoice.
    #[must_use]
    pub fn payment_intent_id(&self) -> String {
        format!("pi_{}_{}", self.name, self.invoice)
    }

    /// Ends it, with the values that Stripe sends in the last event.
    pub fn end(&mut self, at: i64) {
        self.status = "canceled".to_owned();
        self.canceled_at = self.canceled_at.or(Some(at));
        self.ended_at = Some(at);
    }

    /// Begins the next period, with an invoice of its own.
    pub fn renew(&mut self) {
        let (from, to) = self.period;
        self.period = (to, to + (to - from));
        self.invoice += 1;
    }

    pub(super) fn amount(&self) -> i64 {
        self.items.iter().map(|(_, quantity)| i64::from(*quantity) * 9_900).sum()
    }

    pub(super) fn trial_ends(&self) -> [Value; 2] {
        self.trial.map_or([Value::Null, Value::Null], |(from, to)| [json!(from), json!(to)])
    }
}
