//! Stripe: webhook signatures, events in every API version, the licenses that follow from them, and the API.
//!
//! - [`signature`]: verification of a webhook's signatures.
//! - [`event`]: the parts of an event that licenses depend on, in the shape of any API version.
//! - [`facts`]: the known state of a subscription, merged so that the order of events does not matter, and its license.
//! - [`api`]: the calls of Stripe's API.

pub mod api;
pub mod event;
pub mod facts;
pub mod signature;
