//! The operators' command line.

use std::process::ExitCode;

use clap::Parser as _;
use ops::command::Ops;
use ops::printer::Printer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    common::serve::install_crypto();
    ops::printer::start_log();
    let ops = Ops::try_parse().unwrap_or_else(|e| ops::printer::usage(&e));
    let printer = Printer { json: ops.json };
    printer.finish(ops.run().await)
}
