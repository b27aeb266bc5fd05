//! The `validate` function as a process of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    common::run("validate", validate::State::connect, validate::routes)
}
