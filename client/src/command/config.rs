//! `coditect config get|set|list`

use coditect::{Address, Config, Error};
use serde_json::json;

use crate::arguments::{Common, ConfigCommand};
use crate::exit_status::ExitStatus;
use crate::printer::Printer;

/// The settings there are.
const CLOUD_URL: &str = "cloud-url";
const SYNC: &str = "sync";

pub(super) fn config(printer: Printer, common: &Common, command: ConfigCommand) -> Result<ExitStatus, Error> {
    let config = Config::open(common.home.clone())?;
    match command {
        ConfigCommand::List => {
            let (url, sync) = (config.cloud_url()?, word(config.sync()?));
            let text = format!("{CLOUD_URL} = {url}\n{SYNC} = {sync}");
            Ok(printer.answer(&json!({ CLOUD_URL: url.as_str(), SYNC: sync }), &text, ExitStatus::Yes))
        }
        ConfigCommand::Get { name } => {
            let value = match name.as_str() {
                CLOUD_URL => config.cloud_url()?.to_string(),
                SYNC => word(config.sync()?).to_owned(),
                _ => return Ok(unknown(printer, &name)),
            };
            Ok(printer.answer(&json!({ name: value }), &value, ExitStatus::Yes))
        }
        ConfigCommand::Set { name, value } => {
            let value = match (name.as_str(), value.as_str()) {
                (CLOUD_URL, _) => match value.parse::<Address>() {
                    Ok(url) => {
                        config.set_cloud_url(&url)?;
                        url.to_string()
                    }
                    // Typed here and now, and so a matter of usage.
                    Err(error) => return Ok(wrong(printer, &error.to_string(), &error.hint(), error.code())),
                },
                (SYNC, "on" | "off") => {
                    config.set_sync(value == "on")?;
                    value
                }
                (SYNC, _) => {
                    let sentence = format!("Sync is on or off, and not {value:?}.");
                    return Ok(wrong(
                        printer,
                        &sentence,
                        "`coditect config set sync on` turns it on.",
                        "invalid_setting",
                    ));
                }
                _ => return Ok(unknown(printer, &name)),
            };
            let text = format!("{name} = {value}");
            Ok(printer.answer(&json!({ name: value }), &text, ExitStatus::Yes))
        }
    }
}

fn word(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

fn unknown(printer: Printer, name: &str) -> ExitStatus {
    let sentence = format!("There is no setting {name:?}. There are: {CLOUD_URL}, {SYNC}.");
    wrong(printer, &sentence, "`coditect config list` prints all settings.", "unknown_setting")
}

fn wrong(printer: Printer, sentence: &str, hint: &str, code: &str) -> ExitStatus {
    printer.failure(sentence, hint, code, ExitStatus::Usage)
}
