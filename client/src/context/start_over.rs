//! When the cloud does not know the cursor any more, it may have lost the end of the tenant's stream: it was restored from a
//! backup. So everything is fetched again, in a new pass, and what is here and not there is queued again. Contents have
//! hashes, so that sending what the cloud has after all changes nothing.
//!
//! During the pass, each row is compared with the cloud's before that takes its place. What this pass has not seen at its
//! end, the cloud does not have. A record with a change in the queue needs no second one: the change is later than the row.

use std::cmp::Ordering;

use protocol::content::ContentHash;
use protocol::id::DeviceId;
use protocol::wire::Kind;

use super::{ContextStore, Database, JournalEvent, Row, journal, queue, table};
use crate::Error;

/// How many rows are queued again in one transaction.
const STEP: usize = 500;

impl ContextStore {
    /// Queues what the cloud's rows would overwrite, although they are none of its successors. How many these were.
    ///
    /// In a transaction before theirs: after a crash in between the rows are as they were, and have a queued change.
    pub(super) fn queue_lost(&self, rows: &[(Kind, Row)], device: &DeviceId) -> Result<usize, Error> {
        let transaction = self.begin()?;
        let mut again = 0;
        for (kind, theirs) in rows {
            let ours = self.on(Database::of(*kind), |file| table::find(file, *kind, &theirs.id))?;
            if let Some(ours) = ours
                && ours.pass < theirs.pass
                && let Some(base) = lost(&ours, theirs, device)
            {
                again += usize::from(self.queue_row(*kind, &ours, base)?);
            }
        }
        self.sessions_done(transaction.commit())?;
        Ok(again)
    }

    /// Queues the rows that this pass has not seen as new records, and takes them out of the tables. How many these were.
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
                    // Deletions too: whoever has not heard of one yet would bring its record back.
                    again += usize::from(self.queue_row(kind, row, None)?);
                }
                self.sessions_done(transaction.commit())?;
                let transaction = self.write_to(database)?;
                self.on(database, |file| rows.iter().try_for_each(|row| table::remove(file, kind, &row.id)))?;
                self.done(database, transaction.commit())?;
            }
        }
        Ok(again)
    }

    /// Queues a row, unless there is a later change of its record, or nobody may push it. Whether it did.
    fn queue_row(&self, kind: Kind, row: &Row, base_version: Option<u64>) -> Result<bool, Error> {
        let now = self.now();
        self.on_sessions(|sessions| {
            if !kind.is_pushed() || queue::newest(sessions, kind, &row.id, false)?.is_some() {
                return Ok(false);
            }
            let new = queue::New {
                kind,
                id: &row.id,
                project_id: row.project_id.as_ref(),
                content: &row.content,
                content_hash: ContentHash::of_canonical(row.content.as_bytes()),
                updated_at: row.updated_at,
                deleted: row.deleted,
                base_version,
                queued_at: now,
            };
            queue::add(sessions, &new)?;
            let detail = format!("version {} is not in the cloud", row.version);
            journal::write(sessions, now, JournalEvent::QueuedAgain, Some((kind, &row.id)), &detail)?;
            Ok(true)
        })
    }
}

/// Whether the cloud may have lost our row, and then the version to send it on: none where the cloud shall decide which of
/// the two is the later.
fn lost(ours: &Row, theirs: &Row, device: &DeviceId) -> Option<Option<u64>> {
    let same = ours.content_hash == theirs.content_hash
        && ours.deleted == theirs.deleted
        && ours.updated_at == theirs.updated_at
        && ours.device_id == theirs.device_id;
    // What was written before ours, and has a lower version, is what ours was made from. Of what was pushed and has not come
    // back it is not known here when it was written.
    let before = ours.written_at.is_some_and(|written| theirs.written_at.is_some_and(|theirs| theirs <= written));
    match ours.version.cmp(&theirs.version) {
        _ if same => None,
        Ordering::Greater if before => Some(Some(theirs.version)),
        Ordering::Greater | Ordering::Equal => Some(None),
        // A successor of ours, or another future in which ours never was. The cloud's history knows: if this device's change
        // is in it, the cloud says so. What others have changed is theirs to look after.
        Ordering::Less => (ours.device_id == *device).then_some(None),
    }
}
