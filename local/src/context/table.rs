//! Tables of the kinds: the cloud's records, as far as they were pulled.

use std::error::Error as StdError;
use std::str::FromStr;

use jiff::Timestamp;
use protocol::content::ContentHash;
use protocol::id::{DeviceId, ProjectId, RecordId};
use protocol::wire::{Kind, Record};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, named_params};

use super::record::Entry;
use super::{Database, Filter, locked};
use crate::text::forms;

/// The columns, in the order in which [`Row::read`] expects them.
const COLUMNS: &str =
    "id, project_id, content, content_hash, version, updated_at, deleted, device_id, user_id, written_at, pass";

/// Returns the name of a kind's table.
pub(super) const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Message => "messages",
        Kind::Task => "task_tracking",
        Kind::Decision => "decisions",
        Kind::SkillLearning => "skill_learnings",
        Kind::ErrorSolution => "error_solutions",
        Kind::ToolAnalytics => "tool_analytics",
        Kind::ProjectContext => "project_context",
        Kind::Component => "components",
    }
}

/// A record as the cloud has it, its content in plain.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its id.
    pub id: RecordId,
    /// Its project.
    pub project_id: Option<ProjectId>,
    /// Its content as JSON.
    pub content: String,
    /// The hash that the cloud has for its content.
    pub content_hash: ContentHash,
    /// Its version.
    pub version: u64,
    /// Time of its last change.
    pub updated_at: Timestamp,
    /// True if it was deleted.
    pub deleted: bool,
    /// The device that changed it.
    pub device_id: DeviceId,
    /// The user who changed it.
    pub user_id: Option<String>,
    /// None for what was pushed from here and not pulled yet.
    pub written_at: Option<Timestamp>,
    /// The pass in which it was last seen.
    pub pass: u64,
}

impl Row {
    /// Makes the row of a record that was pulled, with its content and project in plain.
    pub fn pulled(record: &Record, content: String, project_id: Option<ProjectId>, pass: u64) -> Self {
        Self {
            id: record.id.clone(),
            project_id,
            content,
            content_hash: record.content_hash,
            version: record.version,
            updated_at: record.updated_at,
            deleted: record.deleted,
            device_id: record.device_id.clone(),
            user_id: record.user_id.map(|user| user.to_string()),
            written_at: Some(record.written_at),
            pass,
        }
    }

    /// Converts the row to the record as a user sees it.
    pub(super) fn entry(self, kind: Kind) -> Entry {
        Entry {
            kind,
            id: self.id,
            project_id: self.project_id,
            content: serde_json::from_str(&self.content).unwrap_or_default(),
            version: Some(self.version),
            updated_at: self.updated_at,
            deleted: self.deleted,
            device_id: Some(self.device_id),
            queued: false,
            locked: locked(&self.content).is_some(),
        }
    }

    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: parsed(row, 0)?,
            project_id: parsed_or_none(row, 1)?,
            content: row.get(2)?,
            content_hash: ContentHash::from_bytes(row.get(3)?),
            version: row.get(4)?,
            updated_at: time(row, 5)?,
            deleted: row.get(6)?,
            device_id: parsed(row, 7)?,
            user_id: row.get(8)?,
            written_at: time_or_none(row, 9)?,
            pass: row.get(10)?,
        })
    }
}

/// Returns the row of a record.
pub(super) fn find(file: &Connection, kind: Kind, id: &RecordId) -> rusqlite::Result<Option<Row>> {
    find_text(file, kind, id.as_str())
}

/// Returns the latest rows that are not deleted and that the filter admits.
pub(super) fn list(file: &Connection, kind: Kind, filter: &Filter, limit: usize) -> rusqlite::Result<Vec<Row>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM {} WHERE NOT deleted
            AND (:projects IS NULL OR EXISTS (SELECT 1 FROM json_each(:projects) AS form
                WHERE project_id = form.value OR (
                    length(project_id) = length(form.value) + 13 AND project_id LIKE '%@____________'
                    AND substr(project_id, 1, length(form.value)) = form.value
                    AND substr(project_id, -12) NOT GLOB '*[^0-9a-f]*')))
            AND (:status IS NULL OR content ->> '$.status' = :status)
         ORDER BY updated_at DESC, id LIMIT :limit",
        name(kind)
    );
    let mut statement = file.prepare_cached(&sql)?;
    let projects = filter.project_id.as_ref().map(|project| serde_json::json!(forms(project.as_str())).to_string());
    let parameters = named_params! { ":projects": projects, ":status": filter.status, ":limit": up_to(limit) };
    statement.query_map(parameters, Row::read)?.collect()
}

/// Converts a limit for SQLite, which counts up to `i64::MAX`.
pub(super) fn up_to(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Returns the ids that begin with this, of rows that are not deleted, in order.
pub(super) fn ids(file: &Connection, kind: Kind, beginning: &str) -> rusqlite::Result<Vec<RecordId>> {
    let sql = format!(
        "SELECT id FROM {} WHERE NOT deleted AND id >= ?1 AND substr(id, 1, length(?1)) = ?1 ORDER BY id",
        name(kind)
    );
    file.prepare_cached(&sql)?.query_map([beginning], |row| parsed(row, 0))?.collect()
}

/// Puts a record's row in place of an older one, or of one that an earlier pass has seen.
///
/// An envelope does not take the place of its own plain content: by its hash it is the same content, and a machine
/// that has lost the key may have no other copy.
pub(super) fn write(file: &Connection, kind: Kind, row: &Row) -> rusqlite::Result<()> {
    let same = if locked(&row.content).is_some() {
        "old.content_hash = excluded.content_hash AND NOT old.deleted"
    } else {
        "false"
    };
    let sql = format!(
        "INSERT INTO {} AS old ({COLUMNS})
         VALUES (:id, :project, :content, :hash, :version, :updated, :deleted, :device, :user, :written, :pass)
         ON CONFLICT (id) DO UPDATE SET
            project_id = iif({same}, old.project_id, excluded.project_id),
            content = iif({same}, old.content, excluded.content), content_hash = excluded.content_hash,
            version = excluded.version, updated_at = excluded.updated_at, deleted = excluded.deleted,
            device_id = excluded.device_id, user_id = excluded.user_id, written_at = excluded.written_at,
            pass = excluded.pass
         WHERE excluded.version >= old.version OR excluded.pass > old.pass",
        name(kind)
    );
    let parameters = named_params! {
        ":id": row.id.as_str(),
        ":project": row.project_id.as_ref().map(ProjectId::as_str),
        ":content": row.content,
        ":hash": row.content_hash.as_bytes(),
        ":version": row.version,
        ":updated": row.updated_at.as_microsecond(),
        ":deleted": row.deleted,
        ":device": row.device_id.as_str(),
        ":user": row.user_id,
        ":written": row.written_at.map(Timestamp::as_microsecond),
        ":pass": row.pass,
    };
    file.prepare_cached(&sql)?.execute(parameters).map(drop)
}

/// Returns up to so many rows that this pass has not seen.
pub(super) fn unseen(file: &Connection, kind: Kind, pass: u64, limit: usize) -> rusqlite::Result<Vec<Row>> {
    let sql = format!("SELECT {COLUMNS} FROM {} WHERE pass < ?1 LIMIT ?2", name(kind));
    file.prepare_cached(&sql)?.query_map((pass, limit), Row::read)?.collect()
}

/// Returns up to so many rows in the order of their ids, after this id.
pub(super) fn after(file: &Connection, kind: Kind, id: &str, limit: usize) -> rusqlite::Result<Vec<Row>> {
    let sql = format!("SELECT {COLUMNS} FROM {} WHERE id > ?1 ORDER BY id LIMIT ?2", name(kind));
    file.prepare_cached(&sql)?.query_map((id, limit), Row::read)?.collect()
}

/// Replaces a row's content by the decrypted one, unless it is another version by now; returns the number of rows.
pub(super) fn reveal(file: &Connection, kind: Kind, row: &Row) -> rusqlite::Result<u64> {
    let sql = format!("UPDATE {} SET content = ?1, project_id = ?2 WHERE id = ?3 AND content_hash = ?4", name(kind));
    let project = row.project_id.as_ref().map(ProjectId::as_str);
    let changed =
        file.prepare_cached(&sql)?.execute((&row.content, project, row.id.as_str(), row.content_hash.as_bytes()))?;
    Ok(changed as u64)
}

/// Returns the first id after this one, valid or not.
pub(super) fn next_id(file: &Connection, kind: Kind, last: &str) -> rusqlite::Result<Option<String>> {
    let sql = format!("SELECT id FROM {} WHERE id > ?1 ORDER BY id LIMIT 1", name(kind));
    file.prepare_cached(&sql)?.query_row([last], |row| row.get(0)).optional()
}

/// Returns the row of an id that need not be valid.
pub(super) fn find_text(file: &Connection, kind: Kind, id: &str) -> rusqlite::Result<Option<Row>> {
    let sql = format!("SELECT {COLUMNS} FROM {} WHERE id = ?1", name(kind));
    file.prepare_cached(&sql)?.query_row([id], Row::read).optional()
}

/// Reports whether the file has no records of any kind.
pub(super) fn is_empty(file: &Connection, database: Database) -> rusqlite::Result<bool> {
    for kind in database.kinds() {
        if file.query_row(&format!("SELECT EXISTS (SELECT 1 FROM {})", name(kind)), [], |row| row.get(0))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Deletes a row.
pub(super) fn remove(file: &Connection, kind: Kind, id: &RecordId) -> rusqlite::Result<()> {
    let sql = format!("DELETE FROM {} WHERE id = ?1", name(kind));
    file.prepare_cached(&sql)?.execute([id.as_str()]).map(drop)
}

/// Parses a column that holds a text of some form.
pub(super) fn parsed<T>(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: FromStr<Err: StdError + Send + Sync + 'static>,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

/// Parses a column that holds a text of some form, or NULL.
pub(super) fn parsed_or_none<T>(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Option<T>>
where
    T: FromStr<Err: StdError + Send + Sync + 'static>,
{
    let there = row.get_ref(column)? != rusqlite::types::ValueRef::Null;
    if there { parsed(row, column).map(Some) } else { Ok(None) }
}

/// Reads a column that holds a time.
pub(super) fn time(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    let micros = row.get(column)?;
    Timestamp::from_microsecond(micros)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Integer, Box::new(error)))
}

/// Reads a column that holds a time, or NULL.
pub(super) fn time_or_none(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let there = row.get_ref(column)? != rusqlite::types::ValueRef::Null;
    if there { time(row, column).map(Some) } else { Ok(None) }
}
