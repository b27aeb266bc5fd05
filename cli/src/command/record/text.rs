//! Texts for people about records: tables, details and history.

use std::collections::BTreeMap;

use coditect::{Entry, Kind};
use jiff::Timestamp;
use protocol::wire::{HistoryEntry, whole_seconds};
use serde_json::Value;

use super::{Ids, noun};
use crate::printer::{indented, one_line};
use crate::relative_time::relative;

/// The most characters of a text that a list shows.
const MAX_TEXT_WIDTH: usize = 80;

/// The most characters of a status or a project that a list shows.
const MAX_WORD_WIDTH: usize = 20;

/// Formats records as a table: a heading, and a line for each.
pub(super) fn list(entries: &[Entry], ids: &Ids, noun: &str, now: Timestamp) -> String {
    let is_task = noun == Kind::Task.as_str();
    let mut heading = vec!["ID".to_owned(), "PROJECT".to_owned(), "CHANGED".to_owned(), noun.to_uppercase()];
    let lines = entries.iter().map(|entry| {
        let mut cells =
            vec![one_line(ids.shortened(&entry.id)), project(entry), relative(now, entry.updated_at), summary(entry)];
        if is_task {
            cells.insert(1, entry.content.get("status").and_then(Value::as_str).map_or("-".to_owned(), shorten_word));
        }
        cells
    });
    let lines: Vec<Vec<String>> = lines.collect();
    if is_task {
        heading.insert(1, "STATUS".to_owned());
    }
    table(std::iter::once(heading).chain(lines).collect())
}

/// Formats search results as a table: each with its kind and the text around the match.
pub(in crate::command) fn search_results(
    found: &[(Entry, String)],
    ids: &BTreeMap<Kind, Ids>,
    now: Timestamp,
) -> String {
    let heading = ["KIND", "ID", "PROJECT", "CHANGED", "TEXT"].map(str::to_owned).to_vec();
    let lines = found.iter().map(|(entry, text)| {
        let id = ids.get(&entry.kind).map_or(entry.id.as_str(), |ids| ids.shortened(&entry.id));
        vec![
            noun(entry.kind).to_owned(),
            one_line(id),
            project(entry),
            relative(now, entry.updated_at),
            shorten(text, MAX_TEXT_WIDTH),
        ]
    });
    table(std::iter::once(heading).chain(lines).collect())
}

/// Pads the cells of all lines to columns.
fn table(lines: Vec<Vec<String>>) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |cells: &Vec<String>| {
        let cells: Vec<String> = cells.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Returns a record's project. That of a locked record is not shown: in its place is a digest.
fn project(entry: &Entry) -> String {
    let project = entry.project_id.as_ref().filter(|_| !entry.locked);
    project.map_or_else(|| "-".to_owned(), |project| shorten_word(project.as_str()))
}

fn shorten_word(text: &str) -> String {
    shorten(text, MAX_WORD_WIDTH)
}

fn summary(entry: &Entry) -> String {
    match title(&entry.content) {
        Some(title) => shorten(title, MAX_TEXT_WIDTH),
        None if entry.locked => "(encrypted)".to_owned(),
        None => shorten(&entry.content.to_string(), MAX_TEXT_WIDTH),
    }
}

/// Formats all that is known of a record.
pub(super) fn details(entry: &Entry) -> String {
    let mut lines = vec![row("id", entry.id.as_str())];
    // In place of a locked record's project is a digest.
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

/// Formats an entry of a history as a line.
pub(super) fn history_line(entry: &HistoryEntry) -> String {
    let version = entry.version.map_or_else(|| "-".to_owned(), |version| version.to_string());
    let content = if entry.deleted { "deleted" } else { entry.content.get() };
    format!("{version:>4}  {:<8}  {}  {}", entry.outcome.as_str(), whole_seconds(entry.updated_at), one_line(content))
}

/// Returns the field of a content that says in short what it is about.
pub(in crate::command) fn title(content: &Value) -> Option<&str> {
    ["title", "subject", "description", "text", "message"].iter().find_map(|name| content.get(name)?.as_str())
}

fn row(name: &str, value: &str) -> String {
    format!("{:<11}  {}", one_line(name), indented(value, 13))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Returns a text in one line, cut to `most` characters.
fn shorten(text: &str, most: usize) -> String {
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() > most {
        words = words.chars().take(most - 1).chain(['…']).collect();
    }
    one_line(&words)
}
