//! Records as they travel: the one place where contents leave and enter this machine.

use protocol::content::ContentHash;
use protocol::id::RecordId;
use protocol::wire::{HistoryEntry, Kind, PushRecord, Record};
use serde_json::value::RawValue;

use super::Context;
use crate::Error;
use crate::context::{Row, Waiting};

/// A change on its way out.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) change: Waiting,
    /// The hash of the content as it travels.
    pub(super) content_hash: ContentHash,
    /// The record as JSON.
    pub(super) json: String,
}

impl Context {
    /// A change as the cloud gets it.
    pub(super) fn seal(&self, change: Waiting) -> Result<Outgoing, Error> {
        let content = RawValue::from_string(change.content.clone()).expect("the queue holds JSON");
        let record = PushRecord {
            kind: change.kind,
            id: change.id.clone(),
            project_id: change.project_id.clone(),
            content: (!change.deleted).then_some(content),
            updated_at: change.updated_at,
            base_version: change.base_version,
            deleted: change.deleted,
        };
        let json = serde_json::to_string(&record).expect("a record is text with names");
        Ok(Outgoing { content_hash: change.content_hash, change, json })
    }

    /// A record as it is kept here.
    pub(super) fn open(&self, record: &Record, pass: u64) -> Result<Row, Error> {
        Ok(Row::pulled(record, record.content.get().to_owned(), pass))
    }

    /// An entry of a record's history as a person reads it.
    pub(super) fn open_history(&self, _kind: Kind, _id: &RecordId, _entry: &mut HistoryEntry) -> Result<(), Error> {
        Ok(())
    }
}
