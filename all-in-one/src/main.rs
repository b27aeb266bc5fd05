//! Every function in one process.

use std::process::ExitCode;

fn main() -> ExitCode {
    common::serve::run_routes("all-in-one", all_in_one::connect)
}
