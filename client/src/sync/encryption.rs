//! Whether the tenant encrypts, as far as this machine knows: by the cloud's status, by an envelope that came, or because a
//! content in clear was refused. Only the status says that it doesn't any more.

use protocol::wire::{ContextStatus, PushResult, RejectionCode};

use super::Context;
use crate::Error;

/// In the place of a key's id that nobody could say.
const UNKNOWN: &str = "unknown";

impl Context {
    /// Takes down what the cloud says.
    pub(super) fn note_encryption(&self, status: &ContextStatus) -> Result<(), Error> {
        let key_id = status.encryption.as_ref().map(|encryption| encryption.key_id.clone());
        if self.store.progress()?.tenant_key_id == key_id {
            return Ok(());
        }
        self.store.set_progress(|progress| progress.tenant_key_id = key_id)
    }

    /// Asks whether the tenant still encrypts with a key that is not here, if anything waits for that.
    pub(super) fn ask_for_key(&self) -> Result<(), Error> {
        if self.store.waiting()? > 0 && self.secrecy()?.lacks_key() {
            // Who doesn't answer has not said that contents may travel in clear.
            let _ = self.cloud_status();
        }
        Ok(())
    }

    /// Learns from what the cloud says about changes that their contents must be encrypted.
    pub(super) fn learn_from<'a>(&self, mut results: impl Iterator<Item = &'a PushResult>) -> Result<(), Error> {
        let required = |result: &PushResult| {
            let code = result.error.as_ref().map(|error| error.code.parse());
            code == Some(Ok(RejectionCode::EncryptionRequired))
        };
        if results.any(required) && self.cloud_status().is_err() {
            self.store.set_progress(|progress| {
                progress.tenant_key_id.get_or_insert_with(|| UNKNOWN.to_owned());
            })?;
        }
        Ok(())
    }
}
