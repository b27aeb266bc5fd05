//! A future that can be given up, and runs to its end all the same.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::response::Response;

/// Runs where it is awaited, which costs no switch between tasks. Dropped before its end, it goes on on a task of its own.
pub(super) struct Completion(Option<Pin<Box<dyn Future<Output = Response> + Send>>>);

impl Completion {
    pub(super) fn new(answer: impl Future<Output = Response> + Send + 'static) -> Self {
        Self(Some(Box::pin(answer)))
    }
}

impl Future for Completion {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        let Some(answer) = &mut self.0 else { return Poll::Pending };
        let polled = answer.as_mut().poll(context);
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        let Some(answer) = self.0.take() else { return };
        // After a panic, or where the process ends, nothing can go on.
        if !std::thread::panicking()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(answer);
        }
    }
}
