//! Records as they travel: the one place where contents leave and enter this machine.

use local::context::Waiting;
use protocol::content::ContentHash;
use protocol::id::RecordId;
use protocol::wire::{HistoryEntry, Kind, PushRecord};
use serde_json::value::RawValue;

use super::Context;
use super::content_crypto::{ContentCrypto, EncryptError};
use crate::Error;

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
    /// Returns the keys that encrypt and decrypt at this moment: another process may import one while this one goes on.
    pub(super) fn content_crypto(&self) -> Result<ContentCrypto, Error> {
        ContentCrypto::of(&self.core.vault, self.store.progress()?.tenant_key_id)
    }

    /// Decrypts an entry of a record's history; it stays as it came, where it can't be opened.
    pub(super) fn open_history(&self, kind: Kind, id: &RecordId, entry: &mut HistoryEntry) -> Result<(), Error> {
        let opened = self.content_crypto()?.open_content(kind, id, entry.content.get(), entry.project_id.as_ref());
        entry.content = RawValue::from_string(opened.content).expect("a content is JSON");
        entry.project_id = opened.project_id;
        Ok(())
    }
}

impl Outgoing {
    /// Converts a change to the record that the cloud gets. Where that can't be, returns the change and why.
    pub(super) fn seal(crypto: &ContentCrypto, change: Waiting) -> Result<Self, Box<(Waiting, EncryptError)>> {
        let sealed = match crypto.seal(&change) {
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
