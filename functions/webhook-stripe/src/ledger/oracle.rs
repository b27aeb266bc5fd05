//! Stripe's API, for what events alone can't decide.

use stripe::api::Api;
use stripe::event::{InvoiceNews, Meaning, News, invoice, snapshot};
use stripe::facts::{Snapshot, State};

/// Stripe's API during a request: once it gave no answer it isn't asked again, so that the wait is bounded however many events
/// are looked at meanwhile.
pub(super) struct Oracle<'a> {
    api: Option<&'a Api>,
}

/// Error: Stripe gave no answer, or no API key is configured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Silent;

/// A question about a subscription, and its answer.
pub(super) struct Asked {
    pub(super) subscription: String,
    /// The state that was known when Stripe was asked: an answer from before another became known is not newer than that.
    pub(super) known: State,
    /// `None` inside: there is no such subscription.
    pub(super) answer: Result<Option<Snapshot>, Silent>,
}

impl<'a> Oracle<'a> {
    pub(super) fn new(api: Option<&'a Api>) -> Self {
        Self { api }
    }

    pub(super) fn can_be_asked(&self) -> bool {
        self.api.is_some()
    }

    /// A subscription as Stripe has it now.
    pub(super) async fn subscription(&mut self, id: &str) -> Result<Option<Snapshot>, Silent> {
        let Some(value) = self.heard(self.api.ok_or(Silent)?.subscription(id).await)? else { return Ok(None) };
        let answer = snapshot(&value).map(Some);
        answer.map_err(|error| {
            tracing::warn!(subscription = id, %error, "Stripe's answer could not be read");
            Silent
        })
    }

    /// The invoice that a refunded or disputed payment was for; `None` when it was for none.
    pub(super) async fn invoice_of_payment(&mut self, meaning: &Meaning) -> Result<Option<InvoiceNews>, Silent> {
        let of_kind = |prefix: &str| meaning.references.iter().find(|id| id.starts_with(prefix)).map(String::as_str);
        let charge = of_kind("ch_").or_else(|| of_kind("py_"));
        let answer = self.api.ok_or(Silent)?.invoice_of_payment(charge, of_kind("pi_")).await;
        let Some(value) = self.heard(answer)? else { return Ok(None) };
        let mut found = invoice(&value).map_err(|error| {
            tracing::warn!(%error, "Stripe's answer could not be read");
            Silent
        })?;
        // Stripe says that these paid it, whether the invoice names them or not.
        let paid_with = meaning.references.iter().filter(|id| !id.starts_with("in_"));
        for payment in paid_with {
            found.invoice.payments.entry(payment.clone()).or_insert(0);
        }
        Ok(Some(found))
    }

    fn heard<T>(&mut self, answer: Result<T, stripe::api::ApiError>) -> Result<T, Silent> {
        answer.map_err(|error| {
            tracing::warn!(%error, "Stripe could not be asked");
            self.api = None;
            Silent
        })
    }
}

/// Returns true if an event is about a payment, whose subscription it may not name.
pub(super) fn is_about_payment(meaning: &Meaning) -> bool {
    matches!(meaning.news, News::Refund { .. } | News::RefundFailed { .. } | News::Dispute { .. })
}
