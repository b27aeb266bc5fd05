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

/// Validate your CODITECT license, hold a seat while you work, and have your context on all your machines.
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
    "\n\n\x1b[1;4mExit codes:\x1b[0m\n  0    yes\n  1    the answer is no: no seat, or a license that is not valid\
    \n  2    something broke\n  64   wrong usage\n  Those of the command that `coditect run` runs are passed on.\
    \n\n\x1b[1;4mEnvironment:\x1b[0m\n  CODITECT_HOME          Where everything is kept, in place of ~/.coditect\
    \n  CODITECT_PROFILE       One of several identities on this machine\
    \n  CODITECT_KEYCHAIN      off: the operating system's keychain is left alone\
    \n  CODITECT_HARDWARE_ID   This machine's id, 64 hex characters: for containers, whose ids change\
    \n  CODITECT_LICENSE_KEY   Take seats with this key and keep nothing of it: for CI jobs\
    \n  CODITECT_UPDATE_URL    Where the manifest of new versions is: a mirror's\
    \n  NO_COLOR               No colors, on a terminal either",
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
    /// Print no warnings, and no progress
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Print what is asked of whom, how long it took, and which stored answer served
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    /// Keep everything in DIR [default: $CODITECT_HOME, else ~/.coditect]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// Use the profile NAME: a key, sign-in, settings and context of its own [default: $CODITECT_PROFILE]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<Profile>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Begin here: make the home folder, and see what is free and what to do next
    #[command(after_help = concat!(
        examples!["coditect init", "coditect init --json | jq .commands_today"],
        "\n\nNeeds no account and no network, and changes nothing where everything is there already.",
    ))]
    Init,
    /// Start an upgrade: open the page where a plan is chosen
    #[command(after_help = concat!(
        examples!["coditect register", "coditect register --no-browser"],
        "\n\nThe page's address is printed, too. The license key comes by mail.",
    ))]
    Register {
        /// Only print the page's address
        #[arg(long)]
        no_browser: bool,
    },
    /// Store your license key on this machine, once the cloud has found it valid
    #[command(after_help = concat!(
        examples!["coditect activate", "coditect activate - <key.txt"],
        "\n\nWithout KEY the key is asked for and not shown, or read from standard input where that is no terminal. A key that\n\
        is typed as an argument is seen by whoever lists this machine's processes, and kept by your shell.",
    ))]
    Activate {
        /// The license key, or - to read it from standard input
        key: Vec<String>,
    },
    /// Forget the license key, and give this machine's place on the license back, for another one
    #[command(after_help = concat!(
        examples!["coditect deactivate", "coditect deactivate --profile client"],
        "\n\nWithout the cloud nothing is changed: the place could not be given back any more.",
    ))]
    Deactivate,
    /// Sign in with your identity provider, and take seats as yourself
    #[command(alias = "signin", alias = "sign-in")]
    Login(LoginArguments),
    /// Forget who is signed in, here and at the identity provider
    #[command(alias = "signout", alias = "sign-out")]
    #[command(after_help = examples!["coditect logout", "coditect logout --profile client"])]
    Logout,
    /// Show who is signed in
    #[command(after_help = examples!["coditect whoami", "coditect whoami --json | jq -r .email"])]
    Whoami,
    /// Ask whether this machine may run
    #[command(after_help = examples!["coditect validate", "coditect validate --quiet && ./engine", "coditect validate --json | jq .quotas.commands_per_day"])]
    Validate,
    /// Show what this machine knows, without asking the cloud
    #[command(after_help = examples!["coditect status", "coditect status --json"])]
    Status,
    /// Run a command while holding a seat; in the free tier, as one of the day's commands
    #[command(alias = "exec")]
    #[command(after_help = concat!(
        examples!["coditect run -- make test", "coditect run --wait 10m -- make test", "coditect run -- sh -c 'echo $CODITECT_TIER'"],
        "\n\nThe command finds CODITECT_LICENSE_TOKEN, CODITECT_SESSION_ID, CODITECT_SEAT_EXPIRES_AT and CODITECT_TIER in its\n\
        environment. Its exit code is passed on; a signal that ended it is 128 and its number.",
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
    /// Add, change and list what was learned
    #[command(subcommand)]
    #[command(after_help = examples!["coditect learning add 'Flush before fsync'", "coditect learning list --limit 10"])]
    Learning(NoteCommand),
    /// Find what was written down, on this machine
    #[command(alias = "find", alias = "grep")]
    Search(SearchArguments),
    /// List tasks
    #[command(hide = true, alias = "ls", alias = "list", alias = "todo", alias = "todos")]
    Tasks(TasksArguments),
    /// List decisions
    #[command(hide = true)]
    Decisions(NotesArguments),
    /// List what was learned
    #[command(hide = true)]
    Learnings(NotesArguments),
    /// Send what was changed here, and fetch what was changed elsewhere
    #[command(after_help = examples!["coditect config set sync on            # once", "coditect sync", "coditect sync --watch"])]
    Sync(SyncArguments),
    /// Record what an agent plans, each time it changes its plan
    #[command(subcommand)]
    #[command(after_help = examples!["coditect hook install", "coditect hook status"])]
    Hook(HookCommand),
    /// Look at everything that this program stands on, and say what helps
    #[command(after_help = examples!["coditect doctor", "coditect doctor --fix", "coditect doctor --json"])]
    Doctor {
        /// First make damaged databases new with what can be read of them; the damaged files are kept
        #[arg(long)]
        fix: bool,
    },
    /// Read or change the settings
    #[command(subcommand, alias = "settings")]
    #[command(after_help = examples!["coditect config list", "coditect config set sync on"])]
    Config(ConfigCommand),
    /// Count which commands are used, if you want that
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
        /// Only say whether there is a newer one
        #[arg(long)]
        check: bool,
    },
    /// Print which version this is
    #[command(hide = true)]
    Version,
    /// Print what a shell reads to complete this program's commands and options
    #[command(after_help = examples!["coditect completions bash >~/.local/share/bash-completion/completions/coditect", "coditect completions zsh >~/.zfunc/_coditect", "coditect completions fish >~/.config/fish/completions/coditect.fish", "coditect completions powershell >>$PROFILE"])]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Do what other commands have left to be done
    #[command(hide = true)]
    Upkeep {
        /// Ask which version is the newest
        #[arg(long)]
        updates: bool,
        /// Send what was counted
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
        /// Its name, as `coditect config list` has it
        name: String,
    },
    /// Change a setting
    #[command(after_help = examples!["coditect config set cloud-url https://coditect.example.com", "coditect config set sync on"])]
    Set {
        /// Its name, as `coditect config list` has it
        name: String,
        /// Its value
        value: String,
        /// Take a cloud-url as it is, without asking who is there
        #[arg(long)]
        offline: bool,
    },
    /// Put a setting back to its default
    #[command(after_help = examples!["coditect config unset cloud-url"])]
    Unset {
        /// Its name, as `coditect config list` has it
        name: String,
    },
    /// Print all settings
    #[command(alias = "ls", alias = "show")]
    #[command(after_help = examples!["coditect config list --json"])]
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SelfCommand {
    /// Install the newest version in place of this one, once its signature is found good
    #[command(after_help = concat!(
        examples!["coditect self update", "coditect self update --check || coditect self update"],
        "\n\nWith --check the exit code is 0 if this is the newest, and 1 if there is a newer one.",
    ))]
    Update {
        /// Only say whether there is a newer one
        #[arg(long)]
        check: bool,
    },
}
