//! `coditect validate`

use coditect::{Error, InvalidReason, License, Verdict};
use serde_json::{Value, json};

use super::client;
use crate::arguments::Common;
use crate::exit_status::ExitStatus;
use crate::printer::{Printer, one_line};

pub(super) fn validate(printer: Printer, common: &Common) -> Result<ExitStatus, Error> {
    let verdict = client(printer, common)?.validate()?;
    Ok(print(printer, verdict, "The license is valid."))
}

/// Prints a verdict; `headline` is the first line if the license is valid.
pub(super) fn print(printer: Printer, verdict: Verdict, headline: &str) -> ExitStatus {
    match verdict {
        Verdict::Valid(license) => {
            let text = match license.grace_until {
                Some(_) => format!("{headline}\n{}", describe(&license)),
                None => format!(
                    "No license key: the free tier applies.\n{}\n`coditect activate KEY` stores your license key.",
                    describe(&license)
                ),
            };
            printer.answer(&with_verdict(true, &license), &text, ExitStatus::Yes)
        }
        Verdict::Invalid(no) if printer.json => printer.answer(&no, "", ExitStatus::No),
        Verdict::Invalid(no) => {
            let hint = match no.reason {
                InvalidReason::DeviceLimitExceeded => {
                    "`coditect deactivate` on a machine that you no longer use gives its place back. A CI job needs none: \
                     give it the key as CODITECT_LICENSE_KEY."
                }
                _ => "`coditect activate KEY` stores another key; `coditect status` shows which one is stored.",
            };
            printer.failure(&no.message, hint, no.reason.as_str(), ExitStatus::No)
        }
        Verdict::Lapsed { outage } => {
            let message = format!(
                "{outage} No earlier answer serves any more, so the limits of the free tier apply: \
                 {} commands a day.",
                coditect::FREE_COMMANDS_PER_DAY
            );
            if printer.json {
                let mut object = with_verdict(false, &License::free());
                object["reason"] = outage.code().into();
                object["message"] = message.into();
                return printer.answer(&object, "", ExitStatus::No);
            }
            printer.failure(&message, &outage.hint(), outage.code(), ExitStatus::No)
        }
    }
}

/// Formats a license for people.
pub(super) fn describe(license: &License) -> String {
    let mut lines = vec![format!("tier         {}", one_line(license.tier.as_str()))];
    if let Some(limit) = license.quotas.commands_per_day() {
        let limit = if limit < 0 { "unlimited".to_owned() } else { limit.to_string() };
        lines.push(format!("commands/day {limit}"));
    }
    if !license.features.is_empty() {
        let features: Vec<&str> = license.features.iter().map(|feature| feature.as_str()).collect();
        lines.push(format!("features     {}", one_line(&features.join(", "))));
    }
    if let Some(until) = license.grace_until {
        lines.push(format!("offline      until {until}"));
    }
    lines.join("\n")
}

fn with_verdict(valid: bool, license: &License) -> Value {
    let mut object = json!({ "valid": valid });
    if let (Some(object), Ok(Value::Object(license))) = (object.as_object_mut(), serde_json::to_value(license)) {
        object.extend(license);
    }
    object
}
