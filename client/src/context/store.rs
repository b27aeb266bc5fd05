//! Reading and writing the context on this machine, with or without a cloud.

use std::cell::OnceCell;
use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use protocol::id::RecordId;
use protocol::wire::Kind;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::change::Wanted;
use super::record::Canonical;
use super::{
    Change, Database, Draft, Entry, Filter, JournalEntry, JournalEvent, Progress, Queued, Row, SyncStatus, Waiting,
    journal, queue, table,
};
use crate::clock::Clock;
use crate::home::Home;
use crate::{Config, Error, random};

/// Maximum size of the log in bytes: reading so many costs each process that opens the file a millisecond.
const MAX_LOG: u64 = 256 * 1024;

/// Time for which the process that shortens the log waits for those that read it.
const BRIEFLY: Duration = Duration::from_millis(250);

/// Number of parked changes that a status shows.
const SHOWN: usize = 20;

/// The context in a home folder. Opening it reads nothing, sends no request, and needs no license key; each of its files is
/// opened when it is first needed.
///
/// A value belongs to one thread; other threads open their own.
///
/// ```
/// use coditect::{Change, ContextStore, Draft, Filter, Kind};
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
    haste: bool,
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

    pub(crate) fn with(config: Config, clock: Clock) -> Self {
        Self { config, clock, files: Default::default(), haste: false }
    }

    /// Makes the store wait only briefly, and not for the disk, for a process that others wait for.
    pub(crate) fn in_haste(self) -> Self {
        Self { haste: true, ..self }
    }

    /// Returns true if stores in haste have let the log grow so long that it slows them down.
    pub(crate) fn is_untidy(&self) -> bool {
        Database::Sessions.log_len(self.home()) > MAX_LOG
    }

    /// Does the checkpoint that stores in haste have left to others; most of it while others write.
    pub(crate) fn tidy(self) -> Result<(), Error> {
        self.on_sessions(|sessions| {
            sessions.query_row("PRAGMA wal_checkpoint(passive)", [], |_| Ok(()))?;
            // Little is left for this one, which is what shortens the log also while others have the file open. Writers wait
            // for it as long as it waits for readers.
            sessions.busy_timeout(BRIEFLY)?;
            sessions.query_row("PRAGMA wal_checkpoint(truncate)", [], |_| Ok(()))
        })
    }

    /// Queues the change of a record to the state of a draft. A change that changes nothing is not queued.
    pub fn put(&self, draft: &Draft) -> Result<Change, Error> {
        let changes = self.put_all(std::slice::from_ref(draft))?;
        Ok(changes.first().copied().unwrap_or(Change::Unchanged))
    }

    /// Queues several changes at once: all or none.
    pub fn put_all(&self, drafts: &[Draft]) -> Result<Vec<Change>, Error> {
        let transaction = self.begin()?;
        let replace = !self.config.sync()?;
        let changes = drafts.iter().map(|draft| self.change(draft, replace)).collect::<Result<_, Error>>()?;
        self.sessions_done(transaction.commit())?;
        Ok(changes)
    }

    /// Reads a record, and queues its new state. No other change comes in between.
    ///
    /// The draft is for the same record; none leaves it as it is.
    ///
    /// ```
    /// use coditect::{ContextStore, Draft, Kind};
    /// use serde_json::json;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let home = folder.path().join("home");
    /// let store = ContextStore::open(Some(home))?;
    /// let (kind, id) = (Kind::Task, "write-it-down".parse()?);
    /// for _ in 0..3 {
    ///     store.edit(kind, &id, |task| {
    ///         let before = task.and_then(|task| task.content["tool_success_count"].as_u64()).unwrap_or(0);
    ///         let content = json!({"description": "Write it down", "tool_success_count": before + 1});
    ///         Ok(Some(Draft { kind, id: id.clone(), project_id: None, content }))
    ///     })?;
    /// }
    /// let task = store.get(kind, &id)?.expect("it was made by the first");
    /// assert_eq!(task.content["tool_success_count"], 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn edit(
        &self,
        kind: Kind,
        id: &RecordId,
        edit: impl FnOnce(Option<Entry>) -> Result<Option<Draft>, Error>,
    ) -> Result<Change, Error> {
        let transaction = self.begin()?;
        let Some(draft) = edit(self.get(kind, id)?)? else { return Ok(Change::Unchanged) };
        let change = self.change(&draft, !self.config.sync()?)?;
        self.sessions_done(transaction.commit())?;
        Ok(change)
    }

    /// Reads several records of a kind, and queues their new states at once: all or none. Returns the number that changed.
    pub(crate) fn edit_all(
        &self,
        kind: Kind,
        ids: &[&RecordId],
        mut edit: impl FnMut(Option<Entry>) -> Result<Option<Draft>, Error>,
    ) -> Result<usize, Error> {
        let transaction = self.begin()?;
        let replace = !self.config.sync()?;
        let mut changed = 0;
        for id in ids {
            let Some(draft) = edit(self.get(kind, id)?)? else { continue };
            changed += usize::from(self.change(&draft, replace)? != Change::Unchanged);
        }
        self.sessions_done(transaction.commit())?;
        Ok(changed)
    }

    /// Queues a record's deletion; returns false if there is no such record.
    pub fn delete(&self, kind: Kind, id: &RecordId) -> Result<bool, Error> {
        let transaction = self.begin()?;
        let seen = self.seen(kind, id)?;
        if seen.updated_at.is_none() || seen.deleted {
            return Ok(false);
        }
        let content = Canonical::nothing();
        let wanted = Wanted { kind, id, project_id: seen.project_id.as_ref(), content: &content, deleted: true };
        self.enqueue(&seen, &wanted, !self.config.sync()?)?;
        self.sessions_done(transaction.commit())?;
        Ok(true)
    }

    /// Returns a record as it is seen here; none where there is none, or it was deleted.
    pub fn get(&self, kind: Kind, id: &RecordId) -> Result<Option<Entry>, Error> {
        // The queue first: a change that has left it is in the table.
        let queued = self.on_sessions(|sessions| queue::newest(sessions, kind, id, true))?;
        let row = self.on(Database::of(kind), |file| table::find(file, kind, id))?;
        let entry = match (queued, row) {
            (Some(queued), row) if overlays(&queued, row.as_ref()) => Some(queued.entry()),
            (_, row) => row.map(|row| row.entry(kind)),
        };
        Ok(entry.filter(|entry| !entry.deleted))
    }

    /// Returns the records of a kind as they are seen here, the latest change first.
    pub fn list(&self, kind: Kind, filter: &Filter) -> Result<Vec<Entry>, Error> {
        let changes = self.on_sessions(|sessions| queue::newest_of_all(sessions, kind))?;
        let changed = changes.len();
        let file = self.file(Database::of(kind))?;
        let done = |result| self.done(Database::of(kind), result);
        let mut entries = Vec::new();
        let mut hidden = std::collections::HashSet::new();
        for change in changes {
            let row = done(table::find(file, kind, &change.id))?;
            if overlays(&change, row.as_ref()) {
                hidden.insert(change.id.clone());
                entries.push(change.entry());
            }
        }
        entries.retain(|entry| !entry.deleted && filter.admits(entry));
        let rows =
            self.done(Database::of(kind), table::list(file, kind, filter, filter.limit.saturating_add(changed)))?;
        entries.extend(rows.into_iter().filter(|row| !hidden.contains(&row.id)).map(|row| row.entry(kind)));
        entries.sort_by(|a, b| b.updated_at.cmp(&a.updated_at).then_with(|| a.id.cmp(&b.id)));
        entries.truncate(filter.limit);
        Ok(entries)
    }

    /// Returns the first changes in the queue, in their order, parked ones included.
    pub fn queue(&self, limit: usize) -> Result<Vec<Queued>, Error> {
        let changes = self.on_sessions(|sessions| queue::all(sessions, false, limit))?;
        Ok(changes.into_iter().map(Queued::from).collect())
    }

    /// Lets parked changes be sent again: those of the records with these ids, or all; returns their number.
    pub fn retry(&self, ids: &[RecordId]) -> Result<usize, Error> {
        let transaction = self.begin()?;
        let now = self.now();
        let freed = self.on_sessions(|sessions| {
            let freed = queue::retry(sessions, ids)?;
            if freed > 0 {
                journal::write(sessions, now, JournalEvent::Retried, None, &format!("{freed} parked"))?;
            }
            Ok(freed)
        })?;
        self.sessions_done(transaction.commit())?;
        Ok(freed)
    }

    /// Returns the latest entries in the log of the sync, the latest first.
    pub fn journal(&self, limit: usize) -> Result<Vec<JournalEntry>, Error> {
        self.on_sessions(|sessions| journal::read(sessions, limit))
    }

    /// Returns the status of the sync.
    pub fn status(&self) -> Result<SyncStatus, Error> {
        let enabled = self.config.sync()?;
        let week_ago = self.now() - SignedDuration::from_hours(7 * 24);
        self.on_sessions(|sessions| {
            let (waiting, parked, waiting_since) = queue::count(sessions)?;
            let progress = Progress::read(sessions)?;
            Ok(SyncStatus {
                enabled,
                waiting,
                waiting_since,
                waiting_error: queue::hindrance(sessions)?,
                parked,
                parked_changes: queue::all(sessions, true, SHOWN)?.into_iter().map(Queued::from).collect(),
                last_push_at: progress.pushed_at,
                last_pull_at: progress.pulled_at,
                cursor_known: progress.cursor.is_some(),
                starting_over: progress.starting_over,
                push_trouble: progress.push_trouble,
                pull_trouble: progress.pull_trouble,
                conflicts_lost: journal::lost_since(sessions, week_ago)?,
            })
        })
    }

    /// Returns true if sync is turned on.
    pub(crate) fn is_on(&self) -> Result<bool, Error> {
        self.config.sync()
    }

    pub(crate) fn home(&self) -> &Home {
        self.config.home()
    }

    /// Returns the current time in microseconds, the precision of all databases.
    pub(crate) fn now(&self) -> Timestamp {
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

    fn file(&self, database: Database) -> Result<&Connection, Error> {
        let cell = &self.files[database as usize];
        if let Some(file) = cell.get() {
            return Ok(file);
        }
        let file = database.open(self.home(), self.haste)?;
        Ok(cell.get_or_init(|| file))
    }
}

/// Returns true if a queued change is the record's current state: the later one of the two, as the cloud will decide, unless
/// a clock is ahead: there, a time from the future counts as the moment it arrived.
pub(super) fn overlays(change: &Waiting, row: Option<&Row>) -> bool {
    row.is_none_or(|row| change.updated_at >= row.updated_at)
}
