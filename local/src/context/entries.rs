//! Records as they are seen here: the queued changes of each, and what its table has.

use std::collections::HashSet;

use protocol::id::RecordId;
use protocol::wire::Kind;

use super::{ContextStore, Database, Entry, Filter, Row, Waiting, queue, table};
use crate::Error;

impl ContextStore {
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
        let mut hidden = HashSet::new();
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
}

/// Returns true if a queued change is the record's current state: the later one of the two, as the cloud will decide, unless
/// a clock is ahead: there, a time from the future counts as the moment it arrived.
pub(super) fn overlays(change: &Waiting, row: Option<&Row>) -> bool {
    row.is_none_or(|row| change.updated_at >= row.updated_at)
}
