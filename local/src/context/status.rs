//! Status of the sync, its queue and its log, for people.

use jiff::{SignedDuration, Timestamp};
use protocol::id::RecordId;
use serde::Serialize;

use super::{ContextStore, JournalEntry, JournalEvent, Progress, Queued, Trouble, journal, queue};
use crate::Error;

/// Number of parked changes that a status shows.
const SHOWN: usize = 20;

/// Status of this home's sync, as far as it is known without asking the cloud.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SyncStatus {
    /// True if sync is turned on.
    pub enabled: bool,
    /// Number of changes that wait to be sent, parked ones not counted.
    pub waiting: u64,
    /// Time since which the oldest of them waits.
    pub waiting_since: Option<Timestamp>,
    /// The cloud's last message about one of them.
    pub waiting_error: Option<String>,
    /// Number of parked changes.
    pub parked: u64,
    /// The first parked changes; at most 20.
    pub parked_changes: Vec<Queued>,
    /// Time at which everything that waited was last sent.
    pub last_push_at: Option<Timestamp>,
    /// Time at which everything that was new was last fetched.
    pub last_pull_at: Option<Timestamp>,
    /// True if the next pull continues where the last one ended.
    pub cursor_known: bool,
    /// True while everything is being fetched again, as when the cloud did not know the cursor.
    pub starting_over: bool,
    /// Reason why the last push did not get through.
    pub push_trouble: Option<Trouble>,
    /// Reason why the last pull did not get through.
    pub pull_trouble: Option<Trouble>,
    /// Number of changes made here that have lost a conflict within the last week. They are in their records' history.
    pub conflicts_lost: u64,
}

impl ContextStore {
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
        let enabled = self.is_on()?;
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
}
