//! `coditect sync …`

use clap::{Args, Subcommand};

use super::KeysCommand;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct SyncArguments {
    /// Go on: send what changes here within a second, and look for news every 15
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(subcommand)]
    pub(crate) command: Option<SyncCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SyncCommand {
    /// Send what was changed here
    #[command(after_help = examples!["coditect sync push"])]
    Push,
    /// Fetch what was changed elsewhere
    #[command(after_help = examples!["coditect sync pull", "coditect sync pull --all"])]
    Pull {
        /// Fetch everything again, whatever was fetched before
        #[arg(long)]
        all: bool,
    },
    /// Show how much waits, since when, and why, without asking the cloud
    #[command(after_help = examples!["coditect sync status", "coditect sync status --json | jq .waiting"])]
    Status,
    /// Send again what the cloud has refused for the last time
    #[command(after_help = examples!["coditect sync retry", "coditect sync retry write-it-down"])]
    Retry {
        /// The ids of the records, or the beginnings of them [default: all]
        #[arg(value_name = "ID")]
        ids: Vec<String>,
    },
    /// Encrypt contents with a key that the cloud never has
    #[command(subcommand)]
    #[command(after_help = examples!["coditect sync keys init", "coditect sync keys status"])]
    Keys(KeysCommand),
    /// Show what was sent and fetched lately
    #[command(after_help = examples!["coditect sync log --limit 50"])]
    Log {
        /// The latest so many
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: usize,
    },
}
