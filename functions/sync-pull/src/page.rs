//! A page of the stream, written straight from its rows: contents are JSON already.

use std::collections::HashMap;

use common::Problem;
use context::{Head, Listing};
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use protocol::wire::MAX_PAGE_BYTES;
use tokio_postgres::Row;
use uuid::Uuid;

/// As many of the rows, from the first, as a page takes; at least one.
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
    let is_missing = |row: &&Row| length(row) > 0 && row.get::<_, Option<&[u8]>>(3).is_none();
    rows.iter().filter(is_missing).map(seq).collect()
}

fn length(row: &Row) -> usize {
    row.get::<_, Option<i32>>(4).and_then(|length| usize::try_from(length).ok()).unwrap_or(0)
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
    out.extend_from_slice(b"{\"records\":[");
    let mut is_first = true;
    for row in rows {
        let content = row.get::<_, Option<&[u8]>>(3).or_else(|| contents.get(&seq(row)).map(Vec::as_slice));
        // It changed while its content was fetched, and comes again with a later number.
        if content.is_none() && length(row) > 0 {
            continue;
        }
        if !std::mem::take(&mut is_first) {
            out.push(b',');
        }
        record(&mut out, row, content)?;
    }
    out.extend_from_slice(b"],\"next_cursor\":");
    text(&mut out, &head.cursor(Listing::Stream, next));
    out.extend_from_slice(if has_more { b",\"has_more\":true}" } else { b",\"has_more\":false}" });
    Ok(out)
}

fn record(out: &mut Vec<u8>, row: &Row, content: Option<&[u8]>) -> Result<(), Problem> {
    let kind = context::kind::of_number(row.get(0))?;
    let hash: [u8; 32] = row.get::<_, &[u8]>(5).try_into().map_err(Problem::internal_error)?;
    let user: Option<Uuid> = row.get(10);

    out.extend_from_slice(b"{\"kind\":");
    text(out, kind.as_str());
    field(out, "id");
    text(out, row.get(1));
    field(out, "project_id");
    text_or_null(out, row.get(2));
    field(out, "content");
    out.extend_from_slice(content.unwrap_or(b"null"));
    field(out, "content_hash");
    text(out, &hex(&hash));
    field(out, "version");
    plain(out, row.get::<_, i64>(6));
    field(out, "updated_at");
    time(out, row.get(7));
    field(out, "deleted");
    plain(out, row.get::<_, bool>(8));
    field(out, "device_id");
    text(out, row.get(9));
    field(out, "user_id");
    text_or_null(out, user.map(|user| user.to_string()).as_deref());
    field(out, "written_at");
    time(out, row.get(11));
    out.push(b'}');
    Ok(())
}

fn field(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a text is written to memory");
}

fn text_or_null(out: &mut Vec<u8>, text: Option<&str>) {
    serde_json::to_writer(out, &text).expect("a text is written to memory");
}

fn plain(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    use std::io::Write as _;
    write!(out, "{value}").expect("a number is written to memory");
}

fn time(out: &mut Vec<u8>, time: Timestamp) {
    // As `Display` writes it, without its detour.
    const PRINTER: DateTimePrinter = DateTimePrinter::new();
    out.push(b'"');
    PRINTER.print_timestamp(&time, &mut *out).expect("a time is written to memory");
    out.push(b'"');
}

fn hex(bytes: &[u8; 32]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
