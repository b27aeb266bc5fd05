//! The parts of an event that licenses depend on, whichever API version wrote it (<https://docs.stripe.com/api/events>).
//!
//! An event has the shape of the API version that its endpoint, or the account, was set to when it was made. Two changes
//! of 2025-03-31 ("basil") matter here: the period's end moved from the subscription to its items, and an invoice's
//! subscription under `parent`. Objects may come expanded wherever an id is expected. So values are looked for where each
//! version has them, instead of being read into one version's types.

mod envelope;
mod money;

use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

use crate::facts::{DisputeState, Facts, Invoice, Item, Snapshot, Stage, Status};

pub use envelope::Unreadable;
pub use money::{ParsedInvoice, dispute_state, invoice};

/// The longest id that is looked at; Stripe's have up to 255 characters (<https://docs.stripe.com/upgrades>).
const ID_MAX_BYTES: usize = 255;

/// An event whose signature was checked.
#[derive(Debug, Clone)]
pub struct Event {
    /// `evt_…`
    pub id: String,
    /// `customer.subscription.updated` and the like.
    pub kind: String,
    /// When it happened, in seconds since 1970. Events have no other order.
    pub created: i64,
    /// True for an event about real money.
    pub livemode: bool,
    object: Value,
}

/// Error of an event that isn't of the shape that Stripe documents; names the missing field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The event has no usable {}.", self.0)
    }
}

/// The ids that an event names, and the change that it reports.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedEvent {
    /// The customer, where the event names it.
    pub customer: Option<String>,
    /// The subscription, where the event names it.
    pub subscription: Option<String>,
    /// Invoices, charges and payment intents that the event names: each belongs to the subscription.
    pub references: Vec<String>,
    /// The reported change.
    pub kind: EventKind,
}

impl ParsedEvent {
    /// Returns every id that the event names.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.subscription.iter().chain(&self.customer).chain(&self.references).cloned().collect()
    }

    /// Merges the event, of this time, into the facts of its subscription. Returns false if a guess decides which of two states
    /// of the same second is newer.
    pub fn merge_into(&self, facts: &mut Facts, at: i64) -> bool {
        let mut add_invoices = || {
            let invoices = self.references.iter().filter(|id| id.starts_with("in_"));
            invoices.for_each(|id| facts.merge_invoice(at, id, Invoice::default()));
        };
        match &self.kind {
            EventKind::Checkout { paid, snapshot, .. } => {
                add_invoices();
                facts.merge_checkout(*paid);
                return snapshot.as_ref().is_none_or(|s| facts.merge_snapshot(at, Stage::Created, s.clone()));
            }
            EventKind::Subscription { snapshot, stage, .. } => {
                add_invoices();
                return facts.merge_snapshot(at, *stage, snapshot.clone());
            }
            EventKind::Invoice { id, invoice, .. } => facts.merge_invoice(at, id, invoice.clone()),
            EventKind::Refund { charge, amount } => facts.merge_refund(at, charge, &self.references, *amount),
            EventKind::RefundFailed { charge } => facts.merge_failed_refund(at, charge, &self.references),
            EventKind::Dispute { dispute, state } => facts.merge_dispute(at, dispute, &self.references, *state),
            EventKind::Customer { .. } => {}
        }
        true
    }
}

/// A change that an event reports.
#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    /// A subscription was bought.
    Checkout {
        /// True if it is paid already, or needs no payment.
        paid: bool,
        /// The tenant that the billing function wrote into the session's metadata.
        tenant: Option<String>,
        /// Contact of the buyer.
        contact: Contact,
        /// The subscription, where it came expanded.
        snapshot: Option<Snapshot>,
    },
    /// A subscription's state.
    Subscription {
        /// The state.
        snapshot: Snapshot,
        /// Stage of its lifecycle.
        stage: Stage,
        /// True if the trial is about to end.
        trial_will_end: bool,
    },
    /// A change of an invoice.
    Invoice {
        /// `in_…`
        id: String,
        /// The invoice as the event has it.
        invoice: Invoice,
        /// A payment failed, or has to be confirmed.
        failure: Option<PaymentFailure>,
    },
    /// A charge was refunded in full.
    Refund {
        /// `ch_…`
        charge: String,
        /// The amount, in the currency's smallest unit.
        amount: Option<i64>,
    },
    /// A charge's refund failed, or was canceled: the money is back.
    RefundFailed {
        /// `ch_…`; the payment intent where the refund names no charge.
        charge: String,
    },
    /// A dispute was opened or closed, or the money for it was withdrawn or reinstated.
    Dispute {
        /// `du_…` or `dp_…`
        dispute: String,
        /// State of the dispute.
        state: DisputeState,
    },
    /// A customer's contact changed.
    Customer {
        /// The new contact.
        contact: Contact,
        /// True if the customer is deleted, and its subscriptions with it.
        deleted: bool,
    },
}

/// A payment that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentFailure {
    /// The customer has to confirm it at the bank.
    pub action_required: bool,
    /// Stripe's page to pay at.
    pub url: Option<String>,
}

/// Contact of a customer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contact {
    /// E-mail address, in lower case.
    pub email: Option<String>,
    /// Name of person or organization.
    pub name: Option<String>,
}

impl Event {
    /// Parses the object of the event; `None` for a type that is not handled.
    ///
    /// # Errors
    /// The missing field of an event of a type that is handled.
    pub fn parse_object(&self) -> Result<Option<ParsedEvent>, Malformed> {
        let object = &self.object;
        match self.kind.as_str() {
            "checkout.session.completed" => checkout(object, false),
            "checkout.session.async_payment_succeeded" => checkout(object, true),
            "customer.subscription.created" => subscription(object, Stage::Created).map(Some),
            "customer.subscription.deleted" => subscription(object, Stage::Deleted).map(Some),
            "customer.subscription.updated"
            | "customer.subscription.paused"
            | "customer.subscription.resumed"
            | "customer.subscription.pending_update_applied"
            | "customer.subscription.pending_update_expired"
            | "customer.subscription.trial_will_end" => {
                let mut parsed = subscription(object, Stage::Updated)?;
                if let EventKind::Subscription { trial_will_end, .. } = &mut parsed.kind {
                    *trial_will_end = self.kind.ends_with("trial_will_end");
                }
                Ok(Some(parsed))
            }
            "invoice.finalized"
            // The second is the older name of the first; localised accounts still send both.
            | "invoice.paid"
            | "invoice.payment_succeeded"
            | "invoice.payment_failed"
            | "invoice.payment_action_required"
            | "invoice.voided"
            | "invoice.marked_uncollectible" => money::invoice_event(&self.kind, self.created, object),
            "invoice_payment.paid" => money::invoice_payment(object).map(Some),
            "charge.refunded" => money::refund(object),
            "refund.failed" | "refund.updated" | "charge.refund.updated" => money::refund_changed(object),
            "charge.dispute.created"
            | "charge.dispute.updated"
            | "charge.dispute.closed"
            | "charge.dispute.funds_withdrawn"
            | "charge.dispute.funds_reinstated" => money::dispute(&self.kind, object).map(Some),
            "customer.updated" => customer(object, false).map(Some),
            "customer.deleted" => customer(object, true).map(Some),
            _ => Ok(None),
        }
    }
}

fn checkout(session: &Value, succeeded: bool) -> Result<Option<ParsedEvent>, Malformed> {
    // One-off payments and saved cards are no subscriptions.
    let Some(subscription_id) = id(&session["subscription"]).filter(|_| session["mode"] == "subscription") else {
        return Ok(None);
    };
    let details = &session["customer_details"];
    let email = [&details["email"], &session["customer_email"], &session["customer"]["email"]];
    Ok(Some(ParsedEvent {
        customer: Some(id(&session["customer"]).ok_or(Malformed("customer"))?),
        subscription: Some(subscription_id),
        references: id(&session["invoice"]).into_iter().collect(),
        kind: EventKind::Checkout {
            paid: succeeded || session["payment_status"] != "unpaid",
            tenant: session["metadata"]["tenant_id"].as_str().map(str::to_owned),
            contact: Contact {
                email: email.into_iter().find_map(email_address),
                name: [&details["business_name"], &details["name"]].into_iter().find_map(name),
            },
            snapshot: session["subscription"].is_object().then(|| snapshot(&session["subscription"])).transpose()?,
        },
    }))
}

fn subscription(object: &Value, stage: Stage) -> Result<ParsedEvent, Malformed> {
    Ok(ParsedEvent {
        customer: Some(id(&object["customer"]).ok_or(Malformed("customer"))?),
        subscription: Some(id(object).ok_or(Malformed("id of the subscription"))?),
        references: id(&object["latest_invoice"]).into_iter().collect(),
        kind: EventKind::Subscription { snapshot: snapshot(object)?, stage, trial_will_end: false },
    })
}

/// Reads a subscription as an event or Stripe's API has it.
///
/// # Errors
/// The missing field.
pub fn snapshot(object: &Value) -> Result<Snapshot, Malformed> {
    let status: Status = serde_json::from_value(object["status"].clone()).map_err(|_| Malformed("status"))?;
    let data = object["items"]["data"].as_array().ok_or(Malformed("items"))?;
    let items = data.iter().filter(|i| i["deleted"] != true).map(|i| item(i, object)).collect::<Result<_, _>>()?;
    let ends = data.iter().map(|item| time(&item["current_period_end"])).collect::<Result<Vec<_>, _>>()?;
    let period_end = time(&object["current_period_end"])?.or_else(|| ends.into_iter().flatten().max());
    Ok(Snapshot {
        status,
        items,
        more_items: object["items"]["has_more"] == true,
        period_end,
        cancel_at: time(&object["cancel_at"])?,
        cancel_at_period_end: object["cancel_at_period_end"] == true,
        ended_at: time(&object["ended_at"])?,
        trial_end: time(&object["trial_end"])?,
        // Of the three behaviors this alone means that nothing is served meanwhile
        // (https://docs.stripe.com/billing/subscriptions/pause-payment).
        pause_void: object["pause_collection"]["behavior"] == "void",
    })
}

/// Parses an item. Up to 2025-03-31 the period is the subscription's, from then on each item's.
fn item(item: &Value, subscription: &Value) -> Result<Item, Malformed> {
    // Before 2020 prices were called plans; `plan` is still sent beside `price`.
    let price = id(&item["price"]).or_else(|| id(&item["plan"])).ok_or(Malformed("price of an item"))?;
    // Metered prices have no quantity.
    let quantity = match &item["quantity"] {
        Value::Null => 1,
        given => given.as_u64().and_then(|n| u32::try_from(n).ok()).ok_or(Malformed("quantity of an item"))?,
    };
    let of = if item["current_period_end"].is_null() { subscription } else { item };
    let period = time(&of["current_period_start"])?.zip(time(&of["current_period_end"])?);
    Ok(Item { price, quantity, period })
}

fn customer(object: &Value, deleted: bool) -> Result<ParsedEvent, Malformed> {
    Ok(ParsedEvent {
        customer: Some(id(object).ok_or(Malformed("id of the customer"))?),
        subscription: None,
        references: Vec::new(),
        kind: EventKind::Customer {
            contact: Contact { email: email_address(&object["email"]), name: name(&object["name"]) },
            deleted,
        },
    })
}

/// Parses an id, also of an expanded object.
fn id(value: &Value) -> Option<String> {
    visible_ascii(value).or_else(|| visible_ascii(&value["id"]))
}

/// Parses a text of visible ASCII characters.
fn visible_ascii(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let sane = (1..=ID_MAX_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    sane.then(|| text.to_owned())
}

/// Parses seconds since 1970, in years that Postgres and a clock have.
fn time(value: &Value) -> Result<Option<i64>, Malformed> {
    match value {
        Value::Null => Ok(None),
        given => {
            let at = given.as_i64().filter(|at| *at >= 0 && Timestamp::from_second(*at).is_ok());
            at.map(Some).ok_or(Malformed("time"))
        }
    }
}

/// Parses an e-mail address, as far as that is possible without sending a mail.
fn email_address(value: &Value) -> Option<String> {
    let text = value.as_str()?.trim().to_lowercase();
    let sane = (3..=254).contains(&text.len()) && text.contains('@') && !text.chars().any(char::is_control);
    sane.then_some(text)
}

/// Parses a name, without control characters, which neither a name nor a Postgres text should have.
fn name(value: &Value) -> Option<String> {
    let text: String = value.as_str()?.chars().filter(|c| !c.is_control()).take(200).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
