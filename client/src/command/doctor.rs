//! `coditect doctor`

use coditect::{Check, Diagnosis, Error, Health};

use crate::arguments::Common;
use crate::exit_status::ExitStatus;
use crate::printer::Printer;

pub(super) fn doctor(printer: Printer, common: &Common) -> Result<ExitStatus, Error> {
    let diagnosis = Diagnosis::make(common.home.clone());
    let status = if diagnosis.healthy { ExitStatus::Yes } else { ExitStatus::No };
    Ok(printer.answer(&diagnosis, &describe(&diagnosis), status))
}

fn describe(diagnosis: &Diagnosis) -> String {
    let width = diagnosis.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or_default();
    let mut lines: Vec<String> = diagnosis.checks.iter().map(|check| line(check, width)).collect();
    let to_mend = diagnosis.checks.iter().filter(|check| check.health == Health::Bad);
    let advice: Vec<String> =
        to_mend.filter_map(|check| Some(format!("{}: {}", check.name, check.hint.as_ref()?))).collect();
    lines.push(String::new());
    lines.push(match advice.len() {
        0 => "There is nothing to mend.".to_owned(),
        1 => "1 thing to mend:".to_owned(),
        more => format!("{more} things to mend:"),
    });
    lines.extend(advice);
    lines.join("\n")
}

fn line(check: &Check, width: usize) -> String {
    let mark = match check.health {
        Health::Good => "ok",
        Health::Unknown => "?",
        Health::Bad => "BAD",
    };
    let took = check.milliseconds.map(|time| format!(" ({time} ms)")).unwrap_or_default();
    format!("{mark:<3}  {:width$}  {}{took}", check.name, check.finding)
}
