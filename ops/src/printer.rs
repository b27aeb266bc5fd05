//! Data to standard output, words to standard error; with `--json` one object, also for errors.

use std::io::{self, Write as _};
use std::process::ExitCode;

use comfy_table::Table;
use common::Problem;
use serde_json::{Map, Value, json};

/// How a command ended, when it didn't do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// It can't be done, and why: exit status 1.
    Refused(String),
    /// Something broke: exit status 2.
    Broken(String),
    /// The configuration or the words are wrong: exit status 64.
    Usage(String),
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
    fn message(&self) -> &str {
        match self {
            Self::Refused(m) | Self::Broken(m) | Self::Usage(m) => m,
        }
    }

    fn status(&self) -> u8 {
        match self {
            Self::Refused(_) => 1,
            Self::Broken(_) => 2,
            Self::Usage(_) => 64,
        }
    }
}

/// What a command has to show.
#[derive(Debug)]
pub enum Shown {
    /// One thing: its fields, in order.
    One(Vec<(&'static str, Value)>),
    /// A list: its columns, and a row each.
    List(&'static [&'static str], Vec<Vec<Value>>),
    /// A sentence.
    Done(String),
}

/// Prints in one of the two ways.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    /// Whether `--json` was given.
    pub json: bool,
}

impl Printer {
    /// Prints what a command answered and makes its exit status of it.
    #[must_use]
    pub fn finish(self, answer: Result<Shown, Failure>) -> ExitCode {
        let written = match &answer {
            Ok(shown) if self.json => writeln!(io::stdout(), "{:#}", shown.json()),
            Ok(shown) => shown.words(),
            Err(failure) if self.json => writeln!(io::stdout(), "{}", json!({"error": failure.message()})),
            Err(failure) => writeln!(io::stderr(), "{}", failure.message()),
        };
        match (written, answer) {
            (_, Err(failure)) => ExitCode::from(failure.status()),
            // Whoever read our output has seen enough.
            (Err(e), Ok(_)) if e.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(2),
            (_, Ok(_)) => ExitCode::SUCCESS,
        }
    }
}

impl Shown {
    fn json(&self) -> Value {
        let object = |fields: &mut dyn Iterator<Item = (&'static str, Value)>| {
            Value::Object(fields.map(|(k, v)| (k.to_owned(), v)).collect::<Map<_, _>>())
        };
        match self {
            Self::One(fields) => object(&mut fields.iter().cloned()),
            Self::List(columns, rows) => {
                let rows: Vec<Value> =
                    rows.iter().map(|row| object(&mut columns.iter().copied().zip(row.iter().cloned()))).collect();
                json!({"data": rows})
            }
            Self::Done(sentence) => json!({"message": sentence}),
        }
    }

    fn words(&self) -> io::Result<()> {
        match self {
            Self::One(fields) => {
                let width = fields.iter().map(|(k, _)| k.len()).max().unwrap_or_default();
                let mut out = io::stdout().lock();
                fields.iter().try_for_each(|(k, v)| writeln!(out, "{k:width$}  {}", word(v)))
            }
            Self::List(columns, rows) => {
                let mut table = Table::new();
                table.load_style(comfy_table::presets::NOTHING).set_header(columns.iter().copied());
                for row in rows {
                    table.add_row(row.iter().map(word));
                }
                writeln!(io::stdout(), "{table}")
            }
            Self::Done(sentence) => writeln!(io::stderr(), "{sentence}"),
        }
    }
}

fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        // What a client or a customer chose as a name doesn't steer the operator's terminal.
        Value::String(text) => text.replace(char::is_control, "\u{fffd}"),
        other => other.to_string(),
    }
}

/// Prints what clap has to say and ends: help is success, wrong words are `EX_USAGE`. A program that asked for JSON is
/// told in JSON too.
#[expect(clippy::exit, reason = "nothing was started yet that would have to end in order")]
pub fn usage(error: &clap::Error) -> ! {
    let _ = error.print();
    if error.use_stderr() && std::env::args_os().any(|word| word == "--json") {
        let _ = writeln!(io::stdout(), "{}", json!({"error": error.render().to_string().trim()}));
    }
    std::process::exit(if error.use_stderr() { 64 } else { 0 })
}
