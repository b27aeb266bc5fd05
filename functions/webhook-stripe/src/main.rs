//! The `webhook-stripe` function as a process of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    common::run("webhook-stripe", webhook_stripe::State::connect, webhook_stripe::routes)
}
