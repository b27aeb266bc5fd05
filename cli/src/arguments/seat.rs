//! `coditect seat`

use std::ffi::OsString;

use clap::{Args, Subcommand};

use super::values::WaitLimit;

#[derive(Debug, Subcommand)]
pub(crate) enum SeatCommand {
    /// Take a seat and leave it: it is free again after some minutes, unless something keeps it
    #[command(after_help = concat!(
        examples![
            "coditect seat acquire",
            "coditect seat acquire --wait 10m",
        ],
        "\n\nIn a script: eval \"$(coditect seat acquire --export)\"; ./engine; coditect seat release\n\n\
        Taking it again from the same machine is taking the same seat, for some minutes more. `coditect seat hold` keeps\n\
        it for as long as it runs.",
    ))]
    Acquire {
        /// Print shell commands that set what `coditect run` sets: CODITECT_LICENSE_TOKEN, CODITECT_SESSION_ID,
        /// CODITECT_SEAT_EXPIRES_AT and CODITECT_TIER
        #[arg(long, conflicts_with = "json")]
        export: bool,
        /// Wait for a free seat; for at most DURATION (90s, 10m, 2h), if that is given
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
    /// Give back a seat that was taken and left
    #[command(after_help = examples!["coditect seat release", "coditect seat release --all --quiet"])]
    Release {
        /// Which one, as `coditect seat list` names it, or the beginning of that; the only one, if not given
        #[arg(conflicts_with = "all")]
        session: Option<String>,
        /// All that were left
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
    /// Wait for a free seat; for at most DURATION (90s, 10m, 2h), if that is given
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub(crate) wait: Option<WaitLimit>,
}
