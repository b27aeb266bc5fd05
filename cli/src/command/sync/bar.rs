//! Progress of a push or pull, on one line.

use std::time::{Duration, Instant};

use coditect::SyncProgress;

use crate::printer::Printer;

/// Shortest time between two updates: more of them could not be read.
const PACE: Duration = Duration::from_millis(100);

/// Shows progress at a bounded pace.
pub(super) struct Bar {
    printer: Printer,
    shown: Option<Instant>,
}

impl Bar {
    pub(super) fn new(printer: Printer) -> Self {
        Self { printer, shown: None }
    }

    /// Returns the callback of a sync.
    pub(super) fn shower(mut self) -> impl FnMut(SyncProgress) {
        move |progress| self.show(progress)
    }

    fn show(&mut self, progress: SyncProgress) {
        if self.shown.is_some_and(|shown| shown.elapsed() < PACE) {
            return;
        }
        self.shown = Some(Instant::now());
        self.printer.progress(&match progress {
            SyncProgress::Pushing { done, total } => format!("Sending: {done} of {}", total.max(done)),
            SyncProgress::Pulling { done, total: Some(total) } => {
                format!("Fetching: {done} of {}", total.max(done))
            }
            SyncProgress::Pulling { done, total: None } => format!("Fetching: {done}"),
        });
    }
}
