//! Progress line on the terminal: the progress of a transfer, or the server that is being asked. It is on standard error, is
//! overwritten in place, and is removed when anything else is printed.

use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use coditect::Trace;

/// Time after which a request is shown on the line.
const MOMENT: Duration = Duration::from_millis(500);

/// Time between two frames of the wheel (a spinner).
pub(crate) const PACE: Duration = Duration::from_millis(100);

/// The most characters of the line: a longer one wraps around, and can't be overwritten.
const MAX_WIDTH: usize = 78;

/// State of the line: there is one standard error, and so one line.
static LINE: Mutex<Line> =
    Mutex::new(Line { text: String::new(), width: 0, asking: None, spinning: false, hushed: false });
static CHANGED: Condvar = Condvar::new();

struct Line {
    /// Progress, if it is known.
    text: String,
    /// Number of characters that are shown now.
    width: usize,
    /// Server that is being asked, and the time since when.
    asking: Option<(String, Instant)>,
    /// True if there is a thread that turns the wheel.
    spinning: bool,
    /// True once the terminal belongs to another program.
    hushed: bool,
}

impl Line {
    fn draw(&mut self, line: &str) {
        let line: String = line.chars().take(MAX_WIDTH).collect();
        let width = line.chars().count();
        // Spaces cover the rest of a longer line. An error is ignored: there is no place to report that standard error is closed.
        let _ = write!(io::stderr().lock(), "\r{line}{:1$}", "", self.width.saturating_sub(width));
        self.width = width;
    }

    fn wipe(&mut self) {
        if self.width > 0 {
            let _ = write!(io::stderr().lock(), "\r{:1$}\r", "", self.width);
            self.width = 0;
        }
    }

    /// Draws one frame for a request that has taken longer than `MOMENT`.
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

/// Returns the wheel's character in a frame.
pub(crate) fn wheel(frame: usize) -> char {
    const FRAMES: [char; 4] = ['|', '/', '-', '\\'];
    FRAMES[frame % FRAMES.len()]
}

/// Shows progress.
pub(crate) fn show(text: &str) {
    let mut line = line();
    if !line.hushed {
        text.clone_into(&mut line.text);
        line.draw(text);
    }
}

/// Shows the server that a client asks, while it takes longer than `MOMENT`.
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

/// Removes the line, since something else is printed.
pub(crate) fn wipe() {
    let mut line = line();
    line.text.clear();
    line.wipe();
}

/// Removes the line for good: the terminal belongs to another program now.
pub(crate) fn hush() {
    let mut line = line();
    line.hushed = true;
    line.asking = None;
    line.text.clear();
    line.wipe();
}

/// Turns the wheel whenever a server is being asked, for as long as the process lives.
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

/// Returns the host in an address.
fn host(url: &str) -> &str {
    url.split('/').nth(2).unwrap_or(url)
}
