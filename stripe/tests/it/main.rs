//! Stripe's API, as it is called.
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop where it is")]

mod api;
mod shapes;
mod signature;
