//! `coditect`: the command line.

mod arguments;
mod command;
mod exit_status;
mod panic;
mod printer;
mod progress;
mod relative_time;
mod terminal;

use std::process::ExitCode;

fn main() -> ExitCode {
    panic::install();
    command::execute(std::env::args_os()).into()
}
