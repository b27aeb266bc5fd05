//! `coditect config get|set|list`

use coditect::{Address, Config, Error};
use serde_json::json;

use crate::arguments::{Common, ConfigCommand};
use crate::exit_status::ExitStatus;
use crate::printer::Printer;

/// The settings there are.
const CLOUD_URL: &str = "cloud-url";

pub(super) fn config(printer: Printer, common: &Common, command: ConfigCommand) -> Result<ExitStatus, Error> {
    let config = Config::open(common.home.clone())?;
    match command {
        ConfigCommand::Get { name } | ConfigCommand::Set { name, .. } if name != CLOUD_URL => {
            Ok(unknown(printer, &name))
        }
        ConfigCommand::Get { .. } => {
            let url = config.cloud_url()?;
            Ok(printer.answer(&json!({ CLOUD_URL: url.as_str() }), url.as_str(), ExitStatus::Yes))
        }
        ConfigCommand::List => {
            let url = config.cloud_url()?;
            Ok(printer.answer(&json!({ CLOUD_URL: url.as_str() }), &format!("{CLOUD_URL} = {url}"), ExitStatus::Yes))
        }
        ConfigCommand::Set { value, .. } => match value.parse::<Address>() {
            Ok(url) => {
                config.set_cloud_url(&url)?;
                Ok(printer.answer(
                    &json!({ CLOUD_URL: url.as_str() }),
                    &format!("{CLOUD_URL} = {url}"),
                    ExitStatus::Yes,
                ))
            }
            // Typed here and now, and so a matter of usage.
            Err(error) => Ok(printer.failure(&error.to_string(), &error.hint(), error.code(), ExitStatus::Usage)),
        },
    }
}

fn unknown(printer: Printer, name: &str) -> ExitStatus {
    let sentence = format!("There is no setting {name:?}. There is: {CLOUD_URL}.");
    printer.failure(&sentence, "`coditect config list` prints all settings.", "unknown_setting", ExitStatus::Usage)
}
