//! `coditect sync [push|pull|status|retry|log]`

mod progress;
mod report;
mod watch;

use coditect::{ContextStore, Error, Pulled, Pushed, RecordId};
use serde::Serialize;
use serde_json::json;

use super::record::ids;
use super::{client, sync_keys};
use crate::arguments::{Common, SyncArguments, SyncCommand};
use crate::exit_status::ExitStatus;
use crate::printer::Printer;
use progress::progress_callback;

pub(super) fn sync(printer: Printer, common: &Common, arguments: SyncArguments) -> Result<ExitStatus, Error> {
    match arguments.command {
        None if arguments.watch => watch::watch(printer, &client(printer, common)?.context()),
        None => {
            let synced = client(printer, common)?.context().sync(progress_callback(printer))?;
            let text = format!("{}\n{}", report::pushed(&synced.pushed), report::pulled(&synced.pulled));
            Ok(print_result(printer, &synced, &text, Some(&synced.pushed)))
        }
        Some(SyncCommand::Push) => {
            let pushed = client(printer, common)?.context().push(progress_callback(printer))?;
            Ok(print_result(printer, &pushed, &report::pushed(&pushed), Some(&pushed)))
        }
        Some(SyncCommand::Pull { all }) => {
            let (context, callback) = (client(printer, common)?.context(), progress_callback(printer));
            let pulled: Pulled = if all { context.pull_everything(callback)? } else { context.pull(callback)? };
            Ok(print_result(printer, &pulled, &report::pulled(&pulled), None))
        }
        Some(SyncCommand::Status) => {
            let status = ContextStore::open(common.home.clone())?.status()?;
            Ok(printer.answer(&status, &report::status(&status), ExitStatus::Yes))
        }
        Some(SyncCommand::Keys(command)) => sync_keys::keys(printer, common, &command),
        Some(SyncCommand::Retry { ids }) => retry(printer, common, ids),
        Some(SyncCommand::Log { limit }) => {
            let entries = ContextStore::open(common.home.clone())?.journal(limit)?;
            let lines: Vec<String> = entries.iter().map(report::log_line).collect();
            let text = if lines.is_empty() { "Nothing was sent or fetched yet.".to_owned() } else { lines.join("\n") };
            Ok(printer.answer(&json!({ "data": entries }), &text, ExitStatus::Yes))
        }
    }
}

fn retry(printer: Printer, common: &Common, ids: Vec<String>) -> Result<ExitStatus, Error> {
    let store = ContextStore::open(common.home.clone())?;
    let parked = if ids.is_empty() { Vec::new() } else { store.parked_ids()? };
    let ids_with_prefix = |id: &RecordId| {
        let begins = |parked: &&RecordId| parked.as_str().starts_with(id.as_str());
        Ok(parked.iter().filter(begins).cloned().collect())
    };
    let ids =
        ids.iter().map(|typed| ids::find(typed, "change of", ids_with_prefix)).collect::<Result<Vec<_>, Error>>()?;
    let freed = store.retry(&ids)?;
    let text = match freed {
        0 => "There is nothing to retry.".to_owned(),
        1 => "1 change will be sent again by the next `coditect sync push`.".to_owned(),
        more => format!("{more} changes will be sent again by the next `coditect sync push`."),
    };
    Ok(printer.answer(&json!({ "retried": freed }), &text, ExitStatus::Yes))
}

/// Prints the result of a sync. The exit status is a no if changes remain unsent.
fn print_result(printer: Printer, object: &impl Serialize, text: &str, pushed: Option<&Pushed>) -> ExitStatus {
    let Some(unsent) = pushed.and_then(report::unsent) else { return printer.answer(object, text, ExitStatus::Yes) };
    let status = printer.answer(object, text, ExitStatus::No);
    if printer.json { status } else { printer.failure(&unsent.sentence, unsent.hint, &unsent.code, ExitStatus::No) }
}
