//! Stripe: its API as it is called, its events, and what follows from them.
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop where it is")]

mod api;
mod facts;
mod life;
mod shapes;
mod signature;
