//! Texts for people about pushes, pulls and the state of the sync.

use coditect::{JournalEntry, Pulled, Pushed, SyncStatus, Trouble};
use jiff::Timestamp;
use protocol::wire::{RejectionCode, whole_seconds as seconds};

use crate::printer::one_line;

pub(super) fn pushed(pushed: &Pushed) -> String {
    let parts = [
        (pushed.created, "new"),
        (pushed.updated, "changed"),
        (pushed.duplicates, "there already"),
        (pushed.conflicts_won, "won a conflict"),
        (pushed.conflicts_lost, "lost a conflict"),
        (pushed.superseded, "left out for a later one"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    match pushed.sent() {
        0 if pushed.refused + pushed.hindered > 0 => "Nothing was sent.".to_owned(),
        0 => "There was nothing to send.".to_owned(),
        sent => format!("Sent {} ({}).", count_of(sent, "change"), parts.join(", ")),
    }
}

pub(super) fn pulled(pulled: &Pulled) -> String {
    match pulled.records {
        0 => "There was nothing new.".to_owned(),
        records => format!("Fetched {}.", count_of(records, "record")),
    }
}

/// Message about changes that were not sent.
pub(super) struct Unsent {
    pub(super) sentence: String,
    pub(super) hint: &'static str,
    pub(super) code: String,
}

pub(super) fn unsent(pushed: &Pushed) -> Option<Unsent> {
    if let Some(why) = &pushed.hindrance {
        let sentence = format!("{} not taken: {}", count_were(pushed.hindered, "change"), why.detail);
        let hint = match why.code.parse() {
            Ok(RejectionCode::EncryptionRequired) => {
                "`coditect sync keys import FILE` takes over the key from another machine."
            }
            _ => "`coditect sync status` shows how much waits; it is kept, and sent when that has passed.",
        };
        return Some(Unsent { sentence, hint, code: why.code.clone() });
    }
    (pushed.refused > 0).then(|| Unsent {
        sentence: format!("The cloud refused {}.", count_of(pushed.refused, "change")),
        hint: "`coditect sync log` shows why.",
        code: "refused".to_owned(),
    })
}

pub(super) fn status(status: &SyncStatus) -> String {
    let time = |time: Option<Timestamp>| time.map_or_else(|| "never".to_owned(), |time| seconds(time).to_string());
    let mut lines =
        vec![row("sync", if status.enabled { "on" } else { "off; `coditect config set sync on` turns it on" })];
    lines.push(match status.waiting_since {
        None => row("waiting", "nothing"),
        Some(since) => row("waiting", &format!("{} since {}", count_of(status.waiting, "change"), seconds(since))),
    });
    lines.extend(status.waiting_error.as_ref().map(|why| row("", why)));
    if status.parked > 0 {
        lines.push(row("parked", &format!("{}; `coditect sync retry` sends again", count_of(status.parked, "change"))));
        lines.extend(status.parked_changes.iter().map(|change| {
            let why = change.error.as_deref().unwrap_or_default();
            row("", &format!("{} {}: {why}", change.kind, change.id))
        }));
    }
    lines.push(row("last push", &time(status.last_push_at)));
    lines.extend(status.push_trouble.as_ref().map(describe_trouble));
    lines.push(row("last pull", &time(status.last_pull_at)));
    lines.extend(status.pull_trouble.as_ref().map(describe_trouble));
    lines.push(row(
        "next pull",
        match (status.starting_over, status.cursor_known) {
            (true, _) => "fetches everything again, and compares it with the records here",
            (false, true) => "goes on where the last one ended",
            (false, false) => "fetches everything",
        },
    ));
    if status.conflicts_lost > 0 {
        let lost = format!(
            "{} lost within a week; `coditect sync log` shows which",
            count_of(status.conflicts_lost, "change")
        );
        lines.push(row("conflicts", &lost));
    }
    lines.join("\n")
}

/// Formats an entry of the log.
pub(super) fn log_line(entry: &JournalEntry) -> String {
    let record = entry.kind.zip(entry.id.as_ref()).map(|(kind, id)| format!("{kind} {id}: ")).unwrap_or_default();
    let what = one_line(&format!("{record}{}", entry.detail));
    format!("{}  {:<12}  {what}", seconds(entry.at), entry.event.as_str())
}

fn describe_trouble(trouble: &Trouble) -> String {
    row("", &format!("{}  failed: {} {}", seconds(trouble.at), trouble.detail, trouble.hint))
}

fn row(name: &str, value: &str) -> String {
    format!("{name:<11}  {}", one_line(value))
}

/// `1 change was`, `3 changes were`.
fn count_were(count: u64, noun: &str) -> String {
    format!("{} {}", count_of(count, noun), if count == 1 { "was" } else { "were" })
}

fn count_of(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
