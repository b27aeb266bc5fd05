//! What the sync has done, the last ten thousand things of it.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use protocol::id::RecordId;
use protocol::wire::Kind;
use rusqlite::Connection;
use serde::Serialize;

use super::table::{parsed, parsed_or_none, time};

/// How many entries are kept.
const MAX_ENTRIES: i64 = 10_000;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct JournalEntry {
    /// Its number.
    pub n: i64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: JournalEvent,
    /// To a record of this kind, if to a record.
    pub kind: Option<Kind>,
    /// To which one.
    pub id: Option<RecordId>,
    /// The rest, in words.
    pub detail: String,
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        pub enum JournalEvent {
            $($(#[$doc])* #[serde(rename = $word)] $name,)*
        }

        impl JournalEvent {
            /// In a word.
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
    /// A change was sent, and another one counted more.
    Lost = "lost",
    /// The cloud refused a change.
    Refused = "refused",
    /// A change is sent no more until somebody retries it.
    Parked = "parked",
    /// A change is not sent, since a later one of the same record was.
    Superseded = "superseded",
    /// Somebody retries parked changes.
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

/// The word is no event of this version.
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

/// Forgets the oldest entries.
pub(super) fn trim(sessions: &Connection) -> rusqlite::Result<()> {
    let sql = "DELETE FROM journal WHERE n <= (SELECT max(n) FROM journal) - ?1";
    sessions.prepare_cached(sql)?.execute([MAX_ENTRIES]).map(drop)
}

/// The newest entries, the newest first.
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

/// How many changes made here have lost since then.
pub(super) fn lost_since(sessions: &Connection, since: Timestamp) -> rusqlite::Result<u64> {
    let sql = "SELECT count(*) FROM journal WHERE event = 'lost' AND at >= ?1";
    sessions.query_row(sql, [since.as_microsecond()], |row| row.get(0))
}
