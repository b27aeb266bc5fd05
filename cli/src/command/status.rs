//! `coditect status`

use coditect::{Error, HeldSeat, License, Source, Status, SyncStatus};

use super::client;
use crate::arguments::Common;
use crate::exit_status::ExitStatus;
use crate::printer::{Printer, one_line};
use crate::relative_time::TimeFormat;

pub(super) fn status(printer: Printer, common: &Common) -> Result<ExitStatus, Error> {
    let status = client(printer, common)?.status()?;
    let answer = if status.license.is_some() || status.license_key_is_given { ExitStatus::Yes } else { ExitStatus::No };
    Ok(printer.answer(&status, &describe(&status, &TimeFormat::for_stdout(status.at)), answer))
}

fn describe(status: &Status, times: &TimeFormat) -> String {
    let mut rows = vec![("plan", describe_plan(status, times))];
    let taken = if status.license_key_is_given { "" } else { ", whose seats are taken here" };
    rows.extend(status.signed_in_as.iter().map(|who| ("signed in", format!("{who}{taken}"))));
    rows.push(("license key", describe_key(status)));
    rows.extend(status.license.iter().flat_map(|license| license_rows(license, times)));
    // After a refusal, nothing runs.
    if let Some(today) = status.commands_today.filter(|_| status.last_refusal.is_none()) {
        let left = format!("{} of {} used, {} left; a new day begins", today.used, today.limit, today.left());
        rows.push(("today", format!("{left} {}", times.format(today.next_day_at))));
    }
    rows.extend(status.seats.iter().map(|seat| ("seat", describe_seat(seat, times))));
    if let Some(until) = status.seat_token_until {
        rows.push(("next seat", format!("starts offline, too, {}", times.format_until(until))));
    }
    rows.push((
        "sync",
        match (&status.sync, &status.sync_error) {
            (Some(sync), _) => describe_sync(sync, times),
            (None, Some(error)) => format!("{error} `coditect doctor` looks for the cause"),
            (None, None) => "nothing is kept here yet".to_owned(),
        },
    ));
    rows.push(match &status.last_error {
        None => ("last error", "none".to_owned()),
        Some(error) => ("last error", format!("{}: {}", times.format(error.at), error.detail)),
    });
    rows.push(("cloud-url", status.cloud_url.clone()));
    rows.push(("hardware id", status.hardware_id.to_string()));
    rows.push(("home", status.home.display().to_string()));
    let lines: Vec<String> =
        rows.into_iter().map(|(name, value)| format!("{name:<11}  {}", one_line(&value))).collect();
    lines.join("\n")
}

fn describe_key(status: &Status) -> String {
    match (&status.license_key, &status.locked) {
        (Some(key), _) if status.license_key_is_given => format!("{key}, from CODITECT_LICENSE_KEY"),
        (Some(key), _) => key.clone(),
        (None, Some(why)) => format!("not known, because {why}"),
        (None, None) => "none".to_owned(),
    }
}

fn describe_plan(status: &Status, times: &TimeFormat) -> String {
    if status.license_key_is_given {
        return "asked for with each seat; nothing of it is kept here".to_owned();
    }
    if let Some(no) = &status.last_refusal {
        let reason = no.answer.reason.as_str().replace('_', " ");
        return format!("{reason}, as the cloud said {}; `coditect validate` asks again", times.format(no.at));
    }
    let Some(license) = &status.license else {
        return "not known, so the free tier's limits apply; `coditect validate` asks the cloud".to_owned();
    };
    let word = match license.source {
        Source::Cloud | Source::Cache | Source::Grace => "valid",
        Source::Seat => "as your last seat's token says",
        Source::Free => return format!("{}; `coditect activate` stores a license key", license.tier),
    };
    format!("{}, {word}", license.tier)
}

fn license_rows(license: &License, times: &TimeFormat) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if let Some(limit) = license.quotas.commands_per_day() {
        rows.push(("commands", if limit < 0 { "unlimited".to_owned() } else { format!("{limit} a day") }));
    }
    if !license.features.is_empty() {
        let features: Vec<&str> = license.features.iter().map(|feature| feature.as_str()).collect();
        rows.push(("features", features.join(", ")));
    }
    if let (Some(asked), Some(again)) = (license.validated_at, license.refresh_after) {
        let again = match license.source {
            Source::Grace => "again by the next `coditect validate`".to_owned(),
            _ => format!("again {}", times.format(again)),
        };
        rows.push(("asked", format!("{}; {again}", times.format(asked))));
    }
    rows.extend(license.grace_until.map(|until| ("offline", format!("this serves {}", times.format_until(until)))));
    rows
}

fn describe_seat(seat: &HeldSeat, times: &TimeFormat) -> String {
    let taken = format!("taken {}", times.format(seat.taken_at));
    match (seat.process, seat.last_heartbeat_at) {
        (Some(process), Some(beat)) => {
            format!("{taken}, kept by process {process}; the cloud heard of it {}", times.format(beat))
        }
        (Some(process), None) => format!("{taken}, kept by process {process}; the cloud has not heard of it"),
        (None, _) => format!("{taken}, kept by nobody; it serves {}", times.format_until(seat.seat_expires_at)),
    }
}

fn describe_sync(status: &SyncStatus, times: &TimeFormat) -> String {
    let mut parts = vec![if status.enabled { "on" } else { "off" }.to_owned()];
    parts.push(match status.waiting_since {
        None => "nothing waits".to_owned(),
        Some(since) => {
            let wait = if status.waiting == 1 { "waits" } else { "wait" };
            format!("{} {wait}, the oldest written {}", count_changes(status.waiting), times.format(since))
        }
    });
    if status.parked > 0 {
        parts.push(format!("{} parked", count_changes(status.parked)));
    }
    if let Some(at) = status.last_push_at.max(status.last_pull_at) {
        parts.push(format!("last done {}", times.format(at)));
    }
    if status.parked > 0 || status.push_trouble.is_some() || status.pull_trouble.is_some() {
        parts.push("`coditect sync status` says more".to_owned());
    }
    parts.join("; ")
}

fn count_changes(count: u64) -> String {
    format!("{count} change{}", if count == 1 { "" } else { "s" })
}
