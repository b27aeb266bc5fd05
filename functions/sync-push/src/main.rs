//! The `sync-push` function as a process of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    common::run("sync-push", sync_push::State::connect, sync_push::routes)
}
