//! A stored row that is sent to the cloud again.

use jiff::Timestamp;
use protocol::content::ContentHash;
use protocol::wire::Kind;
use rusqlite::Connection;

use super::{Row, queue};

/// Queues a row, unless there is a later change of its record, or clients do not push its kind; returns true if it was queued.
/// The record keeps its time.
pub(super) fn requeue(
    sessions: &Connection,
    kind: Kind,
    row: &Row,
    base_version: Option<u64>,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    if !kind.is_pushed() || queue::newest(sessions, kind, &row.id, false)?.is_some() {
        return Ok(false);
    }
    let new = queue::New {
        kind,
        id: &row.id,
        project_id: row.project_id.as_ref(),
        content: &row.content,
        content_hash: ContentHash::of_canonical(row.content.as_bytes()),
        updated_at: row.updated_at,
        deleted: row.deleted,
        base_version,
        queued_at: now,
    };
    queue::add(sessions, &new).map(|_| true)
}
