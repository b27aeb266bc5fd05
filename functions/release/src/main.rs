//! The `release` function as a process of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    common::run("release", release::State::connect, release::routes)
}
