//! The `billing` function as a process of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    common::run("billing", billing::State::connect, billing::routes)
}
