//! `coditect seat`

use std::ffi::OsString;

use clap::{Args, Subcommand};

use super::values::WaitLimit;

#[derive(Debug, Subcommand)]
pub(crate) enum SeatCommand {
    /// Take a seat and exit; the seat is free again after some minutes, unless something keeps it
    #[command(after_help = concat!(
        examples![
            "coditect seat acquire",
            "coditect seat acquire --wait 10m",
        ],
        "\n\nIn a script: eval \"$(coditect seat acquire --export)\"; ./engine; coditect seat release\n\n\
        Taken again on the same machine, it is the same seat for some minutes more. `coditect seat hold` keeps it for as long\n\
        as it runs.",
    ))]
    Acquire {
        /// Print shell commands that set the variables of `coditect run`: CODITECT_LICENSE_TOKEN, CODITECT_SESSION_ID,
        /// CODITECT_SEAT_EXPIRES_AT and CODITECT_TIER
        #[arg(long, conflicts_with = "json")]
        export: bool,
        /// Wait for a free seat; for at most DURATION (90s, 10m, 2h), if given
        #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "")]
        wait: Option<WaitLimit>,
    },
    /// Take a seat and keep it, until a signal or Ctrl-C; or as long as a command runs
    #[command(after_help = concat!(
        examples!["coditect seat hold & holder=$!          # then: ./engine; kill $holder", "coditect seat hold -- make test"],
        "\n\nPrints the session once the seat is taken. With a command it is `coditect run`.",
    ))]
    Hold {
        #[command(flatten)]
        wait: WaitArguments,
        /// A command and its arguments
        #[arg(trailing_var_arg = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Give back a seat that `coditect seat acquire` has taken
    #[command(after_help = examples!["coditect seat release", "coditect seat release --all --quiet"])]
    Release {
        /// Its session, as in `coditect seat list`, or a unique beginning of it [default: the only one]
        #[arg(conflicts_with = "all")]
        session: Option<String>,
        /// Give back all of them
        #[arg(long)]
        all: bool,
    },
    /// List the seats that this machine has, without asking the cloud
    #[command(alias = "ls")]
    #[command(after_help = examples!["coditect seat list", "coditect seat list --json | jq -r '.seats[].session_id'"])]
    List,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct WaitArguments {
    /// Wait for a free seat; for at most DURATION (90s, 10m, 2h), if given
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub(crate) wait: Option<WaitLimit>,
}
