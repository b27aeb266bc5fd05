//! The `telemetry` function as a process of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    common::run("telemetry", telemetry::State::connect, telemetry::routes)
}
