//! Look-ups at Stripe's API, for what events alone can't decide.

use stripe::api::Api;
use stripe::event::{EventKind, ParsedEvent, ParsedInvoice, invoice, snapshot};
use stripe::facts::{KnownState, Snapshot};

/// Stripe's API during a request. After a failed call there is no other one, so that the wait is bounded however many events
/// are processed meanwhile.
pub(super) struct StripeLookup<'a> {
    api: Option<&'a Api>,
}

/// Error of a look-up: Stripe gave no answer, or no API key is configured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unavailable;

/// A subscription that was fetched from Stripe.
pub(super) struct FetchedSubscription {
    pub(super) subscription: String,
    /// The state that was known before: the answer is not newer than a state that became known meanwhile.
    pub(super) known: KnownState,
    /// `None` inside: there is no such subscription.
    pub(super) answer: Result<Option<Snapshot>, Unavailable>,
}

impl<'a> StripeLookup<'a> {
    pub(super) fn new(api: Option<&'a Api>) -> Self {
        Self { api }
    }

    pub(super) fn is_available(&self) -> bool {
        self.api.is_some()
    }

    /// Fetches a subscription; `None` when there is none of this id.
    pub(super) async fn subscription(&mut self, id: &str) -> Result<Option<Snapshot>, Unavailable> {
        let Some(value) = self.checked(self.api.ok_or(Unavailable)?.subscription(id).await)? else { return Ok(None) };
        let answer = snapshot(&value).map(Some);
        answer.map_err(|error| {
            tracing::warn!(subscription = id, %error, "Stripe's answer could not be read");
            Unavailable
        })
    }

    /// Fetches the invoice that a refunded or disputed payment was for; `None` when it was for none.
    pub(super) async fn invoice_of_payment(
        &mut self,
        parsed: &ParsedEvent,
    ) -> Result<Option<ParsedInvoice>, Unavailable> {
        let of_kind = |prefix: &str| parsed.references.iter().find(|id| id.starts_with(prefix)).map(String::as_str);
        let charge = of_kind("ch_").or_else(|| of_kind("py_"));
        let answer = self.api.ok_or(Unavailable)?.invoice_of_payment(charge, of_kind("pi_")).await;
        let Some(value) = self.checked(answer)? else { return Ok(None) };
        let mut found = invoice(&value).map_err(|error| {
            tracing::warn!(%error, "Stripe's answer could not be read");
            Unavailable
        })?;
        // These paid it, also where the invoice doesn't name them.
        let paid_with = parsed.references.iter().filter(|id| !id.starts_with("in_"));
        for payment in paid_with {
            found.invoice.payments.entry(payment.clone()).or_insert(0);
        }
        Ok(Some(found))
    }

    /// Ends the look-ups after a failed call.
    fn checked<T>(&mut self, answer: Result<T, stripe::api::ApiError>) -> Result<T, Unavailable> {
        answer.map_err(|error| {
            tracing::warn!(%error, "Stripe could not be asked");
            self.api = None;
            Unavailable
        })
    }
}

/// Returns true if an event is about a payment, whose subscription it may not name.
pub(super) fn is_about_payment(parsed: &ParsedEvent) -> bool {
    matches!(parsed.kind, EventKind::Refund { .. } | EventKind::RefundFailed { .. } | EventKind::Dispute { .. })
}
