//! What `sync-push` does, seen from outside.
#![expect(clippy::unwrap_used, reason = "a test that stops at an unwrap shows what it held")]

mod meaning;
mod tenancy;
