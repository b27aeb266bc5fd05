//! `coditect status`

use coditect::{Error, Source, Status};

use super::{client, validate};
use crate::arguments::Common;
use crate::exit_status::ExitStatus;
use crate::printer::Printer;

pub(super) fn status(printer: Printer, common: &Common) -> Result<ExitStatus, Error> {
    let status = client(printer, common)?.status()?;
    let answer = if status.license.is_some() { ExitStatus::Yes } else { ExitStatus::No };
    Ok(printer.answer(&status, &describe(&status), answer))
}

fn describe(status: &Status) -> String {
    let mut lines = vec![format!("license key  {}", status.license_key.as_deref().unwrap_or("none"))];
    match &status.license {
        Some(license) => {
            let source = match license.source {
                Source::Cloud | Source::Cache => "valid",
                Source::Grace => "valid; the cloud is asked at the next `coditect validate`",
                Source::Free => "free",
            };
            lines.push(format!("licence      {source}"));
            lines.push(validate::describe(license));
        }
        None => lines.push("licence      not known; `coditect validate` asks the cloud".to_owned()),
    }
    if let Some(today) = status.commands_today {
        lines.push(format!("used today   {} of {}, {} left", today.used, today.limit, today.left()));
    }
    if let Some(until) = status.seat_token_until {
        lines.push(format!("seat token   until {until}"));
    }
    lines.push(format!("cloud-url    {}", status.cloud_url));
    lines.push(format!("hardware id  {}", status.hardware_id));
    lines.push(format!("home         {}", status.home.display()));
    lines.join("\n")
}
