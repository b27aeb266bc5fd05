//! A page of the stream, written straight from its rows: contents are JSON already.

use std::collections::HashMap;

use common::Problem;
use context::{Head, Listing};
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use protocol::wire::MAX_PAGE_BYTES;
use serde::Serialize;
use tokio_postgres::Row;
use uuid::Uuid;

/// Returns the number of rows, from the first, that fit into a page; at least one.
pub(crate) fn fitting(rows: &[Row]) -> usize {
    let mut bytes = 0;
    let taken = rows.iter().take_while(|row| {
        bytes += length(row);
        bytes <= MAX_PAGE_BYTES
    });
    taken.count().max(1).min(rows.len())
}

/// The numbers of the records whose contents are not in their rows.
pub(crate) fn missing(rows: &[Row]) -> Vec<i64> {
    let is_missing = |row: &&Row| row.get::<_, Option<i32>>(4).is_some();
    rows.iter().filter(is_missing).map(seq).collect()
}

fn length(row: &Row) -> usize {
    match row.get::<_, Option<&[u8]>>(3) {
        Some(content) => content.len(),
        None => row.get::<_, Option<i32>>(4).and_then(|length| usize::try_from(length).ok()).unwrap_or(0),
    }
}

/// The number of a row.
pub(crate) fn seq(row: &Row) -> i64 {
    row.get(12)
}

/// The answer, as `PullAnswer` describes it.
pub(crate) fn write(
    rows: &[Row],
    contents: &HashMap<i64, Vec<u8>>,
    head: &Head,
    next: i64,
    has_more: bool,
) -> Result<Vec<u8>, Problem> {
    let size: usize = rows.iter().map(|row| length(row) + 512).sum();
    let mut out = Vec::with_capacity(size + 128);
    put(&mut out, br#"{"records":["#);
    let mut is_first = true;
    for row in rows {
        let content = row.get::<_, Option<&[u8]>>(3).or_else(|| contents.get(&seq(row)).map(Vec::as_slice));
        // It changed while its content was fetched, and comes again with a later number.
        if content.is_none() && length(row) > 0 {
            continue;
        }
        if !std::mem::take(&mut is_first) {
            put(&mut out, b",");
        }
        record(&mut out, row, content)?;
    }
    put(&mut out, br#"],"next_cursor":"#);
    value(&mut out, head.cursor(Listing::Stream, next));
    put(&mut out, br#","has_more":"#);
    value(&mut out, has_more);
    put(&mut out, b"}");
    Ok(out)
}

fn record(out: &mut Vec<u8>, row: &Row, content: Option<&[u8]>) -> Result<(), Problem> {
    let kind = context::kind::of_number(row.get(0))?;
    let hash: [u8; 32] = row.get::<_, &[u8]>(5).try_into().map_err(Problem::internal_error)?;
    let user: Option<Uuid> = row.get(10);

    put(out, br#"{"kind":"#);
    value(out, kind.as_str());
    put(out, br#","id":"#);
    value(out, row.get::<_, &str>(1));
    put(out, br#","project_id":"#);
    value(out, row.get::<_, Option<&str>>(2));
    put(out, br#","content":"#);
    put(out, content.unwrap_or(b"null"));
    put(out, br#","content_hash":"#);
    let mut digits = [0; 64];
    hex::encode_to_slice(hash, &mut digits).map_err(Problem::internal_error)?;
    quoted(out, &digits);
    put(out, br#","version":"#);
    value(out, row.get::<_, i64>(6));
    put(out, br#","updated_at":"#);
    time(out, row.get(7));
    put(out, br#","deleted":"#);
    value(out, row.get::<_, bool>(8));
    put(out, br#","device_id":"#);
    value(out, row.get::<_, &str>(9));
    put(out, br#","user_id":"#);
    match user {
        Some(user) => quoted(out, user.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes()),
        None => put(out, b"null"),
    }
    put(out, br#","written_at":"#);
    time(out, row.get(11));
    put(out, b"}");
    Ok(())
}

fn put(out: &mut Vec<u8>, json: &[u8]) {
    out.extend_from_slice(json);
}

fn value(out: &mut Vec<u8>, value: impl Serialize) {
    serde_json::to_writer(out, &value).expect("a value is written to memory");
}

/// A text of digits and hyphens, in which nothing needs to be escaped.
fn quoted(out: &mut Vec<u8>, text: &[u8]) {
    put(out, b"\"");
    put(out, text);
    put(out, b"\"");
}

fn time(out: &mut Vec<u8>, time: Timestamp) {
    // As `Display` writes it, without its detour.
    const PRINTER: DateTimePrinter = DateTimePrinter::new();
    put(out, b"\"");
    PRINTER.print_timestamp(&time, &mut *out).expect("a time is written to memory");
    put(out, b"\"");
}
