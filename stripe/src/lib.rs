//! Stripe: its signatures, the shapes of its events in every API version, what they mean for a license, and its API.
//!
//! - [`signature`]: whether a body is from Stripe.
//! - [`event`]: what of an event concerns us, whichever API version wrote it.
//! - [`facts`]: what is known of a subscription, merged so that the order of events does not matter, and what follows.
//! - [`api`]: the few calls of Stripe's API that are made.

pub mod api;
pub mod event;
pub mod facts;
pub mod signature;
