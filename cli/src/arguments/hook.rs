//! `coditect hook`

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum HookCommand {
    /// Record the task list in an agent's event, read from standard input (agents call it)
    #[command(after_help = examples!["coditect hook task-plan <event.json"])]
    TaskPlan,
    /// Finish in the background what a recording has deferred
    #[command(hide = true)]
    Tidy,
    /// Add the hook to the agent's settings
    #[command(after_help = examples!["coditect hook install", "coditect hook install --project"])]
    Install(HookLocation),
    /// Remove the hook from the agent's settings
    #[command(after_help = examples!["coditect hook uninstall"])]
    Uninstall(HookLocation),
    /// Show where the hook is installed, and its last failure
    #[command(after_help = examples!["coditect hook status", "coditect hook status --settings ~/other/settings.json"])]
    Status(HookLocation),
}

#[derive(Debug, Args)]
pub(crate) struct HookLocation {
    /// The agent's settings file [default: settings.json in $CLAUDE_CONFIG_DIR, else in ~/.claude]
    #[arg(long, value_name = "FILE", conflicts_with = "project")]
    pub(crate) settings: Option<PathBuf>,
    /// Use the settings of this folder's project, which its developers share: .claude/settings.json
    #[arg(long)]
    pub(crate) project: bool,
}
