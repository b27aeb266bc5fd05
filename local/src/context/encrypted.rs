//! Records whose contents can't be read here since they are encrypted, and those that the cloud can still read.

use protocol::content::ContentHash;
use protocol::envelope::Envelope;
use protocol::id::{ProjectId, RecordId};
use protocol::wire::Kind;

use super::envelope::locked;
use super::requeue::requeue;
use super::{ContextStore, Database, JournalEvent, Row, journal, table};
use crate::Error;

/// Number of rows that are processed in one transaction.
const PAGE: usize = 1000;

impl ContextStore {
    /// Replaces locked contents with plain ones, as far as they can be opened; returns their number.
    pub fn unlock(
        &self,
        open: impl Fn(Kind, &RecordId, &Envelope) -> Option<(String, Option<ProjectId>)>,
    ) -> Result<u64, Error> {
        let mut unlocked = 0;
        self.each_page(|database, kind, rows| {
            let transaction = self.write_to(database)?;
            for row in rows {
                let plain = locked(&row.content).and_then(|envelope| open(kind, &row.id, &envelope));
                let Some((content, project_id)) = plain else { continue };
                let revealed = Row { content, project_id, ..row };
                unlocked += self.done(database, table::reveal(&transaction, kind, &revealed))?;
            }
            self.done(database, transaction.commit())
        })?;
        Ok(unlocked)
    }

    /// Queues the records that the cloud has in clear, so that something else takes their place; returns their number.
    pub fn queue_clear(&self) -> Result<u64, Error> {
        self.queue_unless(|_, row| row.content_hash != ContentHash::of_canonical(row.content.as_bytes()))
    }

    /// Queues readable records that are not in the cloud under this hash: in clear, or encrypted with another key. Returns
    /// their number.
    pub fn queue_others(&self, hash: impl Fn(Kind, &RecordId, &str) -> ContentHash) -> Result<u64, Error> {
        self.queue_unless(|kind, row| row.content_hash == hash(kind, &row.id, &row.content))
    }

    /// Queues all readable records except those that `but` selects; returns their number.
    ///
    /// A record that has a change in the queue is left to that one. The record keeps its time, so that a change made
    /// meanwhile counts more.
    fn queue_unless(&self, but: impl Fn(Kind, &Row) -> bool) -> Result<u64, Error> {
        let mut queued = 0;
        self.each_page(|_, kind, rows| {
            let transaction = self.begin()?;
            let now = self.now();
            for row in rows.iter().filter(|row| !row.deleted && locked(&row.content).is_none() && !but(kind, row)) {
                queued += u64::from(self.on_sessions(|sessions| requeue(sessions, kind, row, Some(row.version), now))?);
            }
            self.sessions_done(transaction.commit())
        })?;
        if queued > 0 {
            let now = self.now();
            let detail = format!("{queued} records, so that they are encrypted");
            self.on_sessions(|sessions| journal::write(sessions, now, JournalEvent::QueuedAgain, None, &detail))?;
        }
        Ok(queued)
    }

    /// Queues records that came in clear, so that something else takes their place; returns their number.
    pub fn queue_bare(&self, bare: &[(Kind, Row)]) -> Result<u64, Error> {
        if bare.is_empty() {
            return Ok(0);
        }
        let transaction = self.begin()?;
        let now = self.now();
        let mut queued = 0;
        for (kind, row) in bare {
            queued += u64::from(self.on_sessions(|sessions| requeue(sessions, *kind, row, Some(row.version), now))?);
        }
        self.sessions_done(transaction.commit())?;
        Ok(queued)
    }

    /// Logs the records that did not come as they should have.
    pub fn note_odd(&self, event: JournalEvent, odd: &[(Kind, RecordId)], detail: &str) -> Result<(), Error> {
        let now = self.now();
        self.on_sessions(|sessions| {
            odd.iter().try_for_each(|(kind, id)| journal::write(sessions, now, event, Some((*kind, id)), detail))
        })
    }

    /// Returns the number of locked records.
    pub fn count_locked(&self) -> Result<u64, Error> {
        let mut count = 0;
        self.each_page(|_, _, rows| {
            count += rows.iter().filter(|row| locked(&row.content).is_some()).count() as u64;
            Ok(())
        })?;
        Ok(count)
    }

    /// Passes all rows of the kinds that clients push to `page`, a page at a time.
    fn each_page(&self, mut page: impl FnMut(Database, Kind, Vec<Row>) -> Result<(), Error>) -> Result<(), Error> {
        for kind in Kind::ALL.iter().copied().filter(|kind| kind.is_pushed()) {
            let database = Database::of(kind);
            let mut last = String::new();
            loop {
                let rows = self.on(database, |file| table::after(file, kind, &last, PAGE))?;
                let Some(end) = rows.last() else { break };
                last = end.id.to_string();
                page(database, kind, rows)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
