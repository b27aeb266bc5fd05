//! Requests that are answered before their body was read: refused ones, mostly.
//!
//! The rest of the body is read and dropped, so that its sender sees the answer and not a broken connection, and the
//! connection can be used again. Where that is not certain, the answer says that the connection closes.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::{HeaderValue, Request, Response, header};
use futures_util::StreamExt as _;
use http_body::{Frame, SizeHint};

/// Maximum number of a body's bytes that are still read after the answer.
const DRAIN_LIMIT_BYTES: u64 = 32 * 1024 * 1024;
/// Time limit for reading the rest of a body after the answer.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// State of a request's body when it is answered.
#[derive(Debug)]
pub(super) struct Unread {
    has_ended: Arc<AtomicBool>,
    /// True if the rest will be read, even once the body is dropped.
    is_drained: bool,
}

/// A request's body whose unread rest is drained from the connection on drop.
struct Watched {
    body: Body,
    has_ended: Arc<AtomicBool>,
    /// True if the sender waits for `100 Continue`.
    is_expecting: bool,
}

/// Wraps a request's body, so that an unread rest is drained.
pub(super) fn watch(request: Request<Body>) -> (Request<Body>, Unread) {
    let has_ended = Arc::new(AtomicBool::new(request.body().is_end_stream()));
    if has_ended.load(Ordering::Relaxed) {
        return (request, Unread { has_ended, is_drained: true });
    }
    let is_expecting = request.headers().contains_key(header::EXPECT);
    let announced = request.body().size_hint().exact();
    let is_drained = !is_expecting && announced.is_some_and(|length| length <= DRAIN_LIMIT_BYTES);
    let ended = Arc::clone(&has_ended);
    let request = request.map(|body| Body::new(Watched { body, has_ended: ended, is_expecting }));
    (request, Unread { has_ended, is_drained })
}

impl Unread {
    /// Adds `Connection: close` to an answer after which the connection closes.
    pub(super) fn close_connection(&self, response: &mut Response<Body>) {
        if !self.is_drained && !self.has_ended.load(Ordering::Relaxed) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(frame) = &frame
            && (matches!(frame, None | Some(Err(_))) || self.body.is_end_stream())
        {
            self.has_ended.store(true, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.is_expecting || self.has_ended.load(Ordering::Relaxed) {
            return;
        }
        let rest = std::mem::replace(&mut self.body, Body::empty());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async { tokio::time::timeout(DRAIN_TIMEOUT, drain(rest)).await });
        }
    }
}

async fn drain(body: Body) {
    let mut chunks = body.into_data_stream();
    let mut left = DRAIN_LIMIT_BYTES;
    while let Some(Ok(chunk)) = chunks.next().await {
        let Some(rest) = left.checked_sub(chunk.len() as u64) else { return };
        left = rest;
    }
}
