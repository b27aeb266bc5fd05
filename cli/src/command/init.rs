//! `coditect init`

use coditect::{Config, Error, LicenseClient};
use serde_json::json;

use super::client;
use crate::arguments::Common;
use crate::exit_status::ExitStatus;
use crate::printer::{Printer, display_path};

const FREE: &str = "\
The free tier needs no account and no network: basic agents, on this machine alone.

What to do next:
  coditect run -- COMMAND…  runs a command
  coditect register         starts an upgrade: as many commands as you like, all agents, all your machines
  coditect activate         stores the license key that you have";

const LICENSED: &str = "\
What to do next:
  coditect run -- COMMAND…  runs a command on one of your license's seats
  coditect status           shows what this machine knows";

pub(super) fn init(printer: Printer, common: &Common) -> Result<ExitStatus, Error> {
    let made = Config::open(common.home.clone())?.init()?;
    let client = client(printer, common)?;
    let home = display_path(client.home());
    let first = if made { format!("Made {home}.") } else { format!("{home} is there already.") };
    let text = [first, commands_left(&client)?, next_steps(&client)?.to_owned()].join("\n");
    let object =
        json!({"home": client.home().to_string_lossy(), "made": made, "commands_today": client.commands_today()?});
    Ok(printer.answer(&object, &text, ExitStatus::Yes))
}

fn commands_left(client: &LicenseClient) -> Result<String, Error> {
    Ok(match client.commands_today()? {
        Some(today) => format!("{} of today's {} commands are left.", today.left(), today.limit),
        None => "Commands are not limited.".to_owned(),
    })
}

fn next_steps(client: &LicenseClient) -> Result<&'static str, Error> {
    Ok(if client.given_key()?.is_some() || client.is_signed_in()? || client.license_key()?.is_some() {
        LICENSED
    } else {
        FREE
    })
}
