//! Tests of `sync-pull` over HTTP. Tests that concern both halves are in `sync-push`.
#![expect(clippy::unwrap_used, reason = "a test that stops at an unwrap shows what it held")]

mod pages;
mod parameters;
