//! `coditect config get|set|unset|list`

use coditect::{Address, Config, Error, LicenseClient};
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
        ConfigCommand::Set { name, value, offline } => match (name.as_str(), value.as_str()) {
            (CLOUD_URL, _) => match value.parse::<Address>() {
                Ok(url) => set_cloud_url(printer, &config, url, offline),
                // Typed here and now, and so a matter of usage.
                Err(error) => Ok(wrong(printer, &error.to_string(), &error.hint(), error.code())),
            },
            (SYNC, "on" | "off") => {
                config.set_sync(value == "on")?;
                Ok(is_now(printer, &name, &value))
            }
            (SYNC, _) => {
                let sentence = format!("Sync is on or off, and not {value:?}.");
                Ok(wrong(printer, &sentence, "`coditect config set sync on` turns it on.", "invalid_setting"))
            }
            _ => Ok(unknown(printer, &name)),
        },
        ConfigCommand::Unset { name } => {
            let value = match name.as_str() {
                CLOUD_URL => {
                    config.unset_cloud_url()?;
                    config.cloud_url()?.to_string()
                }
                SYNC => {
                    config.set_sync(false)?;
                    word(false).to_owned()
                }
                _ => return Ok(unknown(printer, &name)),
            };
            Ok(is_now(printer, &name, &value))
        }
    }
}

/// Asks first who is there, so that a mistake is noticed by whoever makes it.
fn set_cloud_url(printer: Printer, config: &Config, url: Address, offline: bool) -> Result<ExitStatus, Error> {
    if offline {
        config.set_cloud_url(&url)?;
        return Ok(is_now(printer, CLOUD_URL, url.as_str()));
    }
    let builder = LicenseClient::builder().on_notice(move |notice| printer.notice(&notice.to_string()));
    let found = builder.home(config.path()).cloud_url(url.clone()).build()?.discover();
    match found {
        Ok(found) => {
            config.set_cloud_url(&url)?;
            let functions: Vec<&str> = found.functions.keys().map(String::as_str).collect();
            let text = format!("{CLOUD_URL} = {url}\nfunctions = {}\nissuer = {}", functions.join(", "), found.issuer);
            let object = json!({ CLOUD_URL: url.as_str(), "functions": found.functions, "issuer": found.issuer });
            Ok(printer.answer(&object, &text, ExitStatus::Yes))
        }
        Err(error) => {
            let sentence = format!("{error} The address was not changed.");
            let anyway = format!("`coditect config set {CLOUD_URL} {url} --offline` takes it as it is.");
            Ok(printer.failure(&sentence, &format!("{} {anyway}", error.hint()), error.code(), ExitStatus::of(&error)))
        }
    }
}

fn is_now(printer: Printer, name: &str, value: &str) -> ExitStatus {
    printer.answer(&json!({ name: value }), &format!("{name} = {value}"), ExitStatus::Yes)
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
