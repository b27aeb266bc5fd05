//! The `acquire` function as a process of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    common::run("acquire", acquire::State::connect, acquire::routes)
}
