//! What `sync-push` does, seen from outside.
#![expect(clippy::unwrap_used, reason = "a test that stops at an unwrap shows what it held")]

mod bodies;
mod callers;
mod cloud;
mod encryption;
mod hostile;
mod meaning;
mod quotas;
mod tasks;
mod tenancy;
