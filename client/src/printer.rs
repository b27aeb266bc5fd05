//! All that this program prints: data to standard output, words to standard error.
//!
//! With `--json`, standard output is one object, also for errors. There are no colours, so `NO_COLOR` has nothing to turn
//! off.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use coditect::Error;
use serde::Serialize;
use serde_json::{Value, json};

use crate::exit_status::ExitStatus;

/// Where everything goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
}

impl Printer {
    /// The answer: the object for programs, or the text for people. The status says what it was.
    pub(crate) fn answer(self, object: &impl Serialize, text: &str, status: ExitStatus) -> ExitStatus {
        if self.json {
            let object = serde_json::to_string(object).expect("answers are text with names");
            self.data(&object, status)
        } else {
            self.data(&plain(text), status)
        }
    }

    /// A sentence that nobody asked for.
    pub(crate) fn notice(self, sentence: &str) {
        if !self.quiet {
            words(&plain(sentence));
        }
    }

    /// How far something is: a line that the next one takes the place of. Shown to people at a terminal alone.
    pub(crate) fn progress(self, line: &str) {
        if self.json || self.quiet || !io::stderr().is_terminal() {
            return;
        }
        let line = plain(line);
        let width = line.chars().count();
        let before = OPEN_LINE.swap(width, Ordering::Relaxed);
        // What is longer than this line is covered by spaces.
        let _ = write!(io::stderr().lock(), "\r{line}{:1$}", "", before.saturating_sub(width));
    }

    /// What went wrong, and the command that helps.
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
            // The server's own, unchanged.
            Some(refusal) => self.data(refusal.raw.trim(), status),
            None => self.failure(&error.to_string(), &error.hint(), error.code(), status),
        }
    }

    /// The same for what went wrong here.
    pub(crate) fn failure(self, sentence: &str, hint: &str, code: &str, status: ExitStatus) -> ExitStatus {
        if self.json {
            self.data(&json!({"code": code, "detail": sentence, "hint": hint}).to_string(), status)
        } else {
            words(&format!("error: {}\nhint: {}", plain(sentence), plain(hint)));
            status
        }
    }

    /// Text that is printed as it is: help and version.
    pub(crate) fn text(self, text: &str) -> ExitStatus {
        self.data(text.trim_end(), ExitStatus::Yes)
    }

    /// What was wrong with the arguments, as their parser says it.
    pub(crate) fn usage(self, text: &str) -> ExitStatus {
        if self.json {
            let detail = text.trim().trim_start_matches("error: ");
            let object: Value =
                json!({"code": "usage", "detail": detail, "hint": "`coditect --help` lists the commands."});
            return self.data(&object.to_string(), ExitStatus::Usage);
        }
        words(&format!("{}\nhint: `coditect --help` lists the commands.", text.trim()));
        ExitStatus::Usage
    }

    fn data(self, text: &str, status: ExitStatus) -> ExitStatus {
        wipe();
        let mut out = io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            // Whoever closed the pipe has read enough.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                words(&format!(
                    "error: The answer cannot be written: {error}.\nhint: Check where standard output goes."
                ));
                ExitStatus::Broken
            }
            _ => status,
        }
    }
}

/// How wide the line of progress is that stands on standard error at the moment.
static OPEN_LINE: AtomicUsize = AtomicUsize::new(0);

/// Takes the line of progress away.
fn wipe() {
    let width = OPEN_LINE.swap(0, Ordering::Relaxed);
    if width > 0 {
        let _ = write!(io::stderr().lock(), "\r{:width$}\r", "");
    }
}

/// Nobody is left to be told when standard error is closed.
fn words(text: &str) {
    wipe();
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// What came over the network moves no cursor and rings no bell.
fn plain(text: &str) -> String {
    text.chars().map(|char| if char.is_control() && char != '\n' { ' ' } else { char }).collect()
}
