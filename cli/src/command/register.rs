//! `coditect register`

use coditect::Error;
use serde_json::json;

use super::client;
use crate::arguments::Common;
use crate::exit_status::ExitStatus;
use crate::printer::{Printer, one_line};

pub(super) fn register(printer: Printer, common: &Common, no_browser: bool) -> Result<ExitStatus, Error> {
    let client = client(printer, common)?;
    let Some(url) = client.register_url()? else {
        let cloud = client.cloud_url();
        let sentence = format!("{cloud} sells nothing by itself: its license keys come from whoever runs it.");
        let hint = "Ask them for a key; `coditect activate` stores it.";
        return Ok(printer.failure(&sentence, hint, "no_registration", ExitStatus::No));
    };
    if !no_browser && !printer.json {
        super::browser::open(&url, |_| ());
    }
    printer.notice("Choose a plan on this page. The license key comes by mail; `coditect activate` stores it.");
    Ok(printer.answer(&json!({"url": url}), &one_line(&url), ExitStatus::Yes))
}
