//! `coditect config get|set|unset|list`

use std::collections::BTreeMap;

use coditect::{Address, Config, Error, LicenseClient};
use serde_json::json;

use super::client;
use crate::arguments::{Common, ConfigCommand, parse_switch};
use crate::exit_status::ExitStatus;
use crate::printer::{Printer, one_line};

/// Names of the settings.
const CLOUD_URL: &str = "cloud-url";
const SYNC: &str = "sync";
const KEYCHAIN: &str = "keychain";
const SSO: &str = "sso";

pub(super) fn config(printer: Printer, common: &Common, command: ConfigCommand) -> Result<ExitStatus, Error> {
    let config = Config::open(common.home.clone())?;
    match command {
        ConfigCommand::List => list(printer, &config),
        ConfigCommand::Get { name } => {
            if !SETTINGS.contains(&name.as_str()) {
                return Ok(refuse_unknown(printer, &name));
            }
            let value = read(&config, &name)?;
            Ok(printer.answer(&json!({ name: for_programs(&value) }), &one_line(&value), ExitStatus::Yes))
        }
        ConfigCommand::Set { name, value, offline } => match (name.as_str(), parse_switch(&value)) {
            (CLOUD_URL, _) => match value.parse::<Address>() {
                Ok(url) => set_cloud_url(printer, &config, url, offline),
                // Typed here and now, and so a matter of usage.
                Err(error) => Ok(refuse(printer, &error.to_string(), &error.hint(), error.code())),
            },
            (SYNC, Some(on)) => {
                config.set_sync(on)?;
                Ok(print_setting(printer, &name, on_or_off(on)))
            }
            (SYNC, None) => {
                let sentence = format!("Sync is on or off, and not {value:?}.");
                Ok(refuse(printer, &sentence, "`coditect config set sync on` turns it on.", "invalid_setting"))
            }
            (KEYCHAIN, Some(on)) => set_keychain(printer, common, on),
            (KEYCHAIN, None) => {
                let sentence = format!("The keychain is on or off, and not {value:?}.");
                Ok(refuse(printer, &sentence, "`coditect config set keychain off` does without it.", "invalid_setting"))
            }
            (SSO, _) => {
                let hint = format!("`coditect login --sso {value}` signs in with it, and remembers it.");
                Ok(refuse(printer, "The provider is set by signing in with it.", &hint, "invalid_setting"))
            }
            _ => Ok(refuse_unknown(printer, &name)),
        },
        ConfigCommand::Unset { name } => {
            let value = match name.as_str() {
                CLOUD_URL => {
                    config.unset_cloud_url()?;
                    config.cloud_url()?.to_string()
                }
                SYNC => {
                    config.set_sync(false)?;
                    on_or_off(false).to_owned()
                }
                KEYCHAIN => return set_keychain(printer, common, true),
                SSO => {
                    config.set_sso(None)?;
                    read(&config, SSO)?
                }
                _ => return Ok(refuse_unknown(printer, &name)),
            };
            Ok(print_setting(printer, &name, &value))
        }
    }
}

fn list(printer: Printer, config: &Config) -> Result<ExitStatus, Error> {
    let values: Vec<(&str, String)> =
        SETTINGS.iter().map(|name| Ok((*name, read(config, name)?))).collect::<Result<_, Error>>()?;
    let lines: Vec<String> = values.iter().map(|(name, value)| format!("{name} = {}", one_line(value))).collect();
    let object: BTreeMap<&str, &str> = values.iter().map(|(name, value)| (*name, for_programs(value))).collect();
    Ok(printer.answer(&object, &lines.join("\n"), ExitStatus::Yes))
}

/// All settings, in the order in which they are listed.
const SETTINGS: [&str; 4] = [CLOUD_URL, SYNC, KEYCHAIN, SSO];

fn read(config: &Config, name: &str) -> Result<String, Error> {
    Ok(match name {
        CLOUD_URL => config.cloud_url()?.to_string(),
        SYNC => on_or_off(config.sync()?).to_owned(),
        KEYCHAIN => on_or_off(config.keychain()?).to_owned(),
        _ => config.sso()?.map_or_else(|| CLOUD_PROVIDER.0.to_owned(), |sso| sso.issuer),
    })
}

/// Value of `sso` for the provider that the cloud names: for people, and for programs.
const CLOUD_PROVIDER: (&str, &str) = ("the cloud's", "cloud");

/// Returns a setting's value for programs, in one word.
fn for_programs(value: &str) -> &str {
    if value == CLOUD_PROVIDER.0 { CLOUD_PROVIDER.1 } else { value }
}

/// Turns the keychain on or off, and moves the stored secrets into or out of it.
fn set_keychain(printer: Printer, common: &Common, on: bool) -> Result<ExitStatus, Error> {
    let is_available = client(printer, common)?.use_keychain(on)?;
    let text = match (on, is_available) {
        (true, true) => "keychain = on\nYour secrets are sealed under the keychain's secret.",
        (true, false) => "keychain = on\nThere is none to be used here, so the home folder keeps your secrets, sealed.",
        (false, _) => "keychain = off\nThe home folder keeps your secrets, sealed.",
    };
    Ok(printer.answer(&json!({ KEYCHAIN: on_or_off(on), "in_use": is_available }), text, ExitStatus::Yes))
}

/// Sets the cloud's address, after asking the server there, so that the user notices a mistake at once.
fn set_cloud_url(printer: Printer, config: &Config, url: Address, offline: bool) -> Result<ExitStatus, Error> {
    if offline {
        config.set_cloud_url(&url)?;
        return Ok(print_setting(printer, CLOUD_URL, url.as_str()));
    }
    let builder = LicenseClient::builder().on_notice(move |notice| printer.notice(&notice.to_string()));
    let found = builder.home(config.path()).cloud_url(url.clone()).build()?.discover();
    match found {
        Ok(found) => {
            config.set_cloud_url(&url)?;
            let functions: Vec<&str> = found.functions.keys().map(String::as_str).collect();
            let (names, issuer) = (one_line(&functions.join(", ")), one_line(&found.issuer));
            let text = format!("{CLOUD_URL} = {url}\nfunctions = {names}\nissuer = {issuer}");
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

fn print_setting(printer: Printer, name: &str, value: &str) -> ExitStatus {
    printer.answer(&json!({ name: for_programs(value) }), &format!("{name} = {}", one_line(value)), ExitStatus::Yes)
}

fn on_or_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

fn refuse_unknown(printer: Printer, name: &str) -> ExitStatus {
    let sentence = format!("There is no setting {name:?}. There are: {}.", SETTINGS.join(", "));
    refuse(printer, &sentence, "`coditect config list` prints all settings.", "unknown_setting")
}

fn refuse(printer: Printer, sentence: &str, hint: &str, code: &str) -> ExitStatus {
    printer.failure(sentence, hint, code, ExitStatus::Usage)
}
