//! Output: data on standard output, messages on standard error; with `--json` one object, also for errors.

use std::cell::Cell;
use std::io::{self, Write as _};
use std::process::ExitCode;

use comfy_table::Table;
use common::logs::Log;
use common::{Problem, Setup, config};
use serde_json::{Map, Value, json};

/// Error of a command, with its exit status.
#[derive(Debug)]
pub enum Failure {
    /// It can't be done, with the reason: exit status 1.
    Refused(String),
    /// Something broke: exit status 2.
    Broken(String),
    /// Some of the shown items could not be done: exit status 1.
    Partial(Output),
    /// The configuration or the arguments are wrong: exit status 64.
    Usage(String),
    /// Everything was printed while it happened ([`StreamedList`]): this exit status.
    Streamed(u8),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        match problem.internal() {
            Some(cause) => {
                Self::Broken(format!("Something broke: {cause}. Nothing was changed unless said above; try again."))
            }
            None => Self::Refused(format!("That was refused: {}.", problem.code())),
        }
    }
}

impl Failure {
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Refused(m) | Self::Broken(m) | Self::Usage(m) => m,
            Self::Partial(_) | Self::Streamed(_) => "",
        }
    }

    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Refused(_) | Self::Partial(_) => 1,
            Self::Broken(_) => 2,
            Self::Usage(_) => 64,
            Self::Streamed(status) => *status,
        }
    }
}

/// Output of a command.
#[derive(Debug)]
pub enum Output {
    /// One thing: its fields, in order.
    Record(Vec<(&'static str, Value)>),
    /// A list: its columns, and a row each.
    List(&'static [&'static str], Vec<Vec<Value>>),
    /// A file's text, and for programs its fields.
    File(String, Vec<(&'static str, Value)>),
    /// A sentence.
    Message(String),
    /// Everything was printed while it happened ([`StreamedList`]).
    Streamed,
}

/// Prints as text or as JSON.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    /// True if `--json` was given.
    pub json: bool,
}

impl Printer {
    /// Prints a command's result and returns its exit status.
    #[must_use]
    pub fn finish(self, answer: Result<Output, Failure>) -> ExitCode {
        let written = match &answer {
            Ok(Output::Streamed) => Ok(()),
            Ok(output) | Err(Failure::Partial(output)) if self.json => writeln!(io::stdout(), "{:#}", output.to_json()),
            Ok(output) | Err(Failure::Partial(output)) => output.print_text(),
            Err(Failure::Streamed(_)) => Ok(()),
            Err(failure) if self.json => writeln!(io::stdout(), "{}", json!({"error": failure.message()})),
            Err(failure) => writeln!(io::stderr(), "{}", failure.message()),
        };
        match (written, answer) {
            (_, Err(failure)) => ExitCode::from(failure.status()),
            // The reader of our output has closed it: it has seen enough.
            (Err(e), Ok(_)) if e.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(2),
            (_, Ok(_)) => ExitCode::SUCCESS,
        }
    }
}

impl Output {
    fn to_json(&self) -> Value {
        let object = |fields: &mut dyn Iterator<Item = (&'static str, Value)>| {
            Value::Object(fields.map(|(k, v)| (k.to_owned(), v)).collect::<Map<_, _>>())
        };
        match self {
            Self::Record(fields) | Self::File(_, fields) => object(&mut fields.iter().cloned()),
            Self::List(columns, rows) => {
                let rows: Vec<Value> =
                    rows.iter().map(|row| object(&mut columns.iter().copied().zip(row.iter().cloned()))).collect();
                json!({"data": rows})
            }
            Self::Message(sentence) => json!({"message": sentence}),
            Self::Streamed => json!({}),
        }
    }

    fn print_text(&self) -> io::Result<()> {
        match self {
            Self::Record(fields) => {
                let width = fields.iter().map(|(k, _)| k.len()).max().unwrap_or_default();
                let mut out = io::stdout().lock();
                fields.iter().try_for_each(|(k, v)| writeln!(out, "{k:width$}  {}", cell(v)))
            }
            Self::List(columns, rows) => {
                let mut table = Table::new();
                table.load_style(comfy_table::presets::NOTHING).set_header(columns.iter().copied());
                for row in rows {
                    table.add_row(row.iter().map(cell));
                }
                writeln!(io::stdout(), "{table}")?;
                if rows.is_empty() { writeln!(io::stderr(), "There is nothing to list.") } else { Ok(()) }
            }
            Self::File(text, _) => write!(io::stdout(), "{text}"),
            Self::Message(sentence) => writeln!(io::stderr(), "{sentence}"),
            Self::Streamed => Ok(()),
        }
    }
}

/// A list that is printed as it grows: actions that depend on an item's being printed happen after it. With `--json` it is one
/// object all the same, once it is closed.
#[derive(Debug)]
pub struct StreamedList {
    json: bool,
    items: Cell<usize>,
}

impl StreamedList {
    /// Makes an empty list.
    #[must_use]
    pub fn new(json: bool) -> Self {
        Self { json, items: Cell::new(0) }
    }

    /// Prints an item: an object, or its fields a line each with a text below.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn item(&self, fields: &[(&'static str, Value)], text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            let mut object: Map<_, _> = fields.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
            object.insert("text".to_owned(), json!(text));
            let before = if self.items.get() == 0 { "{\"data\": [\n" } else { ",\n" };
            write!(out, "{before}{}", Value::Object(object))?;
        } else {
            fields.iter().try_for_each(|(k, v)| writeln!(out, "{k}: {}", cell(v)))?;
            writeln!(out, "\n{}\n{}\n", text.trim_end(), "-".repeat(72))?;
        }
        self.items.set(self.items.get() + 1);
        out.flush()
    }

    /// Prints a sentence beside the list, for people.
    pub fn message(&self, sentence: &str) {
        if !self.json {
            let _ = writeln!(io::stderr(), "{}", sentence.replace(char::is_control, "\u{fffd}"));
        }
    }

    /// Ends the list, with further fields for programs.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn close(&self, rest: &[(&'static str, Value)]) -> io::Result<()> {
        if !self.json {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        out.write_all(if self.items.get() == 0 { b"{\"data\": [" } else { b"\n" })?;
        write!(out, "]")?;
        rest.iter().try_for_each(|(k, v)| write!(out, ", {}: {v}", json!(k)))?;
        writeln!(out, "}}")?;
        out.flush()
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        // Control characters in a name that a client or a customer chose must not reach the operator's terminal.
        Value::String(text) => text.replace(char::is_control, "\u{fffd}"),
        other => other.to_string(),
    }
}

/// Writes the facts of a command to standard error, where `LOG_FORMAT` asks for a log: in a job, that is, and not for a person.
pub fn start_log() {
    let mut setup = Setup::from_env();
    if setup.is_set(&config::LOG_FORMAT) {
        let log = Log::from_setup(&mut setup, "ops");
        Log { aside: true, ..log }.start();
    }
}

/// Prints clap's message and exits: help is success, wrong arguments are `EX_USAGE`. A program that asked for JSON gets JSON
/// too.
#[expect(clippy::exit, reason = "nothing was started yet that would have to end in order")]
pub fn usage(error: &clap::Error) -> ! {
    let _ = error.print();
    if error.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
        let _ = writeln!(io::stdout(), "{}", json!({"error": error.render().to_string().trim()}));
    }
    std::process::exit(if error.use_stderr() { 64 } else { 0 })
}
