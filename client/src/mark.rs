//! What a request is found by in the cloud's log: an id of its own, and its place in a trace.
//!
//! The cloud gets it with each call; identity providers, downloads and telemetry, which is nobody's, do not.

use protocol::trace::TraceContext;
use ureq::RequestBuilder;

use crate::{environment, random};

/// The header with the id, in a request and in its answer.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// Puts both on a request.
pub(crate) fn marked<Any>(request: RequestBuilder<Any>) -> RequestBuilder<Any> {
    let id = random::uuid();
    request.header("traceparent", place().to_string()).header(REQUEST_ID, id.to_string())
}

/// In the caller's trace, where it says that there is one; else in a trace of its own, which nobody records here.
///
/// No spans are made here, so that what the cloud makes belongs to the caller's directly.
fn place() -> TraceContext {
    let inherited = environment::traceparent().and_then(|text| TraceContext::parse(text.trim()));
    inherited.unwrap_or_else(|| TraceContext {
        // All bits are random, for the cloud chooses by them which traces it records. 0 stands for none.
        trace: u128::from_be_bytes(random::bytes()).max(1),
        span: u64::from_be_bytes(random::bytes()).max(1),
        sampled: false,
    })
}
