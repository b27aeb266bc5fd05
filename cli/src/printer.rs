//! All that this program prints: data to standard output, messages to standard error.
//!
//! With `--json`, standard output is one object, also for errors. Colors are for terminals alone.

mod escape;

pub(crate) use escape::{indented, one_line};

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::builder::StyledStr;
use clap::builder::styling::{AnsiColor, Style};
use coditect::{Error, Trace};
use serde::Serialize;
use serde_json::json;

use self::escape::lines;
use crate::exit_status::ExitStatus;
use crate::progress;
use crate::terminal::{is_ci, shows_colors};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// Formats a path for an answer: one line, whatever its names are.
pub(crate) fn display_path(path: &Path) -> String {
    one_line(&path.display().to_string())
}

/// Prints answers and messages, as the options ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
}

impl Printer {
    /// Prints the answer: the object for programs, or the text for people. Returns the status.
    pub(crate) fn answer(self, object: &impl Serialize, text: &str, status: ExitStatus) -> ExitStatus {
        if self.json {
            let object = serde_json::to_string(object).expect("answers are text with names");
            self.print(&object, status)
        } else {
            self.print(&lines(text), status)
        }
    }

    /// Prints an unsolicited sentence.
    pub(crate) fn notice(self, sentence: &str) {
        if !self.quiet {
            print_message(&one_line(sentence));
        }
    }

    /// Prints what the user must do for the command to go on, to standard error and also with `--quiet`.
    pub(crate) fn instruction(self, text: &str) {
        print_message(&lines(text));
    }

    /// Shows progress: a line that the next one replaces. Shown to people at a terminal alone.
    pub(crate) fn progress(self, line: &str) {
        if self.shows_progress() {
            progress::show(&one_line(line));
        }
    }

    /// Prints a step of the library with `--verbose`, and shows it on the progress line.
    pub(crate) fn trace(self, trace: &Trace) {
        ANSWERED.fetch_or(matches!(trace, Trace::Answered { .. }), Ordering::Relaxed);
        if self.verbose && !matches!(trace, Trace::Asking { .. }) {
            print_message(&one_line(&trace.to_string()));
        }
        if self.shows_progress() {
            progress::show_request(trace);
        }
    }

    /// Returns true if a person reads the output, and so unsolicited notices.
    pub(crate) fn is_interactive(self) -> bool {
        self.shows_progress() && !is_ci()
    }

    fn shows_progress(self) -> bool {
        !self.json && !self.quiet && io::stderr().is_terminal()
    }

    /// Prints an error, and the command that helps.
    pub(crate) fn error(self, error: &Error) -> ExitStatus {
        let status = ExitStatus::of(error);
        if !self.json {
            return self.failure(&error.to_string(), &error.hint(), error.code(), status);
        }
        let refusal = match error {
            Error::Refused(refusal) => Some(&**refusal),
            Error::Unavailable(outage) => outage.refusal.as_ref(),
            _ => None,
        };
        match refusal {
            // The server's problem document, unchanged.
            Some(refusal) => self.print(refusal.raw.trim(), status),
            None => self.failure(&error.to_string(), &error.hint(), error.code(), status),
        }
    }

    /// Prints a failure that is no [`Error`], in the same form.
    pub(crate) fn failure(self, sentence: &str, hint: &str, code: &str, status: ExitStatus) -> ExitStatus {
        if self.json {
            self.print(&json!({"code": code, "detail": sentence, "hint": hint}).to_string(), status)
        } else {
            // One line each, so that no text from elsewhere looks like a line of ours.
            let (sentence, hint) = (one_line(sentence.trim_end()), one_line(hint.trim_end()));
            print_message(&format!("{} {sentence}\n{} {hint}", label("error:", ERROR), label("hint:", HINT)));
            status
        }
    }

    /// Prints a text as it is: help, version, completions.
    pub(crate) fn text(self, text: &str) -> ExitStatus {
        self.print(text.trim_end(), ExitStatus::Yes)
    }

    /// Prints a help text, which has styles of its own.
    pub(crate) fn help(self, text: &StyledStr) -> ExitStatus {
        if self.json {
            let object = json!({ "help": text.to_string().trim_end() });
            return self.print(&object.to_string(), ExitStatus::Yes);
        }
        self.text(&if shows_colors(&io::stdout()) { text.ansi().to_string() } else { text.to_string() })
    }

    fn print(self, text: &str, status: ExitStatus) -> ExitStatus {
        progress::clear();
        let mut out = io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            // A reader that closed the pipe has read enough.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                print_message(&format!(
                    "error: The answer cannot be written: {error}.\nhint: Check where standard output goes."
                ));
                ExitStatus::Broken
            }
            _ => status,
        }
    }
}

/// True once a server has answered this process.
static ANSWERED: AtomicBool = AtomicBool::new(false);

/// Returns true if a server has answered this process, so that there is a network.
pub(crate) fn has_server_answered() -> bool {
    ANSWERED.load(Ordering::Relaxed)
}

/// Returns the label that a line on standard error begins with.
fn label(text: &str, style: Style) -> String {
    if shows_colors(&io::stderr()) { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

/// Prints a message. An error is ignored: there is no place to report that standard error is closed.
fn print_message(text: &str) {
    progress::clear();
    let _ = writeln!(io::stderr().lock(), "{text}");
}
