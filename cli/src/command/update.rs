//! `coditect self update [--check]`

use coditect::Error;
use coditect::update::Memory;
use serde_json::{Value, json};

use super::client;
use crate::arguments::Common;
use crate::exit_status::ExitStatus;
use crate::printer::{Printer, display_path};

const CURRENT_VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn update(printer: Printer, common: &Common, check: bool) -> Result<ExitStatus, Error> {
    let updater = match client(printer, common)?.updater() {
        // With `--check`, a no means that there is a newer version.
        Err(error) if check => {
            return Ok(printer.failure(&error.to_string(), &error.hint(), error.code(), ExitStatus::Broken));
        }
        other => other?,
    };
    let newest = updater.check()?;
    // A version that is reported here and now is not announced again today.
    let _ = Memory::news(common.home.clone());
    let version = newest.version();
    let object = |updated: bool| -> Value {
        json!({ "version": CURRENT_VERSION, "newest": version, "released_at": newest.released_at(), "updated": updated })
    };
    if check && newest.is_newer() {
        let day = newest.released_at().strftime("%Y-%m-%d");
        let text = format!(
            "coditect {version} was released on {day}; this is {CURRENT_VERSION}. `coditect self update` installs it."
        );
        return Ok(printer.answer(&object(false), &text, ExitStatus::No));
    }
    if check || version == CURRENT_VERSION {
        let text = format!("This coditect, {CURRENT_VERSION}, is the newest.");
        return Ok(printer.answer(&object(false), &text, ExitStatus::Yes));
    }
    let mut last = None;
    let program = updater.install(&newest, |done, total| {
        let percent = done * 100 / total.max(1);
        if last.replace(percent) != Some(percent) {
            printer.progress(&format!("Fetching coditect {version}: {} %", percent.min(100)));
        }
    })?;
    let text = format!("coditect {version} is installed in place of {CURRENT_VERSION}: {}", display_path(&program));
    Ok(printer.answer(&object(true), &text, ExitStatus::Yes))
}
