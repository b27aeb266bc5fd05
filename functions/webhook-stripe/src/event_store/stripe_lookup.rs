//! Look-ups at Stripe's API, for what events alone can't decide.

use serde_json::Value;
use stripe::api::{Api, ApiError};
use stripe::event::{Malformed, ParsedEvent, ParsedInvoice, invoice, snapshot};
use stripe::facts::Snapshot;

/// Stripe's API during a request. After a failed call there is no other one, so that the wait is bounded however many events
/// are processed meanwhile.
pub(super) struct StripeLookup<'a> {
    api: Option<&'a Api>,
}

/// Outcome of a look-up.
pub(super) enum Lookup<T> {
    Found(T),
    /// Stripe has no such object.
    Missing,
    /// Stripe gave no usable answer, or no API key is configured.
    Unavailable,
}

impl<'a> StripeLookup<'a> {
    pub(super) fn new(api: Option<&'a Api>) -> Self {
        Self { api }
    }

    pub(super) fn is_available(&self) -> bool {
        self.api.is_some()
    }

    /// Fetches a subscription.
    pub(super) async fn subscription(&mut self, id: &str) -> Lookup<Snapshot> {
        let Some(api) = self.api else { return Lookup::Unavailable };
        let answer = api.subscription(id).await;
        self.parsed(answer, Some(id), snapshot)
    }

    /// Fetches the invoice that a refunded or disputed payment was for.
    pub(super) async fn invoice_of_payment(&mut self, parsed: &ParsedEvent) -> Lookup<ParsedInvoice> {
        let Some(api) = self.api else { return Lookup::Unavailable };
        let of_kind = |prefix: &str| parsed.references.iter().find(|id| id.starts_with(prefix)).map(String::as_str);
        let charge = of_kind("ch_").or_else(|| of_kind("py_"));
        let answer = api.invoice_of_payment(charge, of_kind("pi_")).await;
        let mut found = self.parsed(answer, None, invoice);
        if let Lookup::Found(ParsedInvoice { invoice, .. }) = &mut found {
            // These paid it, also where the invoice doesn't name them.
            for payment in parsed.references.iter().filter(|id| !id.starts_with("in_")) {
                invoice.payments.entry(payment.clone()).or_insert(0);
            }
        }
        found
    }

    /// Parses an answer, and ends the look-ups after a failed call.
    fn parsed<T>(
        &mut self,
        answer: Result<Option<Value>, ApiError>,
        subscription: Option<&str>,
        parse: impl FnOnce(&Value) -> Result<T, Malformed>,
    ) -> Lookup<T> {
        match answer {
            Ok(Some(object)) => parse(&object).map_or_else(
                |error| {
                    tracing::warn!(subscription, %error, "Stripe's answer could not be read");
                    Lookup::Unavailable
                },
                Lookup::Found,
            ),
            Ok(None) => Lookup::Missing,
            Err(error) => {
                tracing::warn!(%error, "Stripe could not be asked");
                self.api = None;
                Lookup::Unavailable
            }
        }
    }
}
