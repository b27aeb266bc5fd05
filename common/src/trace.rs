//! Traces: the position of a request in its caller's trace, and the spans that are sent to a collector if one is configured.
//!
//! The caller's `traceparent` (W3C Trace Context) is in every line of the log and is passed on in outgoing calls, with or
//! without a collector. Spans are made only with one: without it, they are disabled at their call sites, at the cost of a check.
//!
//! A collector that is away costs spans and nothing else: they are sent by a thread of their own from a bounded queue.

mod exporter;

use axum::http::HeaderMap;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use protocol::trace::TraceContext;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

pub(crate) use exporter::Exporter;

use crate::request;

/// The `tracing` target of all spans, which no filter of the log lets through and the collector's alone does.
pub const SPANS: &str = "coditect_span";

/// Makes a span of the trace, named by its first argument.
#[macro_export]
macro_rules! span {
    ($name:literal $(, $($fields:tt)*)?) => {
        $crate::trace::tracing::info_span!(target: $crate::trace::SPANS, $name $(, $($fields)*)?)
    };
}
pub use tracing;

/// Returns the trace context of the caller's `traceparent` header.
pub(crate) fn of_caller(headers: &HeaderMap) -> Option<TraceContext> {
    TraceContext::parse(headers.get("traceparent")?.to_str().ok()?)
}

fn of(span: &Span) -> Option<TraceContext> {
    let context = span.context();
    let found = context.span().span_context().clone();
    found.is_valid().then(|| TraceContext {
        trace: u128::from_be_bytes(found.trace_id().to_bytes()),
        span: u64::from_be_bytes(found.span_id().to_bytes()),
        sampled: found.is_sampled(),
    })
}

/// Returns the trace context of this task: its innermost span, or the caller's context when no spans are made here.
fn current() -> Option<TraceContext> {
    let span = Span::current();
    let own = if span.is_disabled() { None } else { of(&span) };
    own.or_else(|| request::current(|request| request.trace))
}

/// Makes a request's span a child of its caller's, and returns the request's trace context.
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
    of(span).or(caller)
}

/// Returns the `traceparent` of a span that is recorded, to be noted by other systems.
pub(crate) fn recorded(span: &Span) -> Option<String> {
    if span.is_disabled() {
        return None;
    }
    of(span).filter(|context| context.sampled).map(|context| context.to_string())
}

/// Adds the current `traceparent` to an outgoing call.
pub fn with_traceparent(call: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
    match current() {
        Some(context) => call.header("traceparent", context.to_string()),
        None => call,
    }
}
