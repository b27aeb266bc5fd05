//! The line on a person's terminal that says what takes so long: how far something is, or who is being asked. It is on
//! standard error, is written over itself, and is gone when anything else is printed.

use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use coditect::Trace;

/// What takes longer than this is worth a line,
const MOMENT: Duration = Duration::from_millis(500);

/// which then shows that it is alive.
pub(crate) const PACE: Duration = Duration::from_millis(100);

/// More wraps around, and can't be written over.
const MAX_WIDTH: usize = 78;

/// There is one standard error, and so one line.
static LINE: Mutex<Line> =
    Mutex::new(Line { text: String::new(), width: 0, asking: None, spinning: false, hushed: false });
static CHANGED: Condvar = Condvar::new();

struct Line {
    /// How far something is, if that is known.
    text: String,
    /// What stands there now.
    width: usize,
    /// Who is being asked, and since when.
    asking: Option<(String, Instant)>,
    /// There is a thread that turns the wheel.
    spinning: bool,
    /// The terminal is another program's now.
    hushed: bool,
}

impl Line {
    fn draw(&mut self, line: &str) {
        let line: String = line.chars().take(MAX_WIDTH).collect();
        let width = line.chars().count();
        // What is longer than this line is covered by spaces. Nobody is left to be told when standard error is closed.
        let _ = write!(io::stderr().lock(), "\r{line}{:1$}", "", self.width.saturating_sub(width));
        self.width = width;
    }

    fn wipe(&mut self) {
        if self.width > 0 {
            let _ = write!(io::stderr().lock(), "\r{:1$}\r", "", self.width);
            self.width = 0;
        }
    }

    /// One frame of what has taken longer than a moment.
    fn spin(&mut self, frame: usize) {
        let Some((who, since)) = &self.asking else { return };
        let wheel = wheel(frame);
        let line = if self.text.is_empty() {
            format!("{wheel} Asking {who}, {} s", since.elapsed().as_secs())
        } else {
            format!("{wheel} {}", self.text)
        };
        self.draw(&line);
    }
}

/// How the wheel stands.
pub(crate) fn wheel(frame: usize) -> char {
    const FRAMES: [char; 4] = ['|', '/', '-', '\\'];
    FRAMES[frame % FRAMES.len()]
}

/// How far something is.
pub(crate) fn show(text: &str) {
    let mut line = line();
    if !line.hushed {
        text.clone_into(&mut line.text);
        line.draw(text);
    }
}

/// Shows whom a client asks, while it takes longer than a moment.
pub(crate) fn follow(trace: &Trace) {
    let mut line = line();
    match trace {
        Trace::Asking { url, .. } if !line.hushed => {
            line.asking = Some((host(url).to_owned(), Instant::now()));
            if !std::mem::replace(&mut line.spinning, true) {
                thread::spawn(turn);
            }
            CHANGED.notify_all();
        }
        Trace::Answered { .. } | Trace::Unanswered { .. } if line.asking.take().is_some() && line.text.is_empty() => {
            line.wipe();
        }
        _ => {}
    }
}

/// Takes the line away, since something else is printed.
pub(crate) fn wipe() {
    let mut line = line();
    line.text.clear();
    line.wipe();
}

/// The same, for good: the terminal belongs to another program now.
pub(crate) fn hush() {
    let mut line = line();
    line.hushed = true;
    line.asking = None;
    line.text.clear();
    line.wipe();
}

/// Turns the wheel whenever somebody is being asked, for as long as the process lives.
fn turn() {
    let mut frame = 0;
    let mut line = line();
    loop {
        let waited = line.asking.as_ref().map(|(_, since)| since.elapsed());
        line = match waited {
            None => CHANGED.wait(line).unwrap_or_else(PoisonError::into_inner),
            Some(waited) => {
                if waited >= MOMENT {
                    line.spin(frame);
                    frame += 1;
                }
                let pause = MOMENT.saturating_sub(waited).max(PACE);
                CHANGED.wait_timeout(line, pause).unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }
}

fn line() -> MutexGuard<'static, Line> {
    LINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The host in an address.
fn host(url: &str) -> &str {
    url.split('/').nth(2).unwrap_or(url)
}
