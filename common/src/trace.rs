//! Traces: where a request stands in its caller's, and the spans that are sent to a collector where one is configured.
//!
//! The caller's `traceparent` (W3C Trace Context) is in every line of the log and goes on to whatever is called, with or
//! without a collector. Spans are made only with one: without, they are disabled where they stand, at the cost of a look.
//!
//! A collector that is away costs spans and nothing else: they are sent by a thread of their own from a bounded queue.

mod exporter;

use std::fmt;

use axum::http::HeaderMap;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

pub(crate) use exporter::Exporter;

use crate::request;

/// The target of all spans, which no filter of the log lets through and the collector's alone does.
pub const SPANS: &str = "coditect_span";

/// Makes a span of the trace, named by its first word.
#[macro_export]
macro_rules! span {
    ($name:literal $(, $($fields:tt)*)?) => {
        $crate::trace::tracing::info_span!(target: $crate::trace::SPANS, $name $(, $($fields)*)?)
    };
}
pub use tracing;

/// A place in a trace: W3C's `traceparent`, `00-{32 hex}-{16 hex}-{2 hex}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: u128,
    /// The span.
    pub span: u64,
    /// Whether somebody records it.
    pub sampled: bool,
}

impl TraceContext {
    /// What a caller said. Nothing that isn't as W3C has it.
    pub(crate) fn of_caller(headers: &HeaderMap) -> Option<Self> {
        Self::parse(headers.get("traceparent")?.to_str().ok()?)
    }

    fn parse(header: &str) -> Option<Self> {
        let hex = |text: &str, length| {
            let fits = text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            fits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
        };
        let mut parts = header.split('-');
        let mut next = |length| hex(parts.next()?, length);
        let (version, trace, span, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
        // A later version may say more; this one may not.
        let is_known = version != 0xff && (version != 0 || parts.next().is_none());
        let span = u64::try_from(span).ok().filter(|span| *span != 0)?;
        (is_known && trace != 0).then_some(Self { trace, span, sampled: flags & 1 == 1 })
    }

    fn of(span: &Span) -> Option<Self> {
        let context = span.context();
        let found = context.span().span_context().clone();
        found.is_valid().then(|| Self {
            trace: u128::from_be_bytes(found.trace_id().to_bytes()),
            span: u64::from_be_bytes(found.span_id().to_bytes()),
            sampled: found.is_sampled(),
        })
    }

    /// Where this task stands: in its innermost span, or where the caller's trace stands when none are made here.
    #[must_use]
    pub fn current() -> Option<Self> {
        let span = Span::current();
        let own = if span.is_disabled() { None } else { Self::of(&span) };
        own.or_else(|| request::current(|request| request.trace))
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

/// Puts a request's span under its caller's, and answers where the request then stands.
pub(crate) fn adopt(span: &Span, caller: Option<TraceContext>) -> Option<TraceContext> {
    if span.is_disabled() {
        return caller;
    }
    if let Some(TraceContext { trace, span: parent, sampled }) = caller {
        let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
        let (trace, parent) = (TraceId::from_bytes(trace.to_be_bytes()), SpanId::from_bytes(parent.to_be_bytes()));
        let parent = SpanContext::new(trace, parent, flags, true, TraceState::NONE);
        // It fails only where spans are not recorded.
        let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(parent));
    }
    TraceContext::of(span).or(caller)
}

/// The `traceparent` of a span that is recorded, for what is told of it elsewhere.
pub(crate) fn recorded(span: &Span) -> Option<String> {
    if span.is_disabled() {
        return None;
    }
    TraceContext::of(span).filter(|context| context.sampled).map(|context| context.to_string())
}

/// Lets an outgoing call be seen in the trace it is made for.
pub fn told(call: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
    match TraceContext::current() {
        Some(context) => call.header("traceparent", context.to_string()),
        None => call,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_and_written_as_it_came() {
        for header in [
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
        ] {
            assert_eq!(TraceContext::parse(header).unwrap().to_string(), header);
        }
        let later = TraceContext::parse("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03-more").unwrap();
        assert_eq!(later.to_string(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    }

    #[test]
    fn what_is_no_traceparent_is_none() {
        for header in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(header), None, "{header}");
        }
    }
}
