//! The `heartbeat` function as a process of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    common::run("heartbeat", heartbeat::State::connect, heartbeat::routes)
}
