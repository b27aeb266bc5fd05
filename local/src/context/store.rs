//! The store of the context on this machine: its four databases, each opened when it is first needed.

use std::cell::OnceCell;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use protocol::id::RecordId;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::Database;
use crate::clock::Clock;
use crate::home::Home;
use crate::{Config, Error, random};

/// Maximum size of the log in bytes: reading so many costs each process that opens the file a millisecond.
const MAX_LOG: u64 = 256 * 1024;

/// Time for which the process that shortens the log waits for those that read it.
const CHECKPOINT_TIMEOUT: Duration = Duration::from_millis(250);

/// The context in a home folder. Opening it reads nothing, sends no request, and needs no license key; each of its files is
/// opened when it is first needed.
///
/// A value belongs to one thread; other threads open their own.
///
/// ```
/// use local::{Change, ContextStore, Draft, Filter, Kind};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let home = folder.path().join("home");
/// let store = ContextStore::open(Some(home))?;
/// let draft = Draft {
///     kind: Kind::Decision,
///     id: "use-postgres".parse()?,
///     project_id: Some("shop".parse()?),
///     content: serde_json::json!({"title": "Use Postgres", "why": "One store."}),
/// };
/// store.put(&draft)?;
/// assert_eq!(store.put(&draft)?, Change::Unchanged);
///
/// let of_the_shop = Filter { project_id: draft.project_id.clone(), ..Filter::default() };
/// for decision in store.list(Kind::Decision, &of_the_shop)? {
///     assert!(decision.queued, "it waits to be sent");
///     println!("{} {}", decision.id, decision.content["title"]);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ContextStore {
    config: Config,
    clock: Clock,
    files: [OnceCell<Connection>; 4],
    fast: bool,
}

impl ContextStore {
    /// Returns an id for a new record. It is random from its first character on, so that its beginning is enough for people.
    pub fn new_id() -> RecordId {
        let id = random::uuid();
        RecordId::parse(id.to_string()).expect("a UUID is an id")
    }

    /// Opens the context in this folder; else in `CODITECT_HOME`, else in `~/.coditect`.
    pub fn open(home: Option<PathBuf>) -> Result<Self, Error> {
        Ok(Self::with(Config::open(home)?, Clock::system()))
    }

    /// Opens the context in a home folder if there is one; none is made.
    pub fn open_existing(home: &Home) -> Result<Option<Self>, Error> {
        let is_there = home.holds(Database::Sessions.file())?;
        Ok(is_there.then(|| Self::with(Config::in_home(home.clone()), Clock::system())))
    }

    /// Returns the context of a home folder, with another clock than the system's.
    pub fn with(config: Config, clock: Clock) -> Self {
        Self { config, clock, files: Default::default(), fast: false }
    }

    /// Makes the store wait only briefly, and not for the disk, for a process that others wait for.
    pub(crate) fn fast(self) -> Self {
        Self { fast: true, ..self }
    }

    /// Returns true if fast stores have let the log grow so long that it slows them down.
    pub(crate) fn needs_checkpoint(&self) -> bool {
        Database::Sessions.log_len(self.home()) > MAX_LOG
    }

    /// Does the checkpoint that fast stores have left to others; most of it while others write.
    pub(crate) fn checkpoint(self) -> Result<(), Error> {
        self.on_sessions(|sessions| {
            sessions.query_row("PRAGMA wal_checkpoint(passive)", [], |_| Ok(()))?;
            // Little is left for this one, which is what shortens the log also while others have the file open. Writers wait
            // for it as long as it waits for readers.
            sessions.busy_timeout(CHECKPOINT_TIMEOUT)?;
            sessions.query_row("PRAGMA wal_checkpoint(truncate)", [], |_| Ok(()))
        })
    }

    /// Returns true if sync is turned on.
    pub fn is_on(&self) -> Result<bool, Error> {
        self.config.sync()
    }

    pub(crate) fn home(&self) -> &Home {
        self.config.home()
    }

    /// Returns the current time in microseconds, the precision of all databases.
    pub fn now(&self) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    /// Begins a write transaction on `sessions.db`; dropped, it changes nothing.
    pub(super) fn begin(&self) -> Result<Transaction<'_>, Error> {
        self.write_to(Database::Sessions)
    }

    /// Begins a write transaction on a file.
    pub(super) fn write_to(&self, database: Database) -> Result<Transaction<'_>, Error> {
        let file = self.file(database)?;
        self.done(database, Transaction::new_unchecked(file, TransactionBehavior::Immediate))
    }

    /// Calls `act` with `sessions.db`.
    pub(super) fn on_sessions<T>(&self, act: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        self.on(Database::Sessions, act)
    }

    /// Calls `act` with a file.
    pub(super) fn on<T>(
        &self,
        database: Database,
        act: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        self.done(database, act(self.file(database)?))
    }

    pub(super) fn done<T>(&self, database: Database, result: rusqlite::Result<T>) -> Result<T, Error> {
        result.map_err(|cause| database.failed(self.home(), &cause))
    }

    pub(super) fn sessions_done<T>(&self, result: rusqlite::Result<T>) -> Result<T, Error> {
        self.done(Database::Sessions, result)
    }

    pub(super) fn file(&self, database: Database) -> Result<&Connection, Error> {
        let cell = &self.files[database as usize];
        if let Some(file) = cell.get() {
            return Ok(file);
        }
        let file = database.open(self.home(), self.fast)?;
        Ok(cell.get_or_init(|| file))
    }
}
