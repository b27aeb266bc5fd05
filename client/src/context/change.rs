//! Queuing of changes: the version that a change is made from, and its time.

use jiff::{SignedDuration, Timestamp};
use protocol::id::{ProjectId, RecordId};
use protocol::wire::Kind;

use super::record::Canonical;
use super::store::overlays;
use super::{Change, ContextError, ContextStore, Database, Draft, Waiting, locked, queue, table};
use crate::Error;

/// Target state of a record.
pub(super) struct Wanted<'a> {
    pub(super) kind: Kind,
    pub(super) id: &'a RecordId,
    pub(super) project_id: Option<&'a ProjectId>,
    pub(super) content: &'a Canonical,
    pub(super) deleted: bool,
}

impl ContextStore {
    /// Queues one change. The caller holds a transaction.
    pub(super) fn change(&self, draft: &Draft, replace: bool) -> Result<Change, Error> {
        if !draft.kind.is_pushed() {
            return Err(ContextError::ReadOnly.into());
        }
        let content = Canonical::of(&draft.content)?;
        let seen = self.seen(draft.kind, &draft.id)?;
        if !seen.deleted && seen.content.as_deref().is_some_and(|content| locked(content).is_some()) {
            return Err(ContextError::Locked.into());
        }
        if !seen.deleted && seen.content.as_deref() == Some(&content.text) && seen.project_id == draft.project_id {
            return Ok(Change::Unchanged);
        }
        let project_id = draft.project_id.as_ref();
        let wanted = Wanted { kind: draft.kind, id: &draft.id, project_id, content: &content, deleted: false };
        self.enqueue(&seen, &wanted, replace).map(Change::Queued)
    }

    /// Returns the state of a record that a change is made from. The caller holds a transaction.
    pub(super) fn seen(&self, kind: Kind, id: &RecordId) -> Result<Seen, Error> {
        let queued = self.on_sessions(|sessions| queue::newest(sessions, kind, id, true))?;
        let active = match &queued {
            Some(queued) if queued.parked => self.on_sessions(|sessions| queue::newest(sessions, kind, id, false))?,
            _ => queued.clone(),
        };
        let row = self.on(Database::of(kind), |file| table::find(file, kind, id))?;
        Ok(match (queued, row) {
            (Some(queued), row) if overlays(&queued, row.as_ref()) => Seen {
                content: Some(queued.content),
                project_id: queued.project_id,
                deleted: queued.deleted,
                updated_at: Some(queued.updated_at),
                base_version: if queued.parked { queued.base_version } else { None },
                active,
            },
            (_, Some(row)) => Seen {
                content: Some(row.content),
                project_id: row.project_id,
                deleted: row.deleted,
                updated_at: Some(row.updated_at),
                // Versions from before the cloud was restored may be other changes' by now.
                base_version: (row.pass >= self.progress()?.pass).then_some(row.version),
                active,
            },
            (_, None) => Seen { active, ..Seen::default() },
        })
    }

    /// Queues the target state of a record. The caller holds a transaction.
    pub(super) fn enqueue(&self, seen: &Seen, wanted: &Wanted<'_>, replace: bool) -> Result<i64, Error> {
        let now = self.now();
        let replaced = seen.active.as_ref().filter(|_| replace);
        let new = queue::New {
            kind: wanted.kind,
            id: wanted.id,
            project_id: wanted.project_id,
            content: &wanted.content.text,
            content_hash: wanted.content.hash,
            updated_at: seen.later_than(now),
            deleted: wanted.deleted,
            base_version: match (&seen.active, replaced) {
                (None, _) => seen.base_version,
                (Some(_), None) => None,
                (Some(_), Some(replaced)) => replaced.base_version,
            },
            queued_at: replaced.map_or(now, |replaced| replaced.queued_at),
        };
        self.on_sessions(|sessions| {
            if let Some(replaced) = replaced {
                // Not overwritten: an answer about the old change that is on its way must not be taken for this one's.
                queue::remove(sessions, replaced.n)?;
            }
            queue::add(sessions, &new)
        })
    }
}

/// State of a record before a change.
#[derive(Debug, Default)]
pub(super) struct Seen {
    content: Option<String>,
    pub(super) project_id: Option<ProjectId>,
    pub(super) deleted: bool,
    /// None where there is no such record.
    pub(super) updated_at: Option<Timestamp>,
    /// The version a change is made from, unless another one is queued before it.
    base_version: Option<u64>,
    /// The newest change that is queued and not parked.
    active: Option<Waiting>,
}

impl Seen {
    /// Returns the current time, or one just later than the state seen: a change that is made with knowledge of another one
    /// is meant to count more, however the clocks stand.
    fn later_than(&self, now: Timestamp) -> Timestamp {
        let next = self.updated_at.and_then(|seen| seen.checked_add(SignedDuration::from_micros(1)).ok());
        next.map_or(now, |next| now.max(next))
    }
}
