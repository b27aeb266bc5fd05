//! What can be said on the command line.

mod hook;
mod keys;
mod record;
mod sync;

pub(crate) use hook::{HookCommand, HookPlace};
pub(crate) use keys::{KeysCommand, PassphraseSource};
pub(crate) use record::{CommonFields, ListFilter, NoteCommand, NoteFields, ShowArguments, TaskCommand, TaskFields};
pub(crate) use sync::{SyncArguments, SyncCommand};

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use coditect::Profile;

/// Validate your CODITECT licence, hold a seat while you work, and have your context on all your machines.
#[derive(Debug, Parser)]
#[command(name = "coditect", version, subcommand_required = true, arg_required_else_help = false)]
#[command(
    after_help = "Exit codes: 0 yes, 1 the answer is no (no seat, licence not valid), 2 something broke, 64 wrong usage."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Print one JSON object, also for errors
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print no warnings
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Keep everything in DIR [default: $CODITECT_HOME, else ~/.coditect]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// Use the profile NAME: a key, sign-in, settings and context of its own [default: $CODITECT_PROFILE]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<Profile>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Store your license key on this machine, once the cloud has found it valid
    #[command(
        after_help = "Without KEY the key is asked for and not shown, or read from standard input where that is no terminal. A \
        key that is typed as an argument is seen by whoever lists this machine's processes, and kept by your shell."
    )]
    Activate {
        /// The license key, or - to read it from standard input
        key: Option<String>,
    },
    /// Ask whether this machine may run
    Validate,
    /// Show what this machine knows, without asking the cloud
    Status,
    /// Run a command while holding a seat
    #[command(
        after_help = "The command finds CODITECT_LICENSE_TOKEN, CODITECT_SESSION_ID, CODITECT_SEAT_EXPIRES_AT and \
        CODITECT_TIER in its environment. Its exit code is passed on; a signal that ended it is 128 and its number."
    )]
    Run {
        /// The command and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Add, change and list tasks
    #[command(subcommand)]
    Task(TaskCommand),
    /// Add, change and list decisions
    #[command(subcommand)]
    Decision(NoteCommand),
    /// Add, change and list what was learned
    #[command(subcommand)]
    Learning(NoteCommand),
    /// Send what was changed here, and fetch what was changed elsewhere
    Sync(SyncArguments),
    /// Record what an agent plans, each time it changes its plan
    #[command(subcommand)]
    Hook(HookCommand),
    /// Read or change the settings
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print a setting
    Get {
        /// Its name: cloud-url or sync
        name: String,
    },
    /// Change a setting
    Set {
        /// Its name: cloud-url or sync
        name: String,
        /// Its value
        value: String,
    },
    /// Print all settings
    List,
}
