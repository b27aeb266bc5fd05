//! Flows across functions, over HTTP, against real servers.
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop where it is")]

mod bad_input;
mod cancellation;
mod ci;
mod claims;
mod context_life;
mod devices;
mod documents;
mod early_answers;
mod enterprise;
mod guessing;
mod keys;
mod lifetimes;
mod logs;
mod machine;
mod metrics;
mod oidc;
mod other_license;
mod outages;
mod seat_flow;
mod several_licenses;
mod sign_in_life;
mod smoke;
mod start;
mod stripe_life;
mod tenancy;
mod tokens;
mod traces;
mod world;
