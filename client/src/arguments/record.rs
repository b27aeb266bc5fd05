//! `coditect task|decision|learning …`

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// Add a task
    #[command(after_help = examples!["coditect task add 'Write it down'", "coditect task add 'Ship it' --id ship --project engine --status in_progress"])]
    Add {
        /// What is to be done
        text: Option<String>,
        /// Its id [default: a new UUID]
        #[arg(long)]
        id: Option<String>,
        #[command(flatten)]
        fields: TaskFields,
    },
    /// Change a task; what is not named stays as it is
    #[command(visible_alias = "edit")]
    #[command(after_help = examples!["coditect task update ship --status completed --outcome 'in 1.2'"])]
    Update {
        /// Its id
        id: String,
        /// What is to be done
        text: Option<String>,
        #[command(flatten)]
        fields: TaskFields,
    },
    /// Say that a task is completed
    #[command(after_help = examples!["coditect task done ship", "coditect task done ship --outcome 'in 1.2'"])]
    Done {
        /// Its id
        id: String,
        /// How it ended
        #[arg(long)]
        outcome: Option<String>,
    },
    /// List tasks, the latest change first
    #[command(after_help = examples!["coditect task list", "coditect task list --project engine --status pending --json"])]
    List {
        #[command(flatten)]
        filter: ListFilter,
        /// Those with this status only
        #[arg(long)]
        status: Option<String>,
    },
    /// Show a task
    #[command(after_help = examples!["coditect task show ship", "coditect task show ship --history"])]
    Show(ShowArguments),
    /// Delete a task
    #[command(after_help = examples!["coditect task rm ship"])]
    Rm {
        /// Its id
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum NoteCommand {
    /// Add one
    #[command(after_help = examples!["coditect decision add 'Postgres, not MySQL' --why 'row-level security'", "coditect learning add 'Flush before fsync' --id fsync"])]
    Add {
        /// What it says
        text: Option<String>,
        /// Its id [default: a new UUID]
        #[arg(long)]
        id: Option<String>,
        #[command(flatten)]
        fields: NoteFields,
    },
    /// Change one; what is not named stays as it is
    #[command(after_help = examples!["coditect decision edit postgres --why 'row-level security, and extensions'"])]
    Edit {
        /// Its id
        id: String,
        /// What it says
        text: Option<String>,
        #[command(flatten)]
        fields: NoteFields,
    },
    /// List them, the latest change first
    #[command(after_help = examples!["coditect decision list --project engine", "coditect learning list --limit 10"])]
    List {
        #[command(flatten)]
        filter: ListFilter,
    },
    /// Show one
    #[command(after_help = examples!["coditect decision show postgres", "coditect learning show fsync --history"])]
    Show(ShowArguments),
    /// Delete one
    #[command(after_help = examples!["coditect learning rm fsync"])]
    Rm {
        /// Its id
        id: String,
    },
}

#[derive(Debug, Default, Args)]
pub(crate) struct TaskFields {
    /// How far it is: pending, in_progress, completed, or another word
    #[arg(long)]
    pub(crate) status: Option<String>,
    /// How it ended
    #[arg(long)]
    pub(crate) outcome: Option<String>,
    /// How many uses of tools went well
    #[arg(long, value_name = "N")]
    pub(crate) tool_success_count: Option<u32>,
    /// How many did not
    #[arg(long, value_name = "N")]
    pub(crate) tool_error_count: Option<u32>,
    /// How often a person had to correct the agent
    #[arg(long, value_name = "N")]
    pub(crate) user_corrections: Option<u32>,
    #[command(flatten)]
    pub(crate) common: CommonFields,
}

#[derive(Debug, Default, Args)]
pub(crate) struct NoteFields {
    /// Why
    #[arg(long)]
    pub(crate) why: Option<String>,
    #[command(flatten)]
    pub(crate) common: CommonFields,
}

#[derive(Debug, Default, Args)]
pub(crate) struct CommonFields {
    /// The project it belongs to
    #[arg(long, value_name = "ID")]
    pub(crate) project: Option<String>,
    /// Further fields, as a JSON object; - reads it from standard input
    #[arg(long, value_name = "JSON")]
    pub(crate) content: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ListFilter {
    /// Those of a project only
    #[arg(long, value_name = "ID")]
    pub(crate) project: Option<String>,
    /// The latest so many
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArguments {
    /// Its id
    pub(crate) id: String,
    /// Ask the cloud what it was before, and what has lost a conflict
    #[arg(long)]
    pub(crate) history: bool,
}
