//! Tests of the protocol between client and cloud, by its public interface.
#![expect(clippy::unwrap_used, reason = "a test that stops at an unwrap shows what it held")]

mod content;
mod context;
mod enterprise;
mod id;
mod key;
#[cfg(feature = "openapi")]
mod openapi;
mod problem;
mod signer;
mod token_check;
mod token_keys;
mod wire;
