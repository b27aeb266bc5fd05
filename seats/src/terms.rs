//! A license's rights, and what they are worth where.

use jiff::Timestamp;
use redis::ScriptInvocation;
use tokio_postgres::Row;

/// The license's rights as Postgres had them when they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Number of times that the license's seats were restored.
    pub generation: i64,
    /// Grows with every change of limit, state or end.
    pub revision: i64,
    /// Maximum number of seats taken at once.
    pub limit: u32,
    /// `active`, or why no seat may be taken: `suspended revoked expired subscription_inactive`.
    pub state: String,
    /// When the license ends; never where there is none.
    pub ends: Option<Timestamp>,
    /// The identity of the database that they were read from: another one's generations and sessions are others.
    pub database: String,
}

impl Terms {
    /// Reads the columns `seat_generation`, `revision`, `seats`, `state` (as `license_state` has it), `expires_at` and
    /// `database` (`database_identity()`).
    #[must_use]
    pub fn from_row(row: &Row) -> Self {
        Self {
            generation: row.get("seat_generation"),
            revision: row.get("revision"),
            limit: u32::try_from(row.get::<_, i32>("seats")).unwrap_or(0),
            state: row.get("state"),
            ends: row.get("expires_at"),
            database: row.get("database"),
        }
    }

    /// Appends them to a script's arguments, in the order that all scripts take them.
    pub(crate) fn write(&self, script: &mut ScriptInvocation<'_>) {
        script.arg(self.generation).arg(self.revision).arg(self.limit).arg(&self.state);
        script.arg(self.ends_ms()).arg(&self.database);
    }

    /// The end in milliseconds since 1970; empty where there is none.
    pub(crate) fn ends_ms(&self) -> String {
        self.ends.map(|end| end.as_millisecond().to_string()).unwrap_or_default()
    }
}
