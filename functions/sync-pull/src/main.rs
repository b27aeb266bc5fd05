//! The `sync-pull` function as a process of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    common::run("sync-pull", sync_pull::State::connect, sync_pull::routes)
}
