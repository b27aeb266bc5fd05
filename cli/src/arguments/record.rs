//! `coditect task|decision|learning …` and `coditect search`

use clap::{Args, Subcommand};
use coditect::TaskStatus;

use super::values::{TextArgument, parse_status, parse_text};

#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// Add a task
    #[command(alias = "new", alias = "create")]
    #[command(after_help = examples!["coditect task add Write it down", "coditect task add '- buy milk'", "coditect task add 'Ship it' --id ship --project engine --status in_progress"])]
    Add {
        #[command(flatten)]
        text: TextArgument,
        /// Its id [default: a new UUID]
        #[arg(long)]
        id: Option<String>,
        #[command(flatten)]
        fields: TaskFields,
    },
    /// Change a task; fields that are not given stay as they are
    #[command(visible_alias = "edit")]
    #[command(after_help = examples!["coditect task update ship --status completed --outcome 'in 1.2'"])]
    Update {
        /// Its id, or a unique beginning of it
        id: String,
        #[command(flatten)]
        text: TextArgument,
        #[command(flatten)]
        fields: TaskFields,
    },
    /// Mark a task as completed
    #[command(alias = "complete", alias = "finish", alias = "close")]
    #[command(after_help = examples!["coditect task done ship", "coditect task done ship --outcome 'in 1.2'"])]
    Done {
        /// Its id, or a unique beginning of it
        id: String,
        /// Result of the task
        #[arg(long, allow_hyphen_values = true, value_parser = parse_text)]
        outcome: Option<String>,
    },
    /// List tasks, the latest change first
    #[command(alias = "ls")]
    #[command(after_help = examples!["coditect task list", "coditect task list --project engine --status pending --json"])]
    List(TaskFilter),
    /// Show a task
    #[command(alias = "view", alias = "get")]
    #[command(after_help = examples!["coditect task show ship", "coditect task show ship --history"])]
    Show(ShowArguments),
    /// Delete a task
    #[command(alias = "delete", alias = "remove")]
    #[command(after_help = examples!["coditect task rm ship"])]
    Rm {
        /// Its id, or a unique beginning of it
        id: String,
    },
}

/// `coditect tasks`: the list, or a command of `coditect task`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct TasksArguments {
    #[command(flatten)]
    pub(crate) filter: TaskFilter,
    #[command(subcommand)]
    pub(crate) command: Option<TaskCommand>,
}

/// `coditect decisions` and `coditect learnings`: the list, or a command of the singular.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct NotesArguments {
    #[command(flatten)]
    pub(crate) filter: ListFilter,
    #[command(subcommand)]
    pub(crate) command: Option<NoteCommand>,
}

/// Commands of decisions and learnings. [`describe`] replaces the help texts by those of the noun.
#[derive(Debug, Subcommand)]
pub(crate) enum NoteCommand {
    /// Add one
    #[command(alias = "new", alias = "create")]
    Add {
        #[command(flatten)]
        text: TextArgument,
        /// Its id [default: a new UUID]
        #[arg(long)]
        id: Option<String>,
        #[command(flatten)]
        fields: NoteFields,
    },
    /// Change one; fields that are not given stay as they are
    #[command(visible_alias = "update")]
    Edit {
        /// Its id, or a unique beginning of it
        id: String,
        #[command(flatten)]
        text: TextArgument,
        #[command(flatten)]
        fields: NoteFields,
    },
    /// List them, the latest change first
    #[command(alias = "ls")]
    List(ListFilter),
    /// Show one
    #[command(alias = "view", alias = "get")]
    Show(ShowArguments),
    /// Delete one
    #[command(alias = "delete", alias = "remove")]
    Rm {
        /// Its id, or a unique beginning of it
        id: String,
    },
}

/// Help of the commands of a noun: name, description, examples.
type Descriptions = [(&'static str, &'static str, &'static str); 5];

const DECISION: Descriptions = [
    (
        "add",
        "Add a decision",
        examples![
            "coditect decision add 'Postgres, not MySQL' --why 'row-level security'",
            "coditect decision add Postgres --id postgres"
        ],
    ),
    (
        "edit",
        "Change a decision; fields that are not given stay as they are",
        examples!["coditect decision edit postgres --why 'row-level security, and extensions'"],
    ),
    (
        "list",
        "List decisions, the latest change first",
        examples!["coditect decision list", "coditect decision list --project engine --limit 10"],
    ),
    (
        "show",
        "Show a decision",
        examples!["coditect decision show postgres", "coditect decision show postgres --history"],
    ),
    ("rm", "Delete a decision", examples!["coditect decision rm postgres"]),
];

const LEARNING: Descriptions = [
    (
        "add",
        "Add a learning",
        examples![
            "coditect learning add 'Flush before fsync'",
            "coditect learning add 'Flush before fsync' --id fsync --project engine"
        ],
    ),
    (
        "edit",
        "Change a learning; fields that are not given stay as they are",
        examples!["coditect learning edit fsync --why 'a page that is not flushed is not there'"],
    ),
    (
        "list",
        "List learnings, the latest change first",
        examples!["coditect learning list", "coditect learning list --project engine --limit 10"],
    ),
    ("show", "Show a learning", examples!["coditect learning show fsync", "coditect learning show fsync --history"]),
    ("rm", "Delete a learning", examples!["coditect learning rm fsync"]),
];

/// Sets the help texts of the commands that decisions and learnings share.
pub(super) fn describe(program: clap::Command) -> clap::Command {
    [("decision", DECISION), ("learning", LEARNING)].into_iter().fold(program, |program, (noun, described)| {
        program.mut_subcommand(noun, |noun| {
            described.into_iter().fold(noun, |noun, (name, about, examples)| {
                noun.mut_subcommand(name, |command| command.about(about).after_help(examples))
            })
        })
    })
}

#[derive(Debug, Default, Args)]
pub(crate) struct TaskFields {
    /// Status: pending, in_progress, completed, or another word
    #[arg(long, value_parser = parse_status)]
    pub(crate) status: Option<TaskStatus>,
    /// Result of the task
    #[arg(long, allow_hyphen_values = true, value_parser = parse_text)]
    pub(crate) outcome: Option<String>,
    /// Number of tool calls that succeeded
    #[arg(long, value_name = "N")]
    pub(crate) tool_success_count: Option<u32>,
    /// Number of tool calls that failed
    #[arg(long, value_name = "N")]
    pub(crate) tool_error_count: Option<u32>,
    /// Number of times that the user corrected the agent
    #[arg(long, value_name = "N")]
    pub(crate) user_corrections: Option<u32>,
    #[command(flatten)]
    pub(crate) common: CommonFields,
}

#[derive(Debug, Default, Args)]
pub(crate) struct NoteFields {
    /// The reason
    #[arg(long, allow_hyphen_values = true, value_parser = parse_text)]
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
pub(crate) struct TaskFilter {
    #[command(flatten)]
    pub(crate) list: ListFilter,
    /// Only tasks with this status: pending, in_progress, completed, or another word that a task here has
    #[arg(long, value_parser = parse_status)]
    pub(crate) status: Option<TaskStatus>,
}

#[derive(Debug, Args)]
pub(crate) struct ListFilter {
    /// Only those of this project
    #[arg(long, value_name = "ID")]
    pub(crate) project: Option<String>,
    /// At most N, the latest ones
    #[arg(long, short = 'n', default_value_t = 100, value_name = "N")]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArguments {
    /// Its id, or a unique beginning of it
    pub(crate) id: String,
    /// Ask the cloud for earlier versions, and for changes that have lost a conflict
    #[arg(long)]
    pub(crate) history: bool,
}

#[derive(Debug, Args)]
#[command(after_help = concat!(
    examples!["coditect search fsync", "coditect search row-level security --project engine", "coditect search 'flush before' --json"],
    "\n\nFinds records that have all of the words, in any order; words in quotes are one phrase. Case doesn't matter.\n\
    Searches all records on this machine (tasks, decisions, learnings, messages and the rest), and asks nothing of the cloud.",
))]
pub(crate) struct SearchArguments {
    #[command(flatten)]
    pub(crate) texts: TextArgument,
    #[command(flatten)]
    pub(crate) filter: ListFilter,
}
