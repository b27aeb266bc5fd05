//! Progress line on the terminal: the progress of a transfer, or the request that is being answered. It is on standard error, is
//! overwritten in place, and is cleared before anything else is printed.

use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use coditect::Trace;

/// Time after which a request is shown on the line.
const REQUEST_DELAY: Duration = Duration::from_millis(500);

/// Time between two frames of the spinner, and shortest time between two updates of a transfer.
pub(crate) const FRAME_INTERVAL: Duration = Duration::from_millis(100);

/// The most characters of the line: a longer one wraps around, and can't be overwritten.
const MAX_WIDTH: usize = 78;

/// State of the line: there is one standard error, and so one line.
static LINE: Mutex<Line> =
    Mutex::new(Line { text: String::new(), width: 0, request: None, is_animated: false, is_disabled: false });
static CHANGED: Condvar = Condvar::new();

struct Line {
    /// Progress, if it is known.
    text: String,
    /// Number of characters that are shown now.
    width: usize,
    /// Host of the request that has no answer yet, and the time since when.
    request: Option<(String, Instant)>,
    /// True if there is a thread that draws the spinner.
    is_animated: bool,
    /// True once the terminal belongs to another program.
    is_disabled: bool,
}

impl Line {
    fn draw(&mut self, line: &str) {
        let line: String = line.chars().take(MAX_WIDTH).collect();
        let width = line.chars().count();
        // Spaces cover the rest of a longer line. An error is ignored: there is no place to report that standard error is closed.
        let _ = write!(io::stderr().lock(), "\r{line}{:1$}", "", self.width.saturating_sub(width));
        self.width = width;
    }

    fn clear(&mut self) {
        if self.width > 0 {
            let _ = write!(io::stderr().lock(), "\r{:1$}\r", "", self.width);
            self.width = 0;
        }
    }

    /// Draws one frame for a request that has taken longer than `REQUEST_DELAY`.
    fn draw_request(&mut self, frame: usize) {
        let Some((host, since)) = &self.request else { return };
        let spinner = spinner(frame);
        let line = if self.text.is_empty() {
            format!("{spinner} Asking {host}, {} s", since.elapsed().as_secs())
        } else {
            format!("{spinner} {}", self.text)
        };
        self.draw(&line);
    }
}

/// Returns the spinner's character in a frame.
pub(crate) fn spinner(frame: usize) -> char {
    const FRAMES: [char; 4] = ['|', '/', '-', '\\'];
    FRAMES[frame % FRAMES.len()]
}

/// Shows progress.
pub(crate) fn show(text: &str) {
    let mut line = line();
    if !line.is_disabled {
        text.clone_into(&mut line.text);
        line.draw(text);
    }
}

/// Shows the host of a request that takes longer than `REQUEST_DELAY`, until its answer.
pub(crate) fn show_request(trace: &Trace) {
    let mut line = line();
    match trace {
        Trace::Asking { url, .. } if !line.is_disabled => {
            line.request = Some((host(url).to_owned(), Instant::now()));
            if !std::mem::replace(&mut line.is_animated, true) {
                thread::spawn(animate);
            }
            CHANGED.notify_all();
        }
        Trace::Answered { .. } | Trace::Unanswered { .. } if line.request.take().is_some() && line.text.is_empty() => {
            line.clear();
        }
        _ => {}
    }
}

/// Clears the line, since something else is printed.
pub(crate) fn clear() {
    let mut line = line();
    line.text.clear();
    line.clear();
}

/// Clears the line for good: the terminal belongs to another program now.
pub(crate) fn disable() {
    let mut line = line();
    line.is_disabled = true;
    line.request = None;
    line.text.clear();
    line.clear();
}

/// Draws the spinner whenever a request is waited for, for as long as the process lives.
fn animate() {
    let mut frame = 0;
    let mut line = line();
    loop {
        let waited = line.request.as_ref().map(|(_, since)| since.elapsed());
        line = match waited {
            None => CHANGED.wait(line).unwrap_or_else(PoisonError::into_inner),
            Some(waited) => {
                if waited >= REQUEST_DELAY {
                    line.draw_request(frame);
                    frame += 1;
                }
                let pause = REQUEST_DELAY.saturating_sub(waited).max(FRAME_INTERVAL);
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
