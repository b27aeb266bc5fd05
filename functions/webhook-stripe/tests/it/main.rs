//! `webhook-stripe` over HTTP, on real PostgreSQL and Redis, with events in the shapes and under the signatures of Stripe.
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop where it is")]

mod adversity;
mod crashes;
mod effects;
mod hook;
mod lives;
mod load;
mod money;
mod order;
mod storage;
mod stripe_lookup;
