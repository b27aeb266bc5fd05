//! `coditect telemetry on|off|status|show`

use coditect::Error;
use coditect::telemetry::Telemetry;
use serde_json::json;

use crate::arguments::{Common, TelemetryCommand};
use crate::exit_status::ExitStatus;
use crate::printer::Printer;

pub(super) fn telemetry(printer: Printer, common: &Common, command: TelemetryCommand) -> Result<ExitStatus, Error> {
    let telemetry = Telemetry::open(common.home.clone())?;
    match command {
        TelemetryCommand::On => {
            telemetry.turn_on()?;
            let text = "Telemetry is on. `coditect telemetry show` prints what would be sent, `coditect telemetry off` turns it \
                        off and deletes what waits.";
            Ok(printer.answer(&telemetry.status()?, text, ExitStatus::Yes))
        }
        TelemetryCommand::Off => {
            telemetry.turn_off()?;
            Ok(printer.answer(&telemetry.status()?, "Telemetry is off, and what waited is deleted.", ExitStatus::Yes))
        }
        TelemetryCommand::Status => {
            let status = telemetry.status()?;
            let text = match status.installation_id {
                Some(id) => {
                    format!("Telemetry is on, under the number {id}. {} commands wait to be sent.", status.waiting)
                }
                None => "Telemetry is off: nothing is counted, and nothing sent.".to_owned(),
            };
            Ok(printer.answer(&status, &text, if status.on { ExitStatus::Yes } else { ExitStatus::No }))
        }
        TelemetryCommand::Show => match telemetry.pending()? {
            Some(body) => Ok(printer.text(&String::from_utf8_lossy(&body))),
            None => Ok(printer.answer(&json!({ "events": [] }), "Nothing waits to be sent.", ExitStatus::Yes)),
        },
    }
}
