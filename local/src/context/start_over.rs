//! Recovery after the cloud has lost records. When the cloud does not know the cursor any more, it may have lost the end of
//! the tenant's stream: it was restored from a backup. So everything is fetched again, in a new pass, and records that are
//! here and not there are queued again. Contents have hashes, so that sending a record that the cloud has after all changes
//! nothing.
//!
//! During the pass, each row is compared with the cloud's before that takes its place. Rows that the pass has not seen at
//! its end are not in the cloud. A record with a change in the queue needs no second one: the change is later than the row.

use std::cmp::Ordering;

use protocol::id::DeviceId;
use protocol::wire::Kind;

use super::requeue::requeue;
use super::{ContextStore, Database, JournalEvent, Row, journal, table};
use crate::Error;

/// Number of rows that are queued again in one transaction.
const STEP: usize = 500;

/// Numbers of rows that were queued again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Requeued {
    /// Rows that the cloud has lost.
    pub lost: usize,
    /// Rows of which the cloud has a later version: its history decides whether it knew them.
    pub compared: usize,
}

impl ContextStore {
    /// Queues the rows that the cloud's rows would overwrite, although these are not known to be their successors.
    ///
    /// This takes a transaction before the one that writes the cloud's rows: after a crash in between the rows are as they
    /// were, and have a queued change.
    pub(super) fn queue_lost(&self, rows: &[(Kind, Row)], device: &DeviceId) -> Result<Requeued, Error> {
        let transaction = self.begin()?;
        let mut again = Requeued::default();
        for (kind, theirs) in rows {
            let ours = self.on(Database::of(*kind), |file| table::find(file, *kind, &theirs.id))?;
            if let Some(ours) = ours
                && ours.pass < theirs.pass
                && let Some(base) = lost(&ours, theirs, device)
            {
                if theirs.version > ours.version {
                    let detail =
                        format!("the cloud has version {}, and may not have known {}", theirs.version, ours.version);
                    again.compared += usize::from(self.queue_row(*kind, &ours, base, &detail)?);
                } else {
                    again.lost += usize::from(self.queue_row(*kind, &ours, base, &not_in_the_cloud(&ours))?);
                }
            }
        }
        self.sessions_done(transaction.commit())?;
        Ok(again)
    }

    /// Queues the rows that this pass has not seen as new records, and removes them from the tables; returns their number.
    pub(super) fn queue_unseen(&self, pass: u64) -> Result<usize, Error> {
        let mut again = 0;
        for kind in Kind::ALL.iter().copied() {
            let database = Database::of(kind);
            loop {
                let rows = self.on(database, |file| table::unseen(file, kind, pass, STEP))?;
                if rows.is_empty() {
                    break;
                }
                let transaction = self.begin()?;
                for row in &rows {
                    // Deletions too: a device that has not received one yet would bring its record back.
                    again += usize::from(self.queue_row(kind, row, None, &not_in_the_cloud(row))?);
                }
                self.sessions_done(transaction.commit())?;
                let transaction = self.write_to(database)?;
                self.on(database, |file| rows.iter().try_for_each(|row| table::remove(file, kind, &row.id)))?;
                self.done(database, transaction.commit())?;
            }
        }
        Ok(again)
    }

    /// Queues a row again, with an entry in the journal; returns true if it was queued.
    fn queue_row(&self, kind: Kind, row: &Row, base_version: Option<u64>, detail: &str) -> Result<bool, Error> {
        let now = self.now();
        self.on_sessions(|sessions| {
            let is_queued = requeue(sessions, kind, row, base_version, now)?;
            if is_queued {
                journal::write(sessions, now, JournalEvent::QueuedAgain, Some((kind, &row.id)), detail)?;
            }
            Ok(is_queued)
        })
    }
}

fn not_in_the_cloud(row: &Row) -> String {
    format!("version {} is not in the cloud", row.version)
}

/// Returns, if the cloud may have lost our row, the version to send it on: `Some(None)` where the cloud shall decide which
/// of the two is the later.
fn lost(ours: &Row, theirs: &Row, device: &DeviceId) -> Option<Option<u64>> {
    let same = ours.content_hash == theirs.content_hash
        && ours.deleted == theirs.deleted
        && ours.updated_at == theirs.updated_at
        && ours.device_id == theirs.device_id;
    // A row that was written before ours, and has a lower version, is the one that ours was made from. For a row that was
    // pushed and has not come back, the time of writing is not known here.
    let before = ours.written_at.is_some_and(|written| theirs.written_at.is_some_and(|theirs| theirs <= written));
    match ours.version.cmp(&theirs.version) {
        _ if same => None,
        Ordering::Greater if before => Some(Some(theirs.version)),
        Ordering::Greater | Ordering::Equal => Some(None),
        // A successor of ours, or another future in which ours never was. The cloud's history decides: if this device's
        // change is in it, the cloud answers so. Other devices queue their own changes.
        Ordering::Less => (ours.device_id == *device).then_some(None),
    }
}
