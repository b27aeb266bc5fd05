//! Pushes, pulls and how things stand, as people read them.

use coditect::{JournalEntry, Pulled, Pushed, SyncStatus, Trouble};
use jiff::Timestamp;
use protocol::wire::RejectionCode;
use protocol::wire::whole_seconds as seconds;

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
        sent => format!("Sent {} ({}).", counted(sent, "change"), parts.join(", ")),
    }
}

pub(super) fn pulled(pulled: &Pulled) -> String {
    match pulled.records {
        0 => "There was nothing new.".to_owned(),
        records => format!("Fetched {}.", counted(records, "record")),
    }
}

/// Why not everything has got through.
pub(super) struct Remainder {
    pub(super) sentence: String,
    pub(super) hint: &'static str,
    pub(super) code: String,
}

pub(super) fn remainder(pushed: &Pushed) -> Option<Remainder> {
    if let Some(why) = &pushed.hindrance {
        let sentence = format!("{} not taken: {}", were(pushed.hindered, "change"), why.detail);
        let hint = match why.code.parse() {
            Ok(RejectionCode::EncryptionRequired) => {
                "`coditect sync keys import FILE` takes over the key from another machine."
            }
            _ => "`coditect sync status` shows how much waits; it is kept, and sent when that has passed.",
        };
        return Some(Remainder { sentence, hint, code: why.code.clone() });
    }
    (pushed.refused > 0).then(|| Remainder {
        sentence: format!("The cloud refused {}.", counted(pushed.refused, "change")),
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
        Some(since) => row("waiting", &format!("{} since {}", counted(status.waiting, "change"), seconds(since))),
    });
    lines.extend(status.waiting_error.as_ref().map(|why| row("", why)));
    if status.parked > 0 {
        lines.push(row("parked", &format!("{}; `coditect sync retry` sends again", counted(status.parked, "change"))));
        lines.extend(status.parked_changes.iter().map(|change| {
            let why = change.error.as_deref().unwrap_or_default();
            row("", &format!("{} {}: {why}", change.kind, change.id))
        }));
    }
    lines.push(row("last push", &time(status.last_push_at)));
    lines.extend(status.push_trouble.as_ref().map(trouble));
    lines.push(row("last pull", &time(status.last_pull_at)));
    lines.extend(status.pull_trouble.as_ref().map(trouble));
    lines.push(row(
        "next pull",
        match (status.starting_over, status.cursor_known) {
            (true, _) => "fetches everything again, and compares it with the records here",
            (false, true) => "goes on where the last one ended",
            (false, false) => "fetches everything",
        },
    ));
    if status.conflicts_lost > 0 {
        let lost =
            format!("{} lost within a week; `coditect sync log` shows which", counted(status.conflicts_lost, "change"));
        lines.push(row("conflicts", &lost));
    }
    lines.join("\n")
}

/// An entry of the log.
pub(super) fn happened(entry: &JournalEntry) -> String {
    let record = entry.kind.zip(entry.id.as_ref()).map(|(kind, id)| format!("{kind} {id}: ")).unwrap_or_default();
    let what = one_line(&format!("{record}{}", entry.detail));
    format!("{}  {:<12}  {what}", seconds(entry.at), entry.event.as_str())
}

fn trouble(trouble: &Trouble) -> String {
    row("", &format!("{}  failed: {} {}", seconds(trouble.at), trouble.detail, trouble.hint))
}

fn row(name: &str, value: &str) -> String {
    format!("{name:<11}  {}", one_line(value))
}

/// `1 change was`, `3 changes were`.
fn were(count: u64, noun: &str) -> String {
    format!("{} {}", counted(count, noun), if count == 1 { "was" } else { "were" })
}

fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
