//! `coditect sync --watch`

use std::ops::ControlFlow;

use coditect::{Context, Error, Synced};

use super::report;
use crate::exit_status::ExitStatus;
use crate::printer::Printer;

/// Syncs until it fails for a reason that waiting does not help, or the process is ended.
pub(super) fn watch(printer: Printer, context: &Context) -> Result<ExitStatus, Error> {
    let mut is_offline = false;
    let mut last = ExitStatus::Yes;
    context.watch(|round| {
        match round {
            Ok(synced) => {
                if std::mem::take(&mut is_offline) {
                    printer.notice("The cloud can be reached again.");
                }
                if let Some(text) = describe_changes(synced) {
                    last = printer.answer(synced, &text, ExitStatus::Yes);
                }
            }
            Err(error) if !std::mem::replace(&mut is_offline, true) => {
                printer.notice(&format!("{error} What changes here is kept, and sent when that has passed."));
            }
            Err(_) => {}
        }
        // The output has no reader any more.
        if last == ExitStatus::Broken { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(last)
}

/// Returns a description of a round's changes, if there were any.
fn describe_changes(synced: &Synced) -> Option<String> {
    let mut lines = Vec::new();
    if synced.pushed.sent() + synced.pushed.refused > 0 {
        lines.push(report::pushed(&synced.pushed));
    }
    // Records that were just sent come back with the next pull, which is no news.
    if synced.pulled.records > synced.pushed.sent() {
        lines.push(report::pulled(&synced.pulled));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}
