//! `coditect deactivate`

use coditect::Error;
use serde_json::json;

use super::client;
use crate::arguments::Common;
use crate::exit_status::ExitStatus;
use crate::printer::Printer;
use crate::relative_time::TimeFormat;

pub(super) fn deactivate(printer: Printer, common: &Common) -> Result<ExitStatus, Error> {
    let client = client(printer, common)?;
    let Some(key) = client.license_key()?.map(|key| key.redacted()) else {
        let sentence = "There is no license key here, so there is nothing to deactivate.";
        let hint = "`coditect status` shows what is kept here.";
        return Ok(printer.failure(sentence, hint, Error::NoKey.code(), ExitStatus::No));
    };
    let next = client.deactivate()?;
    let then = match next {
        None => "Another machine can be activated with it.".to_owned(),
        Some(time) => {
            let time = TimeFormat::for_stdout(coditect::now()).format(time);
            format!("As many machines as the license has places were activated lately; the next one can be {time}.")
        }
    };
    let text = format!("Deactivated {key}: this machine has given its place back. {then}");
    let object = json!({ "license_key": key, "next_activation_at": next });
    Ok(printer.answer(&object, &text, ExitStatus::Yes))
}
