//! `coditect sync --watch`

use std::ops::ControlFlow;

use coditect::{Context, Error, Synced};

use super::report;
use crate::exit_status::ExitStatus;
use crate::printer::Printer;

/// Syncs until it can't for a reason that waiting does not help, or somebody ends the process.
pub(super) fn watch(printer: Printer, context: &Context) -> Result<ExitStatus, Error> {
    let mut away = false;
    let mut last = ExitStatus::Yes;
    context.watch(|round| {
        match round {
            Ok(synced) => {
                if std::mem::take(&mut away) {
                    printer.notice("The cloud can be reached again.");
                }
                if let Some(text) = news(synced) {
                    last = printer.answer(synced, &text, ExitStatus::Yes);
                }
            }
            Err(error) if !std::mem::replace(&mut away, true) => {
                printer.notice(&format!("{error} What changes here is kept, and sent when that has passed."));
            }
            Err(_) => {}
        }
        // Nobody reads any more.
        if last == ExitStatus::Broken { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(last)
}

/// What a round did, if anything.
fn news(synced: &Synced) -> Option<String> {
    let mut lines = Vec::new();
    if synced.pushed.sent() + synced.pushed.refused > 0 {
        lines.push(report::pushed(&synced.pushed));
    }
    // What was just sent comes back with the next pull, which is no news.
    if synced.pulled.records > synced.pushed.sent() {
        lines.push(report::pulled(&synced.pulled));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}
