//! Queue of the changes that the cloud does not have yet.

use jiff::Timestamp;
use protocol::content::ContentHash;
use protocol::id::{ProjectId, RecordId};
use protocol::wire::Kind;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, named_params};

use super::locked;
use super::record::{Entry, Queued};
use super::table::{parsed, parsed_or_none, time, up_to};

/// Number of refusals for a fault of its own after which a change is parked: not sent until the user retries it.
const ATTEMPTS: u32 = 3;

/// The columns, in the order in which [`Waiting::read`] expects them.
const COLUMNS: &str = "n, kind, id, project_id, content, content_hash, updated_at, deleted, base_version, queued_at, attempts, \
                       error, parked_at IS NOT NULL";

/// A change in the queue, with its content.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// Its number.
    pub n: i64,
    /// The record's kind.
    pub kind: Kind,
    /// The record's id.
    pub id: RecordId,
    /// The record's project.
    pub project_id: Option<ProjectId>,
    /// Canonical JSON in plain.
    pub content: String,
    /// Hash of `content`; not the one in the cloud where contents are encrypted.
    pub content_hash: ContentHash,
    /// Time of the change.
    pub updated_at: Timestamp,
    /// True if the record was deleted.
    pub deleted: bool,
    /// The version it was made from. None for what is new, and while an earlier change of the same record is queued.
    pub base_version: Option<u64>,
    /// Time at which it was queued.
    pub queued_at: Timestamp,
    /// Number of times that the cloud refused it.
    pub attempts: u32,
    /// The cloud's last message about it.
    pub error: Option<String>,
    /// True if it is sent no more.
    pub parked: bool,
}

impl Waiting {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            n: row.get(0)?,
            kind: parsed(row, 1)?,
            id: parsed(row, 2)?,
            project_id: parsed_or_none(row, 3)?,
            content: row.get(4)?,
            content_hash: ContentHash::from_bytes(row.get(5)?),
            updated_at: time(row, 6)?,
            deleted: row.get(7)?,
            base_version: row.get(8)?,
            queued_at: time(row, 9)?,
            attempts: row.get(10)?,
            error: row.get(11)?,
            parked: row.get(12)?,
        })
    }

    /// Converts the change to the record as a user sees it.
    pub(super) fn entry(self) -> Entry {
        Entry {
            kind: self.kind,
            id: self.id,
            project_id: self.project_id,
            content: serde_json::from_str(&self.content).unwrap_or_default(),
            version: self.base_version,
            updated_at: self.updated_at,
            deleted: self.deleted,
            device_id: None,
            queued: true,
            locked: locked(&self.content).is_some(),
        }
    }
}

impl From<Waiting> for Queued {
    fn from(change: Waiting) -> Self {
        Self {
            n: change.n,
            kind: change.kind,
            id: change.id,
            deleted: change.deleted,
            queued_at: change.queued_at,
            attempts: change.attempts,
            error: change.error,
            parked: change.parked,
        }
    }
}

/// A change that is to be queued.
pub(super) struct New<'a> {
    pub(super) kind: Kind,
    pub(super) id: &'a RecordId,
    pub(super) project_id: Option<&'a ProjectId>,
    /// Canonical JSON.
    pub(super) content: &'a str,
    pub(super) content_hash: ContentHash,
    pub(super) updated_at: Timestamp,
    pub(super) deleted: bool,
    pub(super) base_version: Option<u64>,
    pub(super) queued_at: Timestamp,
}

/// The cloud's answer to a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The cloud has it, or something else that counts more. The next change of the record is made from this version.
    Taken {
        /// The version that the record's next change is made from.
        next_base: Option<u64>,
    },
    /// The cloud refuses it, and always will.
    Faulty(String),
    /// The cloud refuses it for a reason that is not the record's.
    Hindered(String),
}

/// Selection of the changes that are worth sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    All,
    /// Changes that may need no more room than there is: deletions, and changes of records that the cloud has.
    Known,
    /// Deletions alone, which have no content that could be refused.
    Deletions,
}

/// Effect of an answer on the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Consequence {
    /// True if the change is sent no more.
    pub(super) parked: bool,
    pub(super) superseded: Superseded,
}

/// Changes that are not sent, since a later one of the same record was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Superseded {
    /// Number of these changes.
    pub changes: u64,
    /// Number of those that were hindered in this run.
    pub hindered: u64,
}

/// Adds a change at the end; returns its number.
pub(super) fn add(sessions: &Connection, new: &New<'_>) -> rusqlite::Result<i64> {
    let sql =
        "INSERT INTO queue (kind, id, project_id, content, content_hash, updated_at, deleted, base_version, queued_at)
               VALUES (:kind, :id, :project, :content, :hash, :updated, :deleted, :base, :queued)";
    let parameters = named_params! {
        ":kind": new.kind.as_str(),
        ":id": new.id.as_str(),
        ":project": new.project_id.map(ProjectId::as_str),
        ":content": new.content,
        ":hash": new.content_hash.as_bytes(),
        ":updated": new.updated_at.as_microsecond(),
        ":deleted": new.deleted,
        ":base": new.base_version,
        ":queued": new.queued_at.as_microsecond(),
    };
    sessions.prepare_cached(sql)?.execute(parameters)?;
    Ok(sessions.last_insert_rowid())
}

/// Takes a change out of the queue.
pub(super) fn remove(sessions: &Connection, n: i64) -> rusqlite::Result<()> {
    sessions.prepare_cached("DELETE FROM queue WHERE n = ?1")?.execute([n]).map(drop)
}

/// Returns the change of this number.
pub(super) fn numbered(sessions: &Connection, n: i64) -> rusqlite::Result<Waiting> {
    sessions.prepare_cached(&format!("SELECT {COLUMNS} FROM queue WHERE n = ?1"))?.query_row([n], Waiting::read)
}

/// Returns the newest change of a record; also a parked one, if asked for.
pub(super) fn newest(
    sessions: &Connection,
    kind: Kind,
    id: &RecordId,
    parked: bool,
) -> rusqlite::Result<Option<Waiting>> {
    newest_statement(sessions)?.query_row((kind.as_str(), id.as_str(), parked), Waiting::read).optional()
}

fn newest_statement(sessions: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
    sessions.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM queue WHERE kind = ?1 AND id = ?2 AND (?3 OR parked_at IS NULL) ORDER BY n DESC LIMIT 1"
    ))
}

/// Returns the newest change of every record of a kind that has one.
pub(super) fn newest_of_all(sessions: &Connection, kind: Kind) -> rusqlite::Result<Vec<Waiting>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM queue WHERE n IN (SELECT max(n) FROM queue WHERE kind = ?1 GROUP BY id) ORDER BY n"
    );
    sessions.prepare_cached(&sql)?.query_map([kind.as_str()], Waiting::read)?.collect()
}

/// Returns the ids with this prefix of the records of a kind that have a change here.
pub(super) fn changed_ids(sessions: &Connection, kind: Kind, beginning: &str) -> rusqlite::Result<Vec<RecordId>> {
    let sql = "SELECT DISTINCT id FROM queue WHERE kind = ?1 AND substr(id, 1, length(?2)) = ?2";
    sessions.prepare_cached(sql)?.query_map([kind.as_str(), beginning], |row| parsed(row, 0))?.collect()
}

/// Returns all changes in their order, or the parked ones alone.
pub(super) fn all(sessions: &Connection, parked_only: bool, limit: usize) -> rusqlite::Result<Vec<Waiting>> {
    let sql = format!("SELECT {COLUMNS} FROM queue WHERE NOT ?1 OR parked_at IS NOT NULL ORDER BY n LIMIT ?2");
    sessions.prepare_cached(&sql)?.query_map((parked_only, up_to(limit)), Waiting::read)?.collect()
}

/// Returns the number of changes that wait and are not parked, the number of parked ones, and the time since which the
/// oldest waits.
pub(super) fn count(sessions: &Connection) -> rusqlite::Result<(u64, u64, Option<Timestamp>)> {
    let sql = "SELECT count(*) FILTER (WHERE parked_at IS NULL), count(parked_at),
                      min(queued_at) FILTER (WHERE parked_at IS NULL) FROM queue";
    sessions.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, super::table::time_or_none(row, 2)?)))
}

/// Returns the number of the last change that was ever queued.
pub(super) fn last(sessions: &Connection) -> rusqlite::Result<i64> {
    sessions.query_row("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'queue'", [], |row| row.get(0))
}

/// Returns the cloud's message about the first waiting change that it did not take.
pub(super) fn hindrance(sessions: &Connection) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT error FROM queue WHERE parked_at IS NULL AND error IS NOT NULL ORDER BY n LIMIT 1";
    sessions.query_row(sql, [], |row| row.get(0)).optional()
}

/// Begins a run of pushes, in which nothing is held back yet.
pub(super) fn begin(sessions: &Connection) -> rusqlite::Result<()> {
    sessions.execute_batch(
        "PRAGMA temp_store = memory;
         CREATE TABLE IF NOT EXISTS temp.held (n INTEGER PRIMARY KEY, hindered INTEGER NOT NULL);
         DELETE FROM temp.held;",
    )
}

/// Passes the first changes, one of each record, to `take` until it returns false.
///
/// The change of a record is its first one. Where that one is hindered, it is the last one, as made from the version that the
/// first was made from: it may need less room. A new record needs as much with any content, unless it is deleted again.
pub(super) fn first(
    sessions: &Connection,
    scope: Scope,
    mut take: impl FnMut(Waiting) -> Result<bool, crate::Error>,
) -> rusqlite::Result<Result<(), crate::Error>> {
    let sql = format!(
        "SELECT {COLUMNS}, first_base FROM queue AS change
         CROSS JOIN (SELECT n AS first, base_version AS first_base FROM queue) ON first = (
            SELECT same.n FROM queue AS same
            WHERE same.kind = change.kind AND same.id = change.id AND same.parked_at IS NULL ORDER BY same.n LIMIT 1)
         WHERE parked_at IS NULL AND n NOT IN (SELECT held.n FROM temp.held)
            AND (deleted OR {})
            AND (n = first OR (
                first IN (SELECT held.n FROM temp.held WHERE hindered) AND (deleted OR first_base IS NOT NULL)
                AND NOT EXISTS (SELECT 1 FROM queue AS later WHERE later.kind = change.kind AND later.id = change.id
                    AND later.n > change.n AND later.parked_at IS NULL)))
         ORDER BY n",
        match scope {
            Scope::All => "true",
            Scope::Known => "first_base IS NOT NULL",
            Scope::Deletions => "false",
        }
    );
    let mut statement = sessions.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        match take(Waiting { base_version: row.get("first_base")?, ..Waiting::read(row)? }) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(()))
}

/// Applies the cloud's answer to a change.
pub(super) fn answer(
    sessions: &Connection,
    change: &Waiting,
    answer: &Answer,
    now: Timestamp,
) -> rusqlite::Result<Consequence> {
    match answer {
        Answer::Taken { next_base } => {
            remove(sessions, change.n)?;
            let superseded = supersede(sessions, change)?;
            follow(sessions, change, *next_base)?;
            Ok(Consequence { superseded, ..Consequence::default() })
        }
        Answer::Hindered(why) => {
            sessions.prepare_cached("UPDATE queue SET error = ?2 WHERE n = ?1")?.execute((change.n, why))?;
            hold(sessions, change.n, true)?;
            Ok(Consequence::default())
        }
        Answer::Faulty(why) => {
            let parked = change.attempts + 1 >= ATTEMPTS;
            let sql = "UPDATE queue SET error = ?2, attempts = attempts + 1, parked_at = ?3 WHERE n = ?1";
            let parked_at = parked.then(|| now.as_microsecond());
            sessions.prepare_cached(sql)?.execute((change.n, why, parked_at))?;
            if parked {
                // Its successor is made from the version that it was made from.
                follow(sessions, change, change.base_version)?;
            } else {
                hold(sessions, change.n, false)?;
            }
            Ok(Consequence { parked, ..Consequence::default() })
        }
    }
}

/// Lets parked changes be sent again: those of these records, or all; returns their number.
pub(super) fn retry(sessions: &Connection, ids: &[RecordId]) -> rusqlite::Result<usize> {
    let free = "UPDATE queue SET parked_at = NULL, attempts = 0, error = NULL WHERE parked_at IS NOT NULL";
    if ids.is_empty() {
        return sessions.execute(free, []);
    }
    let mut statement = sessions.prepare_cached(&format!("{free} AND id = ?1"))?;
    ids.iter().map(|id| statement.execute([id.as_str()])).sum()
}

/// Clears the base versions of all changes. The cloud then decides by their times.
pub(super) fn forget_bases(sessions: &Connection) -> rusqlite::Result<()> {
    sessions.execute("UPDATE queue SET base_version = NULL WHERE base_version IS NOT NULL", []).map(drop)
}

/// Sets the version that the next change of the same record is made from.
fn follow(sessions: &Connection, change: &Waiting, base: Option<u64>) -> rusqlite::Result<()> {
    let sql = "UPDATE queue SET base_version = ?3
               WHERE n = (SELECT min(n) FROM queue WHERE kind = ?1 AND id = ?2 AND parked_at IS NULL)";
    sessions.prepare_cached(sql)?.execute((change.kind.as_str(), change.id.as_str(), base)).map(drop)
}

/// Leaves a change out of the rest of this run, with those of its record that follow it, unless it is only hindered.
fn hold(sessions: &Connection, n: i64, hindered: bool) -> rusqlite::Result<()> {
    sessions.prepare_cached("INSERT OR IGNORE INTO temp.held VALUES (?1, ?2)")?.execute((n, hindered)).map(drop)
}

/// Removes the changes whose place this one has taken: one that was hindered, and those between the two.
fn supersede(sessions: &Connection, change: &Waiting) -> rusqlite::Result<Superseded> {
    let record = (change.kind.as_str(), change.id.as_str(), change.n);
    let sql = "SELECT min(n), count(*) FROM temp.held WHERE hindered AND n < ?3
                  AND n IN (SELECT n FROM queue WHERE kind = ?1 AND id = ?2 AND parked_at IS NULL)";
    let (first, hindered): (Option<i64>, u64) =
        sessions.prepare_cached(sql)?.query_row(record, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some(first) = first else { return Ok(Superseded::default()) };
    let sql = "DELETE FROM queue WHERE kind = ?1 AND id = ?2 AND n < ?3 AND n >= ?4 AND parked_at IS NULL";
    let (kind, id, n) = record;
    let changes = sessions.prepare_cached(sql)?.execute((kind, id, n, first))? as u64;
    Ok(Superseded { changes, hindered })
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;
    use crate::ContextStore;

    #[test]
    fn however_many_records_are_looked_for_the_look_is_planned_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContextStore::open(Some(folder.path().join("home"))).unwrap();
        let planned_anew = store.on_sessions(|sessions| {
            for id in ["a", "b", "c"] {
                newest(sessions, Kind::Task, &id.parse().unwrap(), true)?;
            }
            Ok(newest_statement(sessions)?.get_status(StatementStatus::RePrepare))
        });
        assert_eq!(planned_anew.unwrap(), 0);
    }
}
