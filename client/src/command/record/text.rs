//! Records as people read them.

use coditect::Entry;
use protocol::wire::{HistoryEntry, whole_seconds};
use serde_json::Value;

use crate::printer::{indented, one_line};

/// How many characters of a text a list shows.
const SHOWN: usize = 80;

/// A line for each, their columns below each other.
pub(super) fn list(entries: &[Entry]) -> String {
    let width = entries.iter().map(|entry| one_line(entry.id.as_str()).chars().count()).max().unwrap_or_default();
    entries.iter().map(|entry| line(entry, width)).collect::<Vec<_>>().join("\n")
}

fn line(entry: &Entry, width: usize) -> String {
    let field = |name: &str| entry.content.get(name).and_then(Value::as_str);
    let mut words = vec![format!("{:<width$}", one_line(entry.id.as_str()))];
    words.extend(field("status").map(|status| format!("{:<11}", short(status))));
    words.push(match title(&entry.content) {
        Some(title) => short(title),
        None if entry.locked => "(encrypted)".to_owned(),
        None => short(&entry.content.to_string()),
    });
    words.join("  ").trim_end().to_owned()
}

/// All that is known of a record.
pub(super) fn whole(entry: &Entry) -> String {
    let mut lines = vec![row("id", entry.id.as_str())];
    // A project of what is locked has another name there.
    let project = entry.project_id.as_ref().filter(|_| !entry.locked);
    lines.extend(project.map(|project| row("project", project.as_str())));
    match &entry.content {
        _ if entry.locked => lines.push(row("content", "encrypted; `coditect sync keys import FILE` opens it")),
        Value::Object(fields) => lines.extend(fields.iter().map(|(name, value)| row(name, &plain(value)))),
        other => lines.push(row("content", &other.to_string())),
    }
    lines.push(row("changed", &whole_seconds(entry.updated_at).to_string()));
    lines.push(match (entry.queued, entry.version) {
        (true, _) => row("version", "waits to be sent"),
        (false, version) => row("version", &version.map(|version| version.to_string()).unwrap_or_default()),
    });
    lines.join("\n")
}

/// A line of a history.
pub(super) fn past(entry: &HistoryEntry) -> String {
    let version = entry.version.map_or_else(|| "-".to_owned(), |version| version.to_string());
    let content = if entry.deleted { "deleted" } else { entry.content.get() };
    format!("{version:>4}  {:<8}  {}  {}", entry.outcome.as_str(), whole_seconds(entry.updated_at), one_line(content))
}

fn title(content: &Value) -> Option<&str> {
    ["title", "subject", "description", "text", "message"].iter().find_map(|name| content.get(name)?.as_str())
}

fn row(name: &str, value: &str) -> String {
    format!("{:<11}  {}", one_line(name), indented(value, 13))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// In one line, of which the beginning is enough.
fn short(text: &str) -> String {
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() > SHOWN {
        words = words.chars().take(SHOWN - 1).chain(['…']).collect();
    }
    one_line(&words)
}
