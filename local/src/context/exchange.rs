//! Operations of the sync on the store. Only one process syncs at a time.

use std::fs::{File, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use protocol::id::{DeviceId, RecordId};
use protocol::wire::Kind;
use rusqlite::Connection;

use super::position::{self, OTHERS};
use super::queue::Superseded;
use super::start_over::Requeued;
use super::{
    Answer, ContextStore, Database, JournalEvent, Progress, Row, SYNC_LOCK, Scope, Waiting, journal, queue, table,
};
use crate::{ContextError, Error};

/// Time for which to wait for another process that syncs. It is usually soon done.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A change, and the cloud's answer to it.
#[derive(Debug)]
pub struct Answered {
    /// The change.
    pub change: Waiting,
    /// Effect of the answer.
    pub answer: Answer,
    /// The record's row in the cloud, if that is this change.
    pub row: Option<Row>,
    /// The event that is logged.
    pub event: JournalEvent,
    /// Details of the event.
    pub detail: String,
}

/// Effect of the cloud's answers on the queue.
#[derive(Debug, Default)]
pub struct Settled {
    /// Records whose changes are sent no more.
    pub parked: Vec<(Kind, RecordId)>,
    /// Changes that are not needed any more.
    pub superseded: Superseded,
}

/// A page of the cloud's records.
#[derive(Debug)]
pub struct Page {
    /// The records.
    pub rows: Vec<(Kind, Row)>,
    /// The cursor behind the page.
    pub next_cursor: String,
    /// True if more records follow.
    pub has_more: bool,
    /// The key of the last envelope in the stream up to the end of the page.
    pub envelope_key_id: Option<String>,
    /// The kinds of the page's records that this version does not know.
    pub unknown_kinds: Vec<String>,
}

impl ContextStore {
    /// Takes the lock of the sync, which one process has at a time, and holds it for as long as the file is open. Another
    /// process is soon done, so it is waited for.
    ///
    /// # Errors
    /// [`ContextError::Busy`] when it does not come free in time.
    pub fn lock_sync(&self) -> Result<File, Error> {
        let file = self.home().lock_file(SYNC_LOCK)?;
        let begin = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if begin.elapsed() < LOCK_TIMEOUT => thread::sleep(LOCK_POLL_INTERVAL),
                Err(TryLockError::WouldBlock) => return Err(ContextError::Busy.into()),
                Err(TryLockError::Error(cause)) => return Err(Error::file(&self.home().file(SYNC_LOCK), cause)),
            }
        }
    }

    /// Returns the progress of the sync.
    pub fn progress(&self) -> Result<Progress, Error> {
        self.on_sessions(Progress::read)
    }

    /// Changes the progress of the sync.
    pub fn set_progress(&self, set: impl FnOnce(&mut Progress)) -> Result<(), Error> {
        let transaction = self.begin()?;
        let before = self.progress()?;
        let mut progress = before.clone();
        set(&mut progress);
        if progress != before {
            self.on_sessions(|sessions| progress.write(sessions))?;
        }
        self.sessions_done(transaction.commit())
    }

    /// Begins a run of pushes: changes that an earlier run held back are tried again.
    pub fn begin_push(&self) -> Result<(), Error> {
        self.on_sessions(queue::begin)
    }

    /// Returns the number of the last change that was queued, sent or not.
    pub fn last_change(&self) -> Result<i64, Error> {
        self.on_sessions(queue::last)
    }

    /// Returns the number of changes that wait to be sent.
    pub fn waiting(&self) -> Result<u64, Error> {
        self.on_sessions(queue::count).map(|(waiting, ..)| waiting)
    }

    /// Passes the next changes that can be sent together to `take`, until it returns false.
    pub fn next_changes(&self, scope: Scope, take: impl FnMut(Waiting) -> Result<bool, Error>) -> Result<(), Error> {
        self.on_sessions(|sessions| queue::first(sessions, scope, take))?
    }

    /// Applies the cloud's answers.
    ///
    /// The rows are written first: after a crash in between the changes are sent again, and the cloud has them already.
    pub fn settle(&self, answered: &[Answered]) -> Result<Settled, Error> {
        let rows = || answered.iter().filter_map(|answered| Some((answered.change.kind, answered.row.as_ref()?)));
        let stamps = self.write_others(rows, &self.progress()?)?;
        let now = self.now();
        let transaction = self.begin()?;
        let settled = self.on_sessions(|sessions| {
            note_stamps(sessions, &stamps)?;
            write_rows(sessions, Database::Sessions, rows())?;
            let mut settled = Settled::default();
            for Answered { change, answer, event, detail, .. } in answered {
                let record = Some((change.kind, &change.id));
                // A hindrance has the same message each time, and would fill the log.
                if !matches!(answer, Answer::Hindered(why) if change.error.as_ref() == Some(why)) {
                    journal::write(sessions, now, *event, record, detail)?;
                }
                let queue::Consequence { parked, superseded } = queue::answer(sessions, change, answer, now)?;
                if parked {
                    journal::write(sessions, now, JournalEvent::Parked, record, detail)?;
                    settled.parked.push((change.kind, change.id.clone()));
                }
                if superseded.changes > 0 {
                    let detail = format!("{} not sent, since a later one was", superseded.changes);
                    journal::write(sessions, now, JournalEvent::Superseded, record, &detail)?;
                    settled.superseded.changes += superseded.changes;
                    settled.superseded.hindered += superseded.hindered;
                }
            }
            journal::trim(sessions)?;
            Ok(settled)
        })?;
        self.sessions_done(transaction.commit())?;
        Ok(settled)
    }

    /// Stores a page, with the cursor behind it; returns the numbers of changes that were queued since the cloud may have lost
    /// them.
    ///
    /// The cursor is written last, in the transaction of the records in `sessions.db`: after a crash in between the page
    /// comes again, and changes nothing.
    pub fn apply(&self, page: &Page, device: &DeviceId) -> Result<Requeued, Error> {
        let before = self.progress()?;
        let mut again = if before.starting_over { self.queue_lost(&page.rows, device)? } else { Requeued::default() };
        let rows = || page.rows.iter().map(|(kind, row)| (*kind, row));
        let stamps = self.write_others(rows, &before)?;
        let over = before.starting_over && !page.has_more;
        if over {
            // Before the end is noted, so that a crash in between does this again.
            self.apply_sessions(page, &stamps, true)?;
            again.lost += self.queue_unseen(before.pass)?;
        }
        self.apply_sessions(page, &stamps, before.starting_over && !over)?;
        Ok(again)
    }

    fn apply_sessions(&self, page: &Page, stamps: &[Stamp], starting_over: bool) -> Result<(), Error> {
        let now = self.now();
        let transaction = self.begin()?;
        self.on_sessions(|sessions| {
            write_rows(sessions, Database::Sessions, page.rows.iter().map(|(kind, row)| (*kind, row)))?;
            let mut progress = Progress::read(sessions)?;
            add_stamps(&mut progress, stamps);
            if progress.cursor.as_deref() != Some(&page.next_cursor) {
                progress.pulled += page.rows.len() as u64;
                progress.cursor = Some(page.next_cursor.clone());
                if !page.rows.is_empty() {
                    let count = page.rows.len();
                    let detail = format!("{count} record{}", if count == 1 { "" } else { "s" });
                    journal::write(sessions, now, JournalEvent::Pulled, None, &detail)?;
                }
            }
            progress.starting_over = starting_over;
            progress.unknown_kinds.extend(page.unknown_kinds.iter().cloned());
            if progress.tenant_key_id.is_none() && progress.envelope_key_id != page.envelope_key_id {
                progress.tenant_key_id.clone_from(&page.envelope_key_id);
            }
            progress.envelope_key_id.clone_from(&page.envelope_key_id);
            if !page.has_more && !starting_over {
                progress.pulled_at = Some(now);
                progress.pull_trouble = None;
            }
            journal::trim(sessions)?;
            progress.write(sessions)
        })?;
        self.sessions_done(transaction.commit())
    }

    /// Writes the rows of the files other than `sessions.db`, a transaction for each file; returns the files' new stamps.
    fn write_others<'a, I>(&self, rows: impl Fn() -> I, progress: &Progress) -> Result<Vec<Stamp>, Error>
    where
        I: Iterator<Item = (Kind, &'a Row)>,
    {
        let mut stamps = Vec::new();
        for database in OTHERS {
            if rows().any(|(kind, _)| Database::of(kind) == database) {
                let transaction = self.write_to(database)?;
                let stamp = self.on(database, |file| {
                    write_rows(file, database, rows())?;
                    position::stamp(file, progress)
                })?;
                self.done(database, transaction.commit())?;
                stamps.push((database, stamp));
            }
        }
        Ok(stamps)
    }
}

/// A file, and its stamp.
type Stamp = (Database, String);

/// Notes the stamps of files beside the cursor.
fn note_stamps(sessions: &Connection, stamps: &[Stamp]) -> rusqlite::Result<()> {
    if stamps.is_empty() {
        return Ok(());
    }
    let mut progress = Progress::read(sessions)?;
    add_stamps(&mut progress, stamps);
    progress.write(sessions)
}

fn add_stamps(progress: &mut Progress, stamps: &[Stamp]) {
    progress.stamps.extend(stamps.iter().map(|(database, stamp)| (database.file().to_owned(), stamp.clone())));
}

/// Writes those of the rows that belong into a file.
fn write_rows<'a>(
    file: &Connection,
    database: Database,
    mut rows: impl Iterator<Item = (Kind, &'a Row)>,
) -> rusqlite::Result<()> {
    rows.try_for_each(|(kind, row)| if Database::of(kind) == database { table::write(file, kind, row) } else { Ok(()) })
}
