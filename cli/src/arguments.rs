//! Definition of the command line.

/// Formats the examples of a help text. Tests parse each of them.
macro_rules! examples {
    ($($line:literal),+ $(,)?) => { concat!("\x1b[1;4mExamples:\x1b[0m", $("\n  ", $line),+) };
}

mod hook;
mod keys;
mod login;
mod record;
mod seat;
mod sync;
mod telemetry;
#[cfg(test)]
mod tests;
mod usage;
mod values;

pub(crate) use hook::{HookCommand, HookLocation};
pub(crate) use keys::{KeysCommand, PassphraseSource};
pub(crate) use login::LoginArguments;
pub(crate) use record::{
    CommonFields, ListFilter, NoteCommand, NoteFields, NotesArguments, SearchArguments, ShowArguments, TaskCommand,
    TaskFields, TasksArguments,
};
pub(crate) use seat::{SeatCommand, WaitArguments};
pub(crate) use sync::{SyncArguments, SyncCommand};
pub(crate) use telemetry::TelemetryCommand;
pub(crate) use usage::UsageError;
pub(crate) use values::{TASK_STATUSES, TextArgument, WaitLimit, join_wait_value, parse_switch};

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use coditect::Profile;

/// Validate your CODITECT license, hold a seat while you work, and sync your context between your machines.
#[derive(Debug, Parser)]
#[command(name = "coditect", version, subcommand_required = true)]
#[command(after_help = concat!(
    examples![
        "coditect init                          # begin here",
        "coditect login                         # with your account, or:",
        "coditect activate                      # asks for your license key",
        "coditect validate --json | jq .tier",
        "coditect run -- make test",
    ],
    "\n\n\x1b[1;4mExit codes:\x1b[0m\n  0    success, or the answer is yes\n  1    the answer is no: no seat, or a license that is not valid\
    \n  2    an error\n  64   wrong usage\n  `coditect run` passes on the exit code of its command.\
    \n\n\x1b[1;4mEnvironment:\x1b[0m\n  CODITECT_HOME          The home folder, in place of ~/.coditect\
    \n  CODITECT_PROFILE       The profile to use: one of several identities on this machine\
    \n  CODITECT_KEYCHAIN      off: don't use the operating system's keychain\
    \n  CODITECT_HARDWARE_ID   This machine's id, 64 hex characters: for containers, whose ids change\
    \n  CODITECT_LICENSE_KEY   A license key to take seats with, which is not stored: for CI jobs\
    \n  CODITECT_UPDATE_URL    Address of the manifest of new versions on a mirror\
    \n  NO_COLOR               Print no colors",
))]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Arguments {
    /// Builds the definition of the command line, with the help texts of the record commands.
    pub(crate) fn program() -> clap::Command {
        record::describe(Self::command())
    }
}

#[derive(Debug, Default, Args)]
pub(crate) struct Common {
    /// Print one JSON object, also for errors
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print no notices and no progress
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Print each request, how long it took, and which stored answer made one unnecessary
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    /// Use DIR as the home folder [default: $CODITECT_HOME, else ~/.coditect]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// Use the profile NAME, which has its own key, sign-in, settings and context [default: $CODITECT_PROFILE]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<Profile>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Begin here: create the home folder, and show what the free tier has and what to do next
    #[command(after_help = concat!(
        examples!["coditect init", "coditect init --json | jq .commands_today"],
        "\n\nNeeds no account and no network. Running it again changes nothing.",
    ))]
    Init,
    /// Start an upgrade: open the page where you choose a plan
    #[command(after_help = concat!(
        examples!["coditect register", "coditect register --no-browser"],
        "\n\nThe page's address is printed, too. The license key comes by mail.",
    ))]
    Register {
        /// Only print the page's address
        #[arg(long)]
        no_browser: bool,
    },
    /// Validate your license key, and store it on this machine
    #[command(after_help = concat!(
        examples!["coditect activate", "coditect activate - <key.txt"],
        "\n\nWithout KEY, asks for the key and doesn't show it, or reads standard input where that is no terminal. A key that is\n\
        typed as an argument is visible in this machine's list of processes and in your shell's history.",
    ))]
    Activate {
        /// The license key, or - to read it from standard input
        key: Vec<String>,
    },
    /// Remove the license key from this machine, and free its place on the license for another machine
    #[command(after_help = concat!(
        examples!["coditect deactivate", "coditect deactivate --profile client"],
        "\n\nChanges nothing while the cloud can't be reached, since the place would not be freed.",
    ))]
    Deactivate,
    /// Sign in with your identity provider, and take seats as yourself
    #[command(alias = "signin", alias = "sign-in")]
    Login(LoginArguments),
    /// Sign out, here and at the identity provider
    #[command(alias = "signout", alias = "sign-out")]
    #[command(after_help = examples!["coditect logout", "coditect logout --profile client"])]
    Logout,
    /// Show who is signed in
    #[command(after_help = examples!["coditect whoami", "coditect whoami --json | jq -r .email"])]
    Whoami,
    /// Check that this machine has a valid license
    #[command(after_help = examples!["coditect validate", "coditect validate --quiet && ./engine", "coditect validate --json | jq .quotas.commands_per_day"])]
    Validate,
    /// Show plan, seats, sync and the last error as known here, without asking the cloud
    #[command(after_help = examples!["coditect status", "coditect status --json"])]
    Status,
    /// Run a command while holding a seat; in the free tier, as one of the day's commands
    #[command(alias = "exec")]
    #[command(after_help = concat!(
        examples!["coditect run -- make test", "coditect run --wait 10m -- make test", "coditect run -- sh -c 'echo $CODITECT_TIER'"],
        "\n\nThe command has CODITECT_LICENSE_TOKEN, CODITECT_SESSION_ID, CODITECT_SEAT_EXPIRES_AT and CODITECT_TIER in its\n\
        environment. Its exit code is passed on: 128 and the signal's number, if a signal ended it.",
    ))]
    Run {
        #[command(flatten)]
        wait: WaitArguments,
        /// The command and its arguments
        #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Take, keep and give back seats, for scripts
    #[command(subcommand, alias = "seats")]
    #[command(after_help = examples!["coditect seat hold -- make test", "coditect seat list"])]
    Seat(SeatCommand),
    /// Add, change and list tasks
    #[command(subcommand)]
    #[command(after_help = examples!["coditect task add Write it down", "coditect task list --status pending"])]
    Task(TaskCommand),
    /// Add, change and list decisions
    #[command(subcommand)]
    #[command(after_help = examples!["coditect decision add 'Postgres, not MySQL' --why 'row-level security'", "coditect decision list"])]
    Decision(NoteCommand),
    /// Add, change and list learnings
    #[command(subcommand)]
    #[command(after_help = examples!["coditect learning add 'Flush before fsync'", "coditect learning list --limit 10"])]
    Learning(NoteCommand),
    /// Search tasks, decisions, learnings and other records on this machine
    #[command(alias = "find", alias = "grep")]
    Search(SearchArguments),
    /// List tasks
    #[command(hide = true, alias = "ls", alias = "list", alias = "todo", alias = "todos")]
    Tasks(TasksArguments),
    /// List decisions
    #[command(hide = true)]
    Decisions(NotesArguments),
    /// List learnings
    #[command(hide = true)]
    Learnings(NotesArguments),
    /// Send local changes to the cloud, and fetch those of other machines
    #[command(after_help = examples!["coditect config set sync on            # once", "coditect sync", "coditect sync --watch"])]
    Sync(SyncArguments),
    /// Record a coding agent's task list whenever it changes
    #[command(subcommand)]
    #[command(after_help = examples!["coditect hook install", "coditect hook status"])]
    Hook(HookCommand),
    /// Diagnose problems with this installation, and show what helps
    #[command(after_help = examples!["coditect doctor", "coditect doctor --fix", "coditect doctor --json"])]
    Doctor {
        /// First rebuild damaged databases from what can be read of them; the damaged files are kept
        #[arg(long)]
        fix: bool,
    },
    /// Read or change the settings
    #[command(subcommand, alias = "settings")]
    #[command(after_help = examples!["coditect config list", "coditect config set sync on"])]
    Config(ConfigCommand),
    /// Turn usage statistics on or off; they are off by default
    #[command(subcommand)]
    #[command(after_help = examples!["coditect telemetry on", "coditect telemetry show"])]
    Telemetry(TelemetryCommand),
    /// Keep this program up to date
    #[command(name = "self", subcommand)]
    #[command(after_help = examples!["coditect self update", "coditect self update --check"])]
    Self_(SelfCommand),
    /// Install the newest version in place of this one
    #[command(hide = true)]
    Update {
        /// Only check for a newer version
        #[arg(long)]
        check: bool,
    },
    /// Print which version this is
    #[command(hide = true)]
    Version,
    /// Print a shell's completion script for this program
    #[command(after_help = examples!["coditect completions bash >~/.local/share/bash-completion/completions/coditect", "coditect completions zsh >~/.zfunc/_coditect", "coditect completions fish >~/.config/fish/completions/coditect.fish", "coditect completions powershell >>$PROFILE"])]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Do the background work of other commands
    #[command(hide = true)]
    Upkeep {
        /// Check for a newer version
        #[arg(long)]
        updates: bool,
        /// Send telemetry
        #[arg(long)]
        telemetry: bool,
        /// Sync the context
        #[arg(long)]
        sync: bool,
    },
    /// Write the manual pages
    #[command(hide = true)]
    Man {
        /// The folder for them
        #[arg(long, value_name = "DIR")]
        output: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print a setting
    #[command(after_help = examples!["coditect config get cloud-url", "coditect config get sync --json"])]
    Get {
        /// Name of the setting, as in `coditect config list`
        name: String,
    },
    /// Change a setting
    #[command(after_help = examples!["coditect config set cloud-url https://coditect.example.com", "coditect config set sync on"])]
    Set {
        /// Name of the setting, as in `coditect config list`
        name: String,
        /// The new value
        value: String,
        /// Store a cloud-url without checking that a cloud answers there
        #[arg(long)]
        offline: bool,
    },
    /// Reset a setting to its default
    #[command(after_help = examples!["coditect config unset cloud-url"])]
    Unset {
        /// Name of the setting, as in `coditect config list`
        name: String,
    },
    /// Print all settings
    #[command(alias = "ls", alias = "show")]
    #[command(after_help = examples!["coditect config list --json"])]
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SelfCommand {
    /// Install the newest version in place of this one, after checking its signature
    #[command(after_help = concat!(
        examples!["coditect self update", "coditect self update --check || coditect self update"],
        "\n\nWith --check the exit code is 0 if this is the newest, and 1 if there is a newer one.",
    ))]
    Update {
        /// Only check for a newer version
        #[arg(long)]
        check: bool,
    },
}
