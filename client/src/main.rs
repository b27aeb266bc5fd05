//! `coditect`: the command line.

mod arguments;
mod command;
mod exit_status;
mod printer;
mod terminal;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::execute(std::env::args_os()).into()
}
