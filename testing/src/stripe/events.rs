//! Webhook events with everything that Stripe writes into them.
//!
//! `testing/stripe/VERSION/` has an object of each kind with all its fields, as Stripe's libraries of that version declare
//! them (`scripts/stripe-shapes` compares); what a test wants is written over it.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::Subscription;

/// The API version an event is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 2024-06-20: periods on the subscription; an invoice names subscription, charge and payment intent itself.
    Old,
    /// 2026-10-28: periods on the items; an invoice names its subscription under `parent`, and no payment.
    Current,
}

macro_rules! shape {
    ($version:expr, $name:literal) => {
        match $version {
            Version::Old => include_str!(concat!("../../stripe/2024-06-20/", $name, ".json")),
            Version::Current => include_str!(concat!("../../stripe/2026-10-28.endive/", $name, ".json")),
        }
    };
}

/// Writes events of one API version.
#[derive(Debug, Clone, Copy)]
pub struct Events {
    version: Version,
    livemode: bool,
}

/// An event, to be changed or sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Event(pub Value);

impl Event {
    /// `evt_…`
    ///
    /// # Panics
    /// When a test took it away.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0["id"].as_str().expect("an event has an id")
    }

    /// Returns the body that Stripe posts: like Stripe's, indented by two.
    #[must_use]
    pub fn body(&self) -> String {
        format!("{:#}", self.0)
    }

    /// Returns the event with another value somewhere, by JSON pointer; for instance an object where its id was.
    ///
    /// # Panics
    /// When there is nothing to replace.
    #[must_use]
    pub fn with(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        *self.0.pointer_mut(pointer).unwrap_or_else(|| panic!("an event has no {pointer}")) = value.into();
        self
    }

    /// The object that it is about.
    #[must_use]
    pub fn object(&self) -> &Value {
        &self.0["data"]["object"]
    }
}

impl Events {
    /// Events of a version, in test mode.
    #[must_use]
    pub fn new(version: Version) -> Self {
        Self { version, livemode: false }
    }

    /// Makes events about real money (live mode).
    #[must_use]
    pub fn live(self) -> Self {
        Self { livemode: true, ..self }
    }

    /// `checkout.session.completed` or `.async_payment_succeeded`; `paid`: otherwise the payment is still on its way.
    #[must_use]
    pub fn checkout(&self, kind: &str, of: &Subscription, paid: bool, at: i64) -> Event {
        let mut session = self.shape(shape!(self.version, "checkout_session"));
        let prefix = if self.livemode { "cs_live" } else { "cs_test" };
        write(
            &mut session,
            json!({
                "id": format!("{prefix}_{}", of.name),
                "amount_subtotal": of.amount(), "amount_total": of.amount(),
                "created": of.created, "expires_at": of.created + 86_400,
                "customer": of.customer(), "invoice": of.invoice_id(), "subscription": of.id(),
                "customer_details": {"email": of.email, "name": of.person},
                "payment_status": if paid { "paid" } else { "unpaid" },
            }),
        );
        if let Some(tenant) = &of.tenant {
            write(&mut session, json!({"client_reference_id": tenant, "metadata": {"tenant_id": tenant}}));
        }
        self.event(kind, session, at)
    }

    /// `customer.subscription.…`
    #[must_use]
    pub fn subscription(&self, what: &str, of: &Subscription, at: i64) -> Event {
        let mut event = self.event(&format!("customer.subscription.{what}"), self.subscription_object(of), at);
        if what == "updated" {
            event.0["data"]["previous_attributes"] = json!({"latest_invoice": null});
        }
        event
    }

    /// The subscription itself, as the API answers it.
    #[must_use]
    pub fn subscription_object(&self, of: &Subscription) -> Value {
        let mut subscription = self.shape(shape!(self.version, "subscription"));
        let [trial_start, trial_end] = of.trial_ends();
        write(
            &mut subscription,
            json!({
                "id": of.id(), "customer": of.customer(), "status": of.status,
                "created": of.created, "start_date": of.created, "billing_cycle_anchor": of.created,
                "cancel_at": of.cancel_at, "cancel_at_period_end": of.cancel_at_period_end,
                "canceled_at": of.canceled_at, "ended_at": of.ended_at,
                "trial_start": trial_start, "trial_end": trial_end,
                "latest_invoice": of.invoice_id(),
                "items": {
                    "data": of.items.iter().enumerate().map(|(n, _)| self.item(of, n)).collect::<Vec<_>>(),
                    "has_more": of.more_items,
                    "url": format!("/v1/subscription_items?subscription={}", of.id()),
                },
            }),
        );
        if self.version == Version::Old {
            write(&mut subscription, json!({"current_period_start": of.period.0, "current_period_end": of.period.1}));
        } else {
            write(&mut subscription, json!({"billing_mode": {"updated_at": of.created}}));
        }
        if let Some(behavior) = &of.pause {
            subscription["pause_collection"] = json!({"behavior": behavior, "resumes_at": null});
        }
        subscription
    }

    fn item(&self, of: &Subscription, n: usize) -> Value {
        let mut item = self.shape(shape!(self.version, "subscription_item"));
        let (price, quantity) = &of.items[n];
        write(
            &mut item,
            json!({
                "id": item_id(of, n), "created": of.created, "subscription": of.id(), "quantity": quantity,
                "price": {"id": price, "created": of.created, "livemode": self.livemode},
                "plan": {"id": price, "created": of.created, "livemode": self.livemode},
            }),
        );
        if self.version == Version::Current {
            write(&mut item, json!({"current_period_start": of.period.0, "current_period_end": of.period.1}));
        }
        item
    }

    /// `invoice.…`, about the newest invoice: paid, or still open for anything else.
    #[must_use]
    pub fn invoice(&self, what: &str, of: &Subscription, at: i64) -> Event {
        self.event(&format!("invoice.{what}"), self.invoice_object(of, what == "paid", at), at)
    }

    fn invoice_object(&self, of: &Subscription, paid: bool, at: i64) -> Value {
        let mut invoice = self.shape(shape!(self.version, "invoice"));
        let amount = of.amount();
        let first = of.invoice == 1;
        write(
            &mut invoice,
            json!({
                "id": of.invoice_id(), "customer": of.customer(), "customer_email": of.email, "customer_name": of.person,
                "billing_reason": if first { "subscription_create" } else { "subscription_cycle" },
                "created": of.period.0, "effective_at": of.period.0, "webhooks_delivered_at": of.period.0,
                "period_start": of.period.0, "period_end": of.period.0,
                "amount_due": amount, "subtotal": amount, "subtotal_excluding_tax": amount,
                "total": amount, "total_excluding_tax": amount,
                "amount_paid": if paid { amount } else { 0 }, "amount_remaining": if paid { 0 } else { amount },
                "auto_advance": !paid, "status": if paid { "paid" } else { "open" },
                "next_payment_attempt": if paid || first { Value::Null } else { json!(at + 3 * 86_400) },
                "status_transitions": {"finalized_at": of.period.0, "paid_at": if paid { json!(at) } else { Value::Null }},
                "number": format!("8C2A6B11-{:04}", of.invoice),
                "lines": {
                    "data": of.items.iter().enumerate().map(|(n, _)| self.line(of, n)).collect::<Vec<_>>(),
                    "url": format!("/v1/invoices/{}/lines", of.invoice_id()),
                },
            }),
        );
        write(
            &mut invoice,
            match self.version {
                Version::Old => json!({
                    "subscription": of.id(), "charge": of.charge_id(), "payment_intent": of.payment_intent_id(), "paid": paid,
                }),
                Version::Current => json!({"parent": {"subscription_details": {"subscription": of.id()}}}),
            },
        );
        invoice
    }

    fn line(&self, of: &Subscription, n: usize) -> Value {
        let mut line = self.shape(shape!(self.version, "invoice_line"));
        let (price, quantity) = &of.items[n];
        let amount = i64::from(*quantity) * 9_900;
        write(
            &mut line,
            json!({
                "id": format!("il_{}_{}_{n}", of.name, of.invoice), "invoice": of.invoice_id(), "subscription": of.id(),
                "amount": amount, "quantity": quantity, "period": {"start": of.period.0, "end": of.period.1},
                "description": format!("{quantity} × {price} (at $99.00 / month)"),
            }),
        );
        write(
            &mut line,
            match self.version {
                Version::Old => json!({
                    "amount_excluding_tax": amount, "subscription_item": item_id(of, n),
                    "price": {"id": price, "livemode": self.livemode}, "plan": {"id": price, "livemode": self.livemode},
                }),
                Version::Current => json!({
                    "subtotal": amount, "quantity_decimal": quantity.to_string(), "pricing": {"price_details": {"price": price}},
                    "parent": {"subscription_item_details": {"subscription": of.id(), "subscription_item": item_id(of, n)}},
                }),
            },
        );
        line
    }

    /// `invoice_payment.paid`: names the payment that paid the newest invoice. Only newer versions have it.
    ///
    /// # Panics
    /// With an older version.
    #[must_use]
    pub fn invoice_payment(&self, of: &Subscription, at: i64) -> Event {
        assert_eq!(self.version, Version::Current, "invoices name their payments themselves before 2025-03-31");
        let mut payment = self.shape(include_str!("../../stripe/2026-10-28.endive/invoice_payment.json"));
        write(
            &mut payment,
            json!({
                "id": format!("inpay_{}_{}", of.name, of.invoice), "invoice": of.invoice_id(), "created": of.period.0,
                "amount_paid": of.amount(), "amount_requested": of.amount(),
                "payment": {"payment_intent": of.payment_intent_id()}, "status_transitions": {"paid_at": at},
            }),
        );
        self.event("invoice_payment.paid", payment, at)
    }

    /// `charge.refunded`: the newest invoice's charge, in full or a part.
    #[must_use]
    pub fn refund(&self, of: &Subscription, in_full: bool, at: i64) -> Event {
        let mut charge = self.charge_object(of);
        let amount = if in_full { of.amount() } else { of.amount() / 2 };
        write(&mut charge, json!({"amount_refunded": amount, "refunded": in_full}));
        let mut event = self.event("charge.refunded", charge, at);
        event.0["data"]["previous_attributes"] = json!({"amount_refunded": 0});
        event
    }

    /// The newest invoice's charge, as the API answers it.
    #[must_use]
    pub fn charge_object(&self, of: &Subscription) -> Value {
        let mut charge = self.shape(shape!(self.version, "charge"));
        write(
            &mut charge,
            json!({
                "id": of.charge_id(), "customer": of.customer(), "payment_intent": of.payment_intent_id(),
                "amount": of.amount(), "amount_captured": of.amount(), "created": of.period.0,
                "billing_details": {"email": of.email, "name": of.person},
                "payment_method_details": {"card": {"amount_authorized": of.amount()}},
            }),
        );
        if self.version == Version::Old {
            charge["invoice"] = of.invoice_id().into();
        }
        charge
    }

    /// `charge.dispute.created`, or `.closed` for a status that is one of a closed dispute.
    #[must_use]
    pub fn dispute(&self, of: &Subscription, status: &str, at: i64) -> Event {
        let closed = matches!(status, "won" | "lost" | "warning_closed");
        let mut dispute = self.shape(shape!(self.version, "dispute"));
        write(
            &mut dispute,
            json!({
                "id": format!("du_{}_{}", of.name, of.invoice), "charge": of.charge_id(),
                "payment_intent": of.payment_intent_id(), "amount": of.amount(), "created": at, "status": status,
                "evidence_details": {"due_by": at + 9 * 86_400},
            }),
        );
        self.event(if closed { "charge.dispute.closed" } else { "charge.dispute.created" }, dispute, at)
    }

    /// `customer.updated` or `.deleted`, with the subscription's e-mail address and name.
    #[must_use]
    pub fn customer(&self, what: &str, of: &Subscription, at: i64) -> Event {
        let mut customer = self.shape(shape!(self.version, "customer"));
        write(
            &mut customer,
            json!({
                "id": of.customer(), "created": of.created, "email": of.email, "name": of.person,
                "next_invoice_sequence": of.invoice + 1,
            }),
        );
        let mut event = self.event(&format!("customer.{what}"), customer, at);
        if what == "updated" {
            event.0["data"]["previous_attributes"] = json!({"email": null});
        }
        event
    }

    pub(super) fn event(&self, kind: &str, object: Value, at: i64) -> Event {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let mut event = self.shape(shape!(self.version, "event"));
        let id = format!("evt_{:08x}{:06}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        write(&mut event, json!({"id": id, "type": kind, "created": at, "data": {"object": object}}));
        Event(event)
    }

    fn shape(&self, text: &str) -> Value {
        let mut shape: Value = serde_json::from_str(text).expect("the shapes are JSON");
        if let Some(livemode) = shape.get_mut("livemode") {
            *livemode = self.livemode.into();
        }
        shape
    }
}

fn item_id(of: &Subscription, n: usize) -> String {
    format!("si_{}_{n}", of.name)
}

/// Writes values over a shape's own.
fn write(shape: &mut Value, values: Value) {
    match (shape, values) {
        (Value::Object(shape), Value::Object(values)) => {
            for (name, value) in values {
                write(shape.entry(name).or_insert(Value::Null), value);
            }
        }
        (shape, value) => *shape = value,
    }
}
