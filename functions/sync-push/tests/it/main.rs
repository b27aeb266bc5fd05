//! Tests of `sync-push` over HTTP.
#![expect(clippy::unwrap_used, reason = "a test that stops at an unwrap shows what it held")]

mod bodies;
mod callers;
mod cloud;
mod crashes;
mod cursors;
mod encryption;
mod history;
mod hostile;
mod interleaving;
mod meaning;
mod model;
mod plans;
mod property;
mod quotas;
mod raw;
mod tasks;
mod tenancy;
