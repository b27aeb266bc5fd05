//! A tenant's records as the cloud keeps them: push, pull and history, in memory.

use std::collections::{BTreeMap, HashSet};

use coditect::{Kind, RecordId};
use jiff::Timestamp;
use protocol::content::{ContentHash, canonical_json};
use protocol::envelope::Envelope;
use protocol::id::{DeviceId, ProjectId};
use protocol::problem::{Code, ProblemDocument};
use protocol::wire::{Outcome, PushRecord, PushRequest, PushResult, PushStatus, Record, Rejection, RejectionCode};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::cloud::Asked;

/// Largest number of entries on a page of a history.
const HISTORY_PAGE: usize = 4;

/// A change that reached the cloud.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) project_id: Option<ProjectId>,
    pub(crate) content: Value,
    pub(crate) hash: ContentHash,
    pub(crate) deleted: bool,
    pub(crate) updated_at: Timestamp,
    pub(crate) device_id: DeviceId,
    pub(crate) written_at: Timestamp,
    pub(crate) version: u64,
}

/// A record's current change, and its earlier ones.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) current: Change,
    pub(crate) history: Vec<(Outcome, Change)>,
    seq: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    pub(crate) records: BTreeMap<(Kind, RecordId), Kept>,
    epoch: u64,
    seq: u64,
    /// Largest number of records on a page.
    pub(crate) page: Option<usize>,
    /// Largest number of records of the tenant.
    pub(crate) quota: Option<usize>,
    /// True if there is no room for contents that are marked as large.
    pub(crate) tight: bool,
    /// Records with these ids are rejected.
    pub(crate) rejected: HashSet<String>,
    /// A push with a record of such an id is refused whole.
    pub(crate) poison: HashSet<String>,
    /// The key that contents must be encrypted with, since the first one that was.
    pub(crate) key_id: Option<String>,
    /// Number of pulls that are still answered; after them, none is.
    pub(crate) pulls_left: Option<u32>,
    /// Names that are sent in place of a kind's own, as a newer cloud would send them.
    pub(crate) called: BTreeMap<Kind, &'static str>,
}

impl Stream {
    /// Returns the answer; `None` if there is to be none.
    pub(crate) fn answer(&mut self, asked: &Asked) -> Option<(u16, Value)> {
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let query: BTreeMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        Some(match path {
            "/api/v1/context/push" => self.push(&asked.body),
            "/api/v1/context/pull" => {
                if let Some(left) = &mut self.pulls_left {
                    *left = left.checked_sub(1)?;
                }
                self.pull(&query)
            }
            "/api/v1/context/status" => (200, self.status()),
            "/api/v1/context/history" => (200, self.history(&query)),
            _ => refusal(Code::NotFound),
        })
    }

    /// Returns to this state, as a restore does; cursors from before are not known.
    pub(crate) fn restore(&mut self, old: Self) {
        let epoch = self.epoch + 1;
        *self = Self { epoch, ..old };
    }

    /// Returns a record as it is now.
    pub(crate) fn current(&self, kind: Kind, id: &str) -> &Change {
        &self.records[&(kind, id.parse().unwrap())].current
    }

    /// Returns every change of a record, including those that lost a conflict.
    pub(crate) fn ever(&self, kind: Kind, id: &str) -> Vec<&Change> {
        let kept = &self.records[&(kind, id.parse().unwrap())];
        kept.history.iter().map(|(_, change)| change).chain([&kept.current]).collect()
    }

    /// Puts records in, as another device would.
    pub(crate) fn fill(&mut self, kind: Kind, ids: impl Iterator<Item = String>) {
        for id in ids {
            let record = json!({"kind": kind, "id": id, "content": {"title": id}, "updated_at": Timestamp::now()});
            let result = self.push_one(&"elsewhere".parse().unwrap(), &serde_json::from_value(record).unwrap());
            assert_eq!(result.status, PushStatus::Created, "{result:?}");
        }
    }

    fn push(&mut self, body: &Value) -> (u16, Value) {
        let request: PushRequest<Box<RawValue>> = serde_json::from_str(&body.to_string()).unwrap();
        assert!(request.records.len() <= 500 && body.to_string().len() <= 4 * 1024 * 1024);
        let records = request.records.iter().map(|record| serde_json::from_str::<PushRecord>(record.get()).unwrap());
        let records: Vec<PushRecord> = records.collect();
        if records.iter().any(|record| self.poison.contains(record.id.as_str())) {
            return refusal(Code::ValidationFailed);
        }
        let mut seen = HashSet::new();
        assert!(records.iter().all(|record| seen.insert((record.kind, &record.id))), "a record twice in a push");
        let results: Vec<PushResult> = records.iter().map(|record| self.push_one(&request.device_id, record)).collect();
        (200, json!({"results": results, "cursor": self.cursor(self.seq)}))
    }

    fn push_one(&mut self, device: &DeviceId, record: &PushRecord) -> PushResult {
        let rejection = if self.is_bare(record) {
            Some(Rejection::new(RejectionCode::EncryptionRequired, "Your organization encrypts its context."))
        } else if self.rejected.contains(record.id.as_str()) {
            Some(Rejection::new(RejectionCode::InvalidRecord, "This record is not liked."))
        } else {
            let key = (record.kind, record.id.clone());
            let full = self.quota.is_some_and(|quota| self.records.len() >= quota);
            let large = record.content.as_ref().is_some_and(|content| content.get().contains("large"));
            ((full && !self.records.contains_key(&key)) || (self.tight && large && !record.deleted))
                .then(|| Rejection::new(RejectionCode::QuotaExceeded, "Your plan's 2 records are used up."))
        };
        if let Some(error) = rejection {
            let id = Some(record.id.to_string());
            return PushResult {
                id,
                status: PushStatus::Rejected,
                version: None,
                content_hash: None,
                error: Some(error),
            };
        }
        let content: Value = match &record.content {
            Some(content) if !record.deleted => serde_json::from_str(content.get()).unwrap(),
            _ => Value::Null,
        };
        let change = Change {
            project_id: record.project_id.clone(),
            hash: ContentHash::of(&content).unwrap(),
            content,
            deleted: record.deleted,
            updated_at: record.updated_at,
            device_id: device.clone(),
            written_at: Timestamp::now(),
            version: 1,
        };
        let status = self.merge((record.kind, record.id.clone()), change, record.base_version);
        let current = &self.records[&(record.kind, record.id.clone())].current;
        let (version, content_hash) = (Some(current.version), Some(current.hash));
        PushResult { id: Some(record.id.to_string()), status, version, content_hash, error: None }
    }

    /// Returns true if a record would reveal contents that are to be encrypted. The first encrypted record sets the key.
    fn is_bare(&mut self, record: &PushRecord) -> bool {
        let Some(content) = record.content.as_ref().filter(|_| !record.deleted) else { return false };
        let envelope = Envelope::of(&serde_json::from_str(content.get()).unwrap()).unwrap();
        let key_id = envelope.map(|envelope| envelope.key_id);
        if self.key_id.is_none() {
            self.key_id.clone_from(&key_id);
        }
        key_id != self.key_id
    }

    fn merge(&mut self, key: (Kind, RecordId), mut change: Change, base: Option<u64>) -> PushStatus {
        let Some(kept) = self.records.get_mut(&key) else {
            self.seq += 1;
            self.records.insert(key, Kept { current: change, history: Vec::new(), seq: self.seq });
            return PushStatus::Created;
        };
        let row = &kept.current;
        if row.hash == change.hash && row.deleted == change.deleted && row.project_id == change.project_id {
            return PushStatus::Duplicate;
        }
        let known = |(_, old): &(Outcome, Change)| {
            (old.hash, old.deleted, old.updated_at, &old.device_id)
                == (change.hash, change.deleted, change.updated_at, &change.device_id)
        };
        let updated = base == Some(row.version);
        if !updated && kept.history.iter().any(known) {
            return PushStatus::Duplicate;
        }
        let rank = |change: &Change| (change.updated_at.min(change.written_at), *change.hash.as_bytes());
        if updated || rank(&change) > rank(row) {
            change.version = row.version + 1;
            let old = std::mem::replace(&mut kept.current, change);
            kept.history.push((Outcome::Replaced, old));
            self.seq += 1;
            kept.seq = self.seq;
        } else {
            kept.history.push((Outcome::Lost, change));
        }
        if updated { PushStatus::Updated } else { PushStatus::Conflict }
    }

    fn pull(&self, query: &BTreeMap<&str, &str>) -> (u16, Value) {
        let after = match query.get("cursor").map(|cursor| cursor.split_once('.')) {
            None => 0,
            Some(Some((epoch, seq))) if epoch == self.epoch.to_string() => seq.parse().unwrap(),
            Some(_) => return refusal(Code::InvalidCursor),
        };
        let limit: usize = query["limit"].parse().unwrap();
        let limit = self.page.unwrap_or(limit).min(limit);
        let mut kept: Vec<_> = self.records.iter().filter(|(_, kept)| kept.seq > after).collect();
        kept.sort_by_key(|(_, kept)| kept.seq);
        let has_more = kept.len() > limit;
        kept.truncate(limit);
        let next = kept.last().map_or(after, |(_, kept)| kept.seq);
        let records = kept.into_iter().map(|((kind, id), kept)| {
            let mut record = serde_json::to_value(wire(*kind, id, &kept.current)).unwrap();
            if let Some(word) = self.called.get(kind) {
                record["kind"] = (*word).into();
            }
            record
        });
        let records: Vec<Value> = records.collect();
        (200, json!({"records": records, "next_cursor": self.cursor(next), "has_more": has_more}))
    }

    fn cursor(&self, seq: u64) -> String {
        format!("{}.{seq}", self.epoch)
    }

    fn status(&self) -> Value {
        let kinds: Vec<Value> = Kind::ALL
            .iter()
            .filter_map(|kind| {
                let all: Vec<_> = self.records.iter().filter(|((its, _), _)| its == kind).collect();
                let deleted = all.iter().filter(|(_, kept)| kept.current.deleted).count();
                (!all.is_empty()).then(|| {
                    json!({"kind": kind, "count": all.len() - deleted, "deleted": deleted, "bytes": 0,
                           "last_change": Timestamp::now()})
                })
            })
            .collect();
        let encryption = self.key_id.as_ref().map(|key_id| json!({ "key_id": key_id }));
        let usage = json!({"used": 0, "limit": -1});
        json!({"kinds": kinds, "devices": [], "records": usage, "bytes": usage, "encryption": encryption})
    }

    fn history(&self, query: &BTreeMap<&str, &str>) -> Value {
        let kept = &self.records[&(query["kind"].parse().unwrap(), query["id"].parse().unwrap())];
        let past = kept.history.iter().rev().map(|(outcome, change)| (*outcome, change));
        let entries = [(Outcome::Current, &kept.current)].into_iter().chain(past).map(|(outcome, change)| {
            json!({"outcome": outcome, "version": (outcome != Outcome::Lost).then_some(change.version),
                   "project_id": change.project_id, "content": change.content, "content_hash": change.hash,
                   "deleted": change.deleted, "updated_at": change.updated_at, "device_id": change.device_id,
                   "user_id": null, "written_at": change.written_at, "replaced_at": null})
        });
        // A page has no more than these, whatever is asked for.
        let from: usize = query.get("cursor").map_or(0, |cursor| cursor.parse().unwrap());
        let entries: Vec<Value> = entries.skip(from).collect();
        let (page, has_more) = (&entries[..entries.len().min(HISTORY_PAGE)], entries.len() > HISTORY_PAGE);
        let next = has_more.then(|| (from + HISTORY_PAGE).to_string());
        json!({"data": page, "next_cursor": next, "has_more": has_more})
    }
}

fn wire(kind: Kind, id: &RecordId, change: &Change) -> Record {
    let content = String::from_utf8(canonical_json(&change.content).unwrap()).unwrap();
    Record {
        kind,
        id: id.clone(),
        project_id: change.project_id.clone(),
        content: RawValue::from_string(content).unwrap(),
        content_hash: change.hash,
        version: change.version,
        updated_at: change.updated_at,
        deleted: change.deleted,
        device_id: change.device_id.clone(),
        user_id: None,
        written_at: change.written_at,
    }
}

fn refusal(code: Code) -> (u16, Value) {
    let problem = ProblemDocument::new(code);
    (problem.status, serde_json::to_value(problem).unwrap())
}
