//! `webhook-stripe` over HTTP, on real PostgreSQL and Redis, with events in the shapes and under the signatures of Stripe.
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop where it is")]

mod adversity;
mod asking;
mod crashes;
mod hook;
mod keeping;
mod lives;
mod load;
mod meaning;
mod money;
mod order;
