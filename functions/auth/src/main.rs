//! The `auth` function as a process of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    common::run("auth", auth::State::connect, auth::routes)
}
