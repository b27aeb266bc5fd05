//! Invoices, payments, refunds and disputes, whichever API version wrote them.

use serde_json::Value;

use super::{EventKind, Malformed, ParsedEvent, PaymentFailure, id, time};
use crate::facts::{DisputeState, Invoice, InvoiceStatus};

/// An invoice as an event or Stripe's API has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedInvoice {
    /// `in_…`
    pub id: String,
    /// The subscription that it is for; `None` for a one-off invoice.
    pub subscription: Option<String>,
    /// Payment intents and charges that it names, also those that failed.
    pub payments: Vec<String>,
    /// The invoice's facts.
    pub invoice: Invoice,
}

/// Parses an invoice as an event or Stripe's API has it.
///
/// # Errors
/// The missing field.
pub fn invoice(object: &Value) -> Result<ParsedInvoice, Malformed> {
    let lines = object["lines"]["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    let subscription = id(&object["subscription"])
        .or_else(|| id(&object["parent"]["subscription_details"]["subscription"]))
        .or_else(|| lines.iter().find_map(|line| id(&line["subscription"])))
        .or_else(|| lines.iter().find_map(|l| id(&l["parent"]["subscription_item_details"]["subscription"])));
    let transitions = &object["status_transitions"];
    let mut invoice = Invoice {
        created: time(&object["created"])?,
        status: serde_json::from_value(object["status"].clone()).unwrap_or_default(),
        reason: object["billing_reason"].as_str().map(|reason| reason.chars().take(64).collect()),
        more_lines: object["lines"]["has_more"] == true,
        ..Invoice::default()
    };
    lines.iter().for_each(|line| add_line(&mut invoice, line));
    let listed = object["payments"]["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut payments: Vec<String> =
        [id(&object["charge"]), id(&object["payment_intent"])].into_iter().flatten().collect();
    match invoice.status {
        InvoiceStatus::Paid => {
            invoice.paid_at = time(&transitions["paid_at"])?;
            invoice.amount_paid = object["amount_paid"].as_i64();
            invoice.payments.extend(payments.iter().map(|payment| (payment.clone(), 0)));
            let paid = listed.iter().filter(|payment| payment["status"] == "paid");
            paid.for_each(|payment| add_payment(&mut invoice, payment));
        }
        InvoiceStatus::Void => invoice.voided_at = time(&transitions["voided_at"])?,
        _ => {}
    }
    payments.extend(listed.iter().flat_map(paid_with));
    let id = id(object).ok_or(Malformed("id of the invoice"))?;
    Ok(ParsedInvoice { id, subscription, payments, invoice })
}

/// Returns the ids that a payment of an invoice was made with: a payment intent, a charge, or both.
fn paid_with(payment: &Value) -> impl Iterator<Item = String> {
    [id(&payment["payment"]["payment_intent"]), id(&payment["payment"]["charge"])].into_iter().flatten()
}

fn add_payment(invoice: &mut Invoice, payment: &Value) {
    let amount = payment["amount_paid"].as_i64().unwrap_or(0);
    for (n, with) in paid_with(payment).enumerate() {
        invoice.payments.insert(with, if n == 0 { amount } else { 0 });
    }
}

fn add_line(invoice: &mut Invoice, line: &Value) {
    let parent = &line["parent"];
    let details = [&parent["subscription_item_details"], &parent["invoice_item_details"], line];
    if details.iter().any(|details| details["proration"] == true) {
        invoice.prorations = true;
        return;
    }
    let price =
        id(&line["pricing"]["price_details"]["price"]).or_else(|| id(&line["price"])).or_else(|| id(&line["plan"]));
    let at = |end: &str| time(&line["period"][end]).ok().flatten();
    match price.zip(at("start").zip(at("end"))) {
        Some((price, period)) => {
            let known = invoice.periods.entry(price).or_insert(period);
            *known = (*known).max(period);
        }
        None => invoice.more_lines = true,
    }
}

/// Parses an event about an invoice; `None` for a one-off one.
pub(super) fn invoice_event(kind: &str, at: i64, object: &Value) -> Result<Option<ParsedEvent>, Malformed> {
    // The event's type is surer than the object's fields, which older versions have elsewhere.
    let mut object = std::borrow::Cow::Borrowed(object);
    let status = match kind {
        "invoice.paid" | "invoice.payment_succeeded" => Some("paid"),
        "invoice.voided" => Some("void"),
        "invoice.marked_uncollectible" => Some("uncollectible"),
        _ => None,
    };
    if let Some(status) = status.filter(|status| object["status"] != *status && object.is_object()) {
        object.to_mut()["status"] = status.into();
    }
    let ParsedInvoice { id: invoice_id, subscription, payments, mut invoice } = invoice(&object)?;
    let Some(subscription) = subscription else { return Ok(None) };
    let failure = match kind {
        "invoice.payment_failed" | "invoice.payment_action_required" => {
            invoice.failed_at = Some(at);
            let url = object["hosted_invoice_url"].as_str().filter(|url| url.starts_with("https://"));
            Some(PaymentFailure { action_required: kind.ends_with("action_required"), url: url.map(str::to_owned) })
        }
        "invoice.paid" | "invoice.payment_succeeded" => {
            invoice.paid_at = Some(at);
            None
        }
        "invoice.voided" => {
            invoice.voided_at = Some(at);
            None
        }
        _ => None,
    };
    Ok(Some(ParsedEvent {
        customer: id(&object["customer"]),
        subscription: Some(subscription),
        references: std::iter::once(invoice_id.clone()).chain(payments).collect(),
        kind: EventKind::Invoice { id: invoice_id, invoice, failure },
    }))
}

/// Parses the link between an invoice and the payment intent that paid it, which newer invoices lack.
pub(super) fn invoice_payment(object: &Value) -> Result<ParsedEvent, Malformed> {
    let id = id(&object["invoice"]).ok_or(Malformed("invoice"))?;
    let mut invoice = Invoice::default();
    add_payment(&mut invoice, object);
    let references = std::iter::once(id.clone()).chain(paid_with(object)).collect();
    let kind = EventKind::Invoice { id, invoice, failure: None };
    Ok(ParsedEvent { customer: None, subscription: None, references, kind })
}

/// Parses a charge that was refunded; `None` where that was in part.
pub(super) fn refund(charge: &Value) -> Result<Option<ParsedEvent>, Malformed> {
    if charge["refunded"] != true {
        return Ok(None);
    }
    let charge_id = id(charge).ok_or(Malformed("id of the charge"))?;
    let references = [Some(charge_id.clone()), id(&charge["payment_intent"]), id(&charge["invoice"])];
    Ok(Some(ParsedEvent {
        customer: id(&charge["customer"]),
        subscription: None,
        references: references.into_iter().flatten().collect(),
        kind: EventKind::Refund { charge: charge_id, amount: charge["amount_refunded"].as_i64() },
    }))
}

/// Parses a refund that changed. Only one that failed or was canceled is handled: the event of its charge has the rest.
pub(super) fn refund_changed(refund: &Value) -> Result<Option<ParsedEvent>, Malformed> {
    if !matches!(refund["status"].as_str(), Some("failed" | "canceled")) {
        return Ok(None);
    }
    let references: Vec<String> =
        [id(&refund["charge"]), id(&refund["payment_intent"])].into_iter().flatten().collect();
    let charge = references.first().cloned().ok_or(Malformed("charge of the refund"))?;
    let customer = id(&refund["charge"]["customer"]);
    Ok(Some(ParsedEvent { customer, subscription: None, references, kind: EventKind::RefundFailed { charge } }))
}

/// Returns the state of a dispute with this status (<https://docs.stripe.com/api/disputes/object#dispute_object-status>).
#[must_use]
pub fn dispute_state(status: &str) -> DisputeState {
    match status {
        "won" | "warning_closed" | "prevented" => DisputeState::Won,
        "lost" => DisputeState::Lost,
        warning if warning.starts_with("warning_") => DisputeState::Inquiry,
        _ => DisputeState::Open,
    }
}

/// Parses an event about a dispute.
pub(super) fn dispute(kind: &str, object: &Value) -> Result<ParsedEvent, Malformed> {
    let status = object["status"].as_str().ok_or(Malformed("status of the dispute"))?;
    let state = match (kind, dispute_state(status)) {
        ("charge.dispute.closed", DisputeState::Inquiry | DisputeState::Open) => {
            return Err(Malformed("status of a closed dispute"));
        }
        ("charge.dispute.funds_withdrawn", DisputeState::Inquiry) => DisputeState::Open,
        ("charge.dispute.funds_reinstated", _) => DisputeState::Won,
        (_, state) => state,
    };
    let charge = &object["charge"];
    let references = [id(charge), id(&object["payment_intent"]), id(&charge["invoice"])];
    Ok(ParsedEvent {
        customer: id(&charge["customer"]),
        subscription: None,
        references: references.into_iter().flatten().collect(),
        kind: EventKind::Dispute { dispute: id(object).ok_or(Malformed("id of the dispute"))?, state },
    })
}
