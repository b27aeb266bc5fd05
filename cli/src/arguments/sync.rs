//! `coditect sync …`

use clap::{Args, Subcommand};

use super::KeysCommand;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct SyncArguments {
    /// Keep running: send local changes within a second, and fetch those of other machines every 15 seconds
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(subcommand)]
    pub(crate) command: Option<SyncCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SyncCommand {
    /// Send local changes to the cloud
    #[command(after_help = examples!["coditect sync push"])]
    Push,
    /// Fetch the changes of other machines
    #[command(after_help = examples!["coditect sync pull", "coditect sync pull --all"])]
    Pull {
        /// Fetch everything again
        #[arg(long)]
        all: bool,
    },
    /// Show how many changes wait to be sent, since when and why, without asking the cloud
    #[command(after_help = examples!["coditect sync status", "coditect sync status --json | jq .waiting"])]
    Status,
    /// Send the changes again that were set aside after the cloud refused them
    #[command(after_help = examples!["coditect sync retry", "coditect sync retry write-it-down"])]
    Retry {
        /// Ids of the records, or unique beginnings of them [default: all]
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
        /// At most N, the latest ones
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: usize,
    },
}
