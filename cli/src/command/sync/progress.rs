//! Progress of a push or pull, on one line.

use std::time::Instant;

use coditect::SyncProgress;

use crate::printer::Printer;
use crate::progress::FRAME_INTERVAL;

/// Returns the callback of a sync. It shows the progress, and not more often than can be read.
pub(super) fn progress_callback(printer: Printer) -> impl FnMut(SyncProgress) {
    let mut shown_at: Option<Instant> = None;
    move |progress| {
        if shown_at.is_some_and(|at| at.elapsed() < FRAME_INTERVAL) {
            return;
        }
        shown_at = Some(Instant::now());
        printer.progress(&match progress {
            SyncProgress::Pushing { done, total } => format!("Sending: {done} of {}", total.max(done)),
            SyncProgress::Pulling { done, total: Some(total) } => format!("Fetching: {done} of {}", total.max(done)),
            SyncProgress::Pulling { done, total: None } => format!("Fetching: {done}"),
        });
    }
}
