//! Records as they travel: the one place where contents leave and enter this machine.

use protocol::content::ContentHash;
use protocol::id::RecordId;
use protocol::wire::{HistoryEntry, Kind, PushRecord, Record};
use serde_json::value::RawValue;

use super::Context;
use super::secrecy::{Secrecy, State, Unsealed};
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

/// A record on its way in.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) kind: Kind,
    pub(super) row: Row,
    pub(super) state: State,
}

impl Context {
    /// Returns the keys that encrypt and decrypt at this moment: another process may import one while this one goes on.
    pub(super) fn secrecy(&self) -> Result<Secrecy, Error> {
        Secrecy::of(&self.client.inner.vault, self.store.progress()?.tenant_key_id)
    }

    /// Decrypts an entry of a record's history; it stays as it came, where it can't be opened.
    pub(super) fn open_history(&self, kind: Kind, id: &RecordId, entry: &mut HistoryEntry) -> Result<(), Error> {
        let opened = self.secrecy()?.open_content(kind, id, entry.content.get(), entry.project_id.as_ref());
        entry.content = RawValue::from_string(opened.content).expect("a content is JSON");
        entry.project_id = opened.project_id;
        Ok(())
    }
}

impl Outgoing {
    /// Converts a change to the record that the cloud gets. Where that can't be, returns the change and why.
    pub(super) fn seal(secrecy: &Secrecy, change: Waiting) -> Result<Self, Box<(Waiting, Unsealed)>> {
        let sealed = match secrecy.seal(&change) {
            Ok(sealed) => sealed,
            Err(error) => return Err(Box::new((change, error))),
        };
        let content = RawValue::from_string(sealed.content).expect("the queue holds JSON");
        let record = PushRecord {
            kind: change.kind,
            id: change.id.clone(),
            project_id: sealed.project_id,
            content: (!change.deleted).then_some(content),
            updated_at: change.updated_at,
            base_version: change.base_version,
            deleted: change.deleted,
        };
        let json = serde_json::to_string(&record).expect("a record is text with names");
        Ok(Self { content_hash: sealed.content_hash, change, json })
    }
}

impl Incoming {
    /// Converts a record to the row that is kept here. `before` is the key of the last envelope before it in the stream.
    pub(super) fn open(secrecy: &Secrecy, record: &Record, pass: u64, before: &mut Option<String>) -> Self {
        let opened = secrecy.open(record, before);
        let row = Row { project_id: opened.project_id, ..Row::pulled(record, opened.content, pass) };
        Self { kind: record.kind, row, state: opened.state }
    }
}
