//! A push as it goes to Postgres: an array per column, each record once.

use std::collections::HashSet;

use jiff::Timestamp;
use protocol::content::ContentHash;
use protocol::wire::{Kind, PushResult, PushStatus, Rejection, RejectionCode};

use crate::record::{Record, Unusable};

/// The records that can be stored, column by column, and the results of all of them.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) kinds: Vec<i16>,
    pub(crate) ids: Vec<String>,
    pub(crate) projects: Vec<Option<String>>,
    pub(crate) statuses: Vec<Option<String>>,
    pub(crate) updated: Vec<Timestamp>,
    pub(crate) deletions: Vec<bool>,
    pub(crate) bases: Vec<Option<i64>>,
    pub(crate) hashes: Vec<ContentHash>,
    pub(crate) contents: Vec<Option<Vec<u8>>>,
    /// Empty when no content is encrypted.
    pub(crate) key_ids: Vec<Option<String>>,
    pub(crate) totals: Vec<Total>,
    /// Index of each stored record's result in `results`.
    places: Vec<usize>,
    results: Vec<PushResult>,
}

/// Growth of a kind's totals in the tenant, if all of its records are new.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Total {
    pub(crate) kind: i16,
    pub(crate) records: i64,
    pub(crate) deleted: i64,
    pub(crate) bytes: i64,
}

impl Batch {
    /// Sorts out the records that can't be stored; a bad record doesn't affect its neighbors.
    pub(crate) fn of(records: impl Iterator<Item = Result<Record, Unusable>>) -> Self {
        let mut batch = Self::default();
        let mut seen = HashSet::new();
        for record in records {
            match record {
                Err(Unusable { id, why }) => batch.reject(id, why),
                Ok(record) if !seen.insert((record.kind, record.id.clone())) => {
                    let detail = "An earlier record of this push has the same kind and id. Send this one in a push of its own, later.";
                    batch.reject(Some(record.id.into()), Rejection::new(RejectionCode::RepeatedId, detail));
                }
                Ok(record) => batch.add(record),
            }
        }
        batch
    }

    fn reject(&mut self, id: Option<String>, why: Rejection) {
        let status = PushStatus::Rejected;
        self.results.push(PushResult { id, status, version: None, content_hash: None, error: Some(why) });
    }

    fn add(&mut self, record: Record) {
        let Record { kind, id, project_id, status, updated_at, base, hash, content, key_id } = record;
        self.count(kind, content.as_ref().map(Vec::len));
        if key_id.is_some() && self.key_ids.is_empty() {
            self.key_ids.resize(self.ids.len(), None);
        }
        if key_id.is_some() || !self.key_ids.is_empty() {
            self.key_ids.push(key_id);
        }
        self.places.push(self.results.len());
        let id = String::from(id);
        self.results.push(PushResult {
            id: Some(id.clone()),
            status: PushStatus::Created,
            version: Some(1),
            content_hash: Some(hash),
            error: None,
        });
        self.kinds.push(context::kind::number(kind));
        self.ids.push(id);
        self.projects.push(project_id.map(String::from));
        self.statuses.push(status);
        self.updated.push(updated_at);
        self.deletions.push(content.is_none());
        self.bases.push(base);
        self.hashes.push(hash);
        self.contents.push(content);
    }

    fn count(&mut self, kind: Kind, length: Option<usize>) {
        let kind = context::kind::number(kind);
        let at = self.totals.iter().position(|t| t.kind == kind).unwrap_or_else(|| {
            self.totals.push(Total { kind, records: 0, deleted: 0, bytes: 0 });
            self.totals.len() - 1
        });
        let total = &mut self.totals[at];
        match length {
            Some(length) => {
                total.records += 1;
                total.bytes += length as i64;
            }
            None => total.deleted += 1,
        }
    }

    /// Returns true if there is nothing to store.
    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The result of a stored record, by its place in the arrays.
    pub(crate) fn result(&mut self, at: usize) -> Option<&mut PushResult> {
        self.results.get_mut(*self.places.get(at)?)
    }

    /// Returns the results of all records, stored or not.
    pub(crate) fn into_results(self) -> Vec<PushResult> {
        self.results
    }
}
