//! The four database files: their paths, opening and migrations.

mod read_only;
mod schema;

use std::path::PathBuf;
use std::time::Duration;

use protocol::wire::Kind;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use crate::home::{Home, refuse_foreign_link};
use crate::{ContextError, Error};
use read_only::is_unwritable;
pub(crate) use read_only::may_be_readable;

/// Time for which a writer waits for another one. No transaction takes nearly as long.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for which a fast connection waits for a writer, since another process waits for it.
const FAST_BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// Lock held while a file is created or migrated, since the switch to WAL does not wait by itself.
const LOCK: &str = "databases.lock";

/// One of the database files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Database {
    Platform,
    Org,
    Sessions,
    Projects,
}

impl Database {
    /// Returns the file that holds the records of a kind.
    pub(crate) const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Component => Self::Platform,
            Kind::Decision | Kind::SkillLearning | Kind::ErrorSolution => Self::Org,
            Kind::Message | Kind::Task | Kind::ToolAnalytics => Self::Sessions,
            Kind::ProjectContext => Self::Projects,
        }
    }

    /// Returns the file's name.
    pub(crate) const fn file(self) -> &'static str {
        match self {
            Self::Platform => "platform.db",
            Self::Org => "org.db",
            Self::Sessions => "sessions.db",
            Self::Projects => "projects.db",
        }
    }

    /// Returns the kinds whose records are in the file.
    pub(crate) fn kinds(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.iter().copied().filter(move |kind| Self::of(*kind) == self)
    }

    /// Opens a connection to the file, which is created where there is none.
    ///
    /// A fast connection does not wait for the disk either: its writes survive any crash but the machine's. Where
    /// nothing can be written, the existing records can be read.
    pub(super) fn open(self, home: &Home, fast: bool) -> Result<Connection, Error> {
        if self.has_lost_its_file(home) {
            // SQLite would delete the log, and with it the latest writes of agents' hooks.
            self.mend_lost(home)?;
        }
        match home.reserve(self.file()) {
            Err(Error::File { cause, .. }) if is_unwritable(&cause) && home.lacks_file(self.file()) => {
                return self.nothing().map_err(|cause| self.failed(home, &cause));
            }
            other => other?,
        }
        let connection = match self.connect(home, fast) {
            Err(cause) if may_be_readable(&cause) => self.connect_to_read(home).map_err(|_| cause),
            other => other,
        };
        connection.map_err(|cause| self.failed(home, &cause))?.ok_or_else(|| {
            let path = home.file(self.file());
            ContextError::Newer { path }.into()
        })
    }

    /// Returns the number of bytes in the file's log, which each process that opens the file reads.
    pub(super) fn log_len(self, home: &Home) -> u64 {
        std::fs::metadata(home.file(&format!("{}-wal", self.file()))).map_or(0, |log| log.len())
    }

    /// Converts an SQLite error to the error of this file.
    pub(super) fn failed(self, home: &Home, cause: &rusqlite::Error) -> Error {
        let (path, said) = (home.file(self.file()), cause.to_string());
        match cause.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                ContextError::Damaged { path, cause: said }.into()
            }
            _ => ContextError::Database { path, cause: said }.into(),
        }
    }

    /// Opens a connection and runs missing migrations; none if a newer version has written the file.
    fn connect(self, home: &Home, fast: bool) -> rusqlite::Result<Option<Connection>> {
        if fast && let Some(connection) = self.connect_alone(home)? {
            return Ok(Some(connection));
        }
        let connection = self.connection(home)?;
        connection.busy_timeout(if fast { FAST_BUSY_TIMEOUT } else { BUSY_TIMEOUT })?;
        let newest = self.steps().len();
        let version = version(&connection)?;
        if version < newest {
            // Where the lock cannot be had, the transaction still keeps two processes apart.
            let _held = home.lock(LOCK).ok();
            self.migrate(&connection)?;
        }
        if fast {
            hasten(&connection)?;
        }
        Ok((version <= newest).then_some(connection))
    }

    /// Opens a fast connection to a file that no other process has open, and none can open until it is closed; none when
    /// the file is open elsewhere, or is yet to be migrated.
    ///
    /// The index of the log is then kept in memory. For shared use it is a file, which the first connection builds anew:
    /// more work than the writes of a fast connection, and on a cold disk much more.
    fn connect_alone(self, home: &Home) -> rusqlite::Result<Option<Connection>> {
        let connection = self.connection(home)?;
        connection.busy_timeout(Duration::ZERO)?;
        connection.pragma_update(None, "locking_mode", "exclusive")?;
        match version(&connection) {
            Ok(version) if version == self.steps().len() => {
                hasten(&connection)?;
                Ok(Some(connection))
            }
            Ok(_) => Ok(None),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn connection(self, home: &Home) -> rusqlite::Result<Connection> {
        let (path, follow) = self.path(home);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | follow;
        let connection = Connection::open_with_flags(path, flags)?;
        // Without QPSG (query planner stability guarantee), statements are planned anew for each bound value: fifty times
        // for a plan of fifty tasks.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        Ok(connection)
    }

    /// Returns the path to open, and the flag that makes SQLite refuse a link.
    ///
    /// A link of the user or of root is followed. One that another user has made, or that the path becomes at this moment, is
    /// not.
    fn path(self, home: &Home) -> (PathBuf, OpenFlags) {
        let path = home.file(self.file());
        let is_own_link = matches!(refuse_foreign_link(&path), Ok(true));
        if !is_own_link && let Ok(folder) = home.path().canonicalize() {
            return (folder.join(self.file()), OpenFlags::SQLITE_OPEN_NOFOLLOW);
        }
        (path, OpenFlags::empty())
    }

    fn migrate(self, connection: &Connection) -> rusqlite::Result<()> {
        connection.query_row("PRAGMA journal_mode = wal", [], |_| Ok(()))?;
        self.shape(connection)
    }

    /// Runs the migrations that a file lacks.
    pub(super) fn shape(self, connection: &Connection) -> rusqlite::Result<()> {
        let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
        // Another process may have run them meanwhile.
        for step in self.steps().iter().skip(version(&transaction)?) {
            step(&transaction)?;
        }
        transaction.pragma_update(None, "user_version", self.steps().len())?;
        transaction.commit()
    }

    /// Returns the migrations of the file, forward only: `user_version` counts those that were run.
    fn steps(self) -> &'static [fn(&Connection) -> rusqlite::Result<()>] {
        match self {
            Self::Platform => &[|file| schema::tables(file, Self::Platform), |file| schema::mark(file, Self::Platform)],
            Self::Org => &[|file| schema::tables(file, Self::Org), |file| schema::mark(file, Self::Org)],
            Self::Sessions => &[
                |file| schema::tables(file, Self::Sessions),
                |file| schema::queue(file),
                |file| schema::encryption(file),
                |file| schema::positions(file),
            ],
            Self::Projects => &[|file| schema::tables(file, Self::Projects), |file| schema::mark(file, Self::Projects)],
        }
    }
}

/// Turns off a connection's disk syncs on commit and its checkpoints. Moving the log into the file (a checkpoint) waits for
/// the disk, and is left to others. A connection without checkpoints on closing must do without on commits, too: only the
/// last one to close can shorten the log, so each would move it again.
fn hasten(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map(drop)
}

fn version(connection: &Connection) -> rusqlite::Result<usize> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

#[cfg(test)]
mod tests;
