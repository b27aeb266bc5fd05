//! Changes of records, which are queued: the version that a change is made from, and its time.

use jiff::{SignedDuration, Timestamp};
use protocol::id::{ProjectId, RecordId};
use protocol::wire::Kind;

use super::entries::overlays;
use super::record::Canonical;
use super::{Change, ContextStore, Database, Draft, Entry, Waiting, locked, queue, table};
use crate::{ContextError, Error};

/// Target state of a record.
struct Wanted<'a> {
    kind: Kind,
    id: &'a RecordId,
    project_id: Option<&'a ProjectId>,
    content: &'a Canonical,
    deleted: bool,
}

impl ContextStore {
    /// Queues the change of a record to the state of a draft. A change that changes nothing is not queued.
    pub fn put(&self, draft: &Draft) -> Result<Change, Error> {
        let changes = self.put_all(std::slice::from_ref(draft))?;
        Ok(changes.first().copied().unwrap_or(Change::Unchanged))
    }

    /// Queues several changes at once: all or none.
    pub fn put_all(&self, drafts: &[Draft]) -> Result<Vec<Change>, Error> {
        let transaction = self.begin()?;
        let replace = !self.is_on()?;
        let changes = drafts.iter().map(|draft| self.change(draft, replace)).collect::<Result<_, Error>>()?;
        self.sessions_done(transaction.commit())?;
        Ok(changes)
    }

    /// Reads a record, and queues its new state. No other change comes in between.
    ///
    /// The draft is for the same record; none leaves it as it is.
    ///
    /// ```
    /// use local::{ContextStore, Draft, Kind};
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
        let change = self.change(&draft, !self.is_on()?)?;
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
        let replace = !self.is_on()?;
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
        self.enqueue(&seen, &wanted, !self.is_on()?)?;
        self.sessions_done(transaction.commit())?;
        Ok(true)
    }

    /// Queues one change. The caller holds a transaction.
    fn change(&self, draft: &Draft, replace: bool) -> Result<Change, Error> {
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
    fn seen(&self, kind: Kind, id: &RecordId) -> Result<Seen, Error> {
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
    fn enqueue(&self, seen: &Seen, wanted: &Wanted<'_>, replace: bool) -> Result<i64, Error> {
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
struct Seen {
    content: Option<String>,
    project_id: Option<ProjectId>,
    deleted: bool,
    /// None where there is no such record.
    updated_at: Option<Timestamp>,
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
