//! What `sync-pull` does, seen from outside. What concerns both halves is tried in `sync-push`.
#![expect(clippy::unwrap_used, reason = "a test that stops at an unwrap shows what it held")]

mod pages;
mod parameters;
