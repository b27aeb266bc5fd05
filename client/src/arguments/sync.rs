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
    Push,
    /// Fetch what was changed elsewhere
    Pull,
    /// Show how much waits, since when, and why, without asking the cloud
    Status,
    /// Send again what the cloud has refused for the last time
    Retry {
        /// The ids of the records [default: all]
        #[arg(value_name = "ID")]
        ids: Vec<String>,
    },
    /// Encrypt contents with a key that the cloud never has
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Show what was sent and fetched lately
    Log {
        /// The latest so many
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: usize,
    },
}
