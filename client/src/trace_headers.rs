//! Headers that identify a request in the cloud's log: its request id, and its place in a trace (W3C `traceparent`).
//!
//! The cloud gets them with each call; identity providers, downloads and telemetry, which is anonymous, do not.

use local::{environment, random};
use protocol::trace::TraceContext;
use ureq::RequestBuilder;

/// The header with the id, in a request and in its answer.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// Adds both headers to a request.
pub(crate) fn marked<Any>(request: RequestBuilder<Any>) -> RequestBuilder<Any> {
    let id = random::uuid();
    request.header("traceparent", place().to_string()).header(REQUEST_ID, id.to_string())
}

/// Returns the request's place in the caller's trace, where the environment names one; else in a trace of its own, which is not
/// recorded here.
///
/// No spans are made here, so that the cloud's spans are direct children of the caller's.
fn place() -> TraceContext {
    let inherited = environment::traceparent().and_then(|text| TraceContext::parse(text.trim()));
    inherited.unwrap_or_else(|| TraceContext {
        // All bits are random, since the cloud samples traces by them. 0 stands for none.
        trace: u128::from_be_bytes(random::bytes()).max(1),
        span: u64::from_be_bytes(random::bytes()).max(1),
        sampled: false,
    })
}
