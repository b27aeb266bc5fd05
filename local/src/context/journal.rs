//! Log of the sync: its last ten thousand events.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use protocol::id::RecordId;
use protocol::wire::Kind;
use rusqlite::Connection;
use serde::Serialize;

use super::table::{parsed, parsed_or_none, time};

/// Number of entries that are kept.
const MAX_ENTRIES: i64 = 10_000;

/// Entry in the log of the sync.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct JournalEntry {
    /// Its number.
    pub n: i64,
    /// Time of the event.
    pub at: Timestamp,
    /// Type of the event.
    pub event: JournalEvent,
    /// Kind of the record, if the event is about one.
    pub kind: Option<Kind>,
    /// Id of the record, if the event is about one.
    pub id: Option<RecordId>,
    /// Further details, in words.
    pub detail: String,
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// Type of an event of the sync.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        pub enum JournalEvent {
            $($(#[$doc])* #[serde(rename = $word)] $name,)*
        }

        impl JournalEvent {
            /// Returns the event as a word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }
        }

        impl FromStr for JournalEvent {
            type Err = UnknownEvent;

            fn from_str(word: &str) -> Result<Self, UnknownEvent> {
                match word { $($word => Ok(Self::$name),)* _ => Err(UnknownEvent) }
            }
        }
    };
}

events! {
    /// A change was sent.
    Pushed = "pushed",
    /// A change was sent, and lost a conflict with another one.
    Lost = "lost",
    /// The cloud refused a change.
    Refused = "refused",
    /// A change is sent no more until the user retries it.
    Parked = "parked",
    /// A change is not sent, since a later one of the same record was.
    Superseded = "superseded",
    /// The user retries parked changes.
    Retried = "retried",
    /// Records were fetched.
    Pulled = "pulled",
    /// The cloud did not know the cursor, so everything is fetched again.
    StartedOver = "started_over",
    /// The cloud had lost a record's version, which is sent again.
    QueuedAgain = "queued_again",
    /// A record's content was not what had been encrypted for it.
    Forged = "forged",
    /// A record came in clear although the tenant encrypts.
    Exposed = "exposed",
}

/// Error of a word that is no event of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownEvent;

impl fmt::Display for UnknownEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("A newer version of this program has written that.")
    }
}

impl std::error::Error for UnknownEvent {}

/// Writes an entry.
pub(super) fn write(
    sessions: &Connection,
    at: Timestamp,
    event: JournalEvent,
    record: Option<(Kind, &RecordId)>,
    detail: &str,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO journal (at, event, kind, id, detail) VALUES (?1, ?2, ?3, ?4, ?5)";
    let (kind, id) = record.map(|(kind, id)| (kind.as_str(), id.as_str())).unzip();
    sessions.prepare_cached(sql)?.execute((at.as_microsecond(), event.as_str(), kind, id, detail)).map(drop)
}

/// Deletes the oldest entries beyond the limit.
pub(super) fn trim(sessions: &Connection) -> rusqlite::Result<()> {
    let sql = "DELETE FROM journal WHERE n <= (SELECT max(n) FROM journal) - ?1";
    sessions.prepare_cached(sql)?.execute([MAX_ENTRIES]).map(drop)
}

/// Returns the newest entries, the newest first.
pub(super) fn read(sessions: &Connection, limit: usize) -> rusqlite::Result<Vec<JournalEntry>> {
    let mut statement =
        sessions.prepare_cached("SELECT n, at, event, kind, id, detail FROM journal ORDER BY n DESC LIMIT ?1")?;
    let rows = statement.query_map([limit], |row| {
        Ok(JournalEntry {
            n: row.get(0)?,
            at: time(row, 1)?,
            event: parsed(row, 2)?,
            kind: parsed_or_none(row, 3)?,
            id: parsed_or_none(row, 4)?,
            detail: row.get(5)?,
        })
    })?;
    rows.collect()
}

/// Returns the number of local changes that lost a conflict since then.
pub(super) fn lost_since(sessions: &Connection, since: Timestamp) -> rusqlite::Result<u64> {
    let sql = "SELECT count(*) FROM journal WHERE event = 'lost' AND at >= ?1";
    sessions.query_row(sql, [since.as_microsecond()], |row| row.get(0))
}
