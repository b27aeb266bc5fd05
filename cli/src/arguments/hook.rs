//! `coditect hook`

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum HookCommand {
    /// Record the tasks in an agent's event, which is read from standard input (for agents, who call it)
    #[command(after_help = examples!["coditect hook task-plan <event.json"])]
    TaskPlan,
    /// Finish in the background what a recording has deferred
    #[command(hide = true)]
    Tidy,
    /// Add the hook to the agent's settings
    #[command(after_help = examples!["coditect hook install", "coditect hook install --project"])]
    Install(HookLocation),
    /// Take the hook out of the agent's settings
    #[command(after_help = examples!["coditect hook uninstall"])]
    Uninstall(HookLocation),
    /// Show where the hook is installed, and what last went wrong
    #[command(after_help = examples!["coditect hook status", "coditect hook status --settings ~/other/settings.json"])]
    Status(HookLocation),
}

#[derive(Debug, Args)]
pub(crate) struct HookLocation {
    /// The agent's settings file [default: settings.json in $CLAUDE_CONFIG_DIR, else in ~/.claude]
    #[arg(long, value_name = "FILE", conflicts_with = "project")]
    pub(crate) settings: Option<PathBuf>,
    /// The settings of the project in this folder, for all who work on it: .claude/settings.json
    #[arg(long)]
    pub(crate) project: bool,
}
