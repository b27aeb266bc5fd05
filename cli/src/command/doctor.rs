//! `coditect doctor`

use coditect::{Check, Diagnosis, Error, Health, Mended};
use serde_json::json;

use super::builder;
use crate::arguments::Common;
use crate::exit_status::ExitStatus;
use crate::printer::{Printer, one_line};

pub(super) fn doctor(printer: Printer, common: &Common, fix: bool) -> Result<ExitStatus, Error> {
    let mended = if fix { builder(printer, common).mend()? } else { Vec::new() };
    // The rows already have what notices would say.
    let diagnosis = builder(printer, common).on_notice(|_| ()).diagnose();
    let status = if diagnosis.healthy { ExitStatus::Yes } else { ExitStatus::No };
    let mut text: String = mended.iter().map(describe_repair).collect();
    text.push_str(&describe(&diagnosis));
    let mut object = json!(diagnosis);
    if fix {
        object["mended"] = json!(mended);
    }
    Ok(printer.answer(&object, &text, status))
}

fn describe_repair(mended: &Mended) -> String {
    let Mended { database, records, changes, kept, .. } = mended;
    let kept = one_line(kept);
    format!(
        "{database} was made new with {records} of its records and {changes} changes that were not sent yet. The damaged files are in \
         {kept}.\n\n"
    )
}

fn describe(diagnosis: &Diagnosis) -> String {
    let width = diagnosis.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or_default();
    let mut lines: Vec<String> = diagnosis.checks.iter().map(|check| format_check(check, width)).collect();
    let mut advice: Vec<(Vec<&str>, &str)> = Vec::new();
    for check in diagnosis.checks.iter().filter(|check| check.health == Health::Bad) {
        let hint = check.hint.as_deref().unwrap_or_default();
        match advice.iter_mut().find(|(_, other)| *other == hint) {
            Some((names, _)) => names.push(&check.name),
            None => advice.push((vec![&check.name], hint)),
        }
    }
    lines.push(String::new());
    if advice.is_empty() {
        lines.push("There is nothing to mend.".to_owned());
    }
    lines.extend(advice.iter().map(|(names, hint)| one_line(&format!("{}: {hint}", names.join(", ")))));
    lines.join("\n")
}

fn format_check(check: &Check, width: usize) -> String {
    let mark = match check.health {
        Health::Good => "ok",
        Health::Unknown => "?",
        Health::Bad => "BAD",
    };
    let took = check.milliseconds.map(|time| format!(" ({time} ms)")).unwrap_or_default();
    format!("{mark:<3}  {:width$}  {}{took}", one_line(&check.name), one_line(&check.finding))
}
