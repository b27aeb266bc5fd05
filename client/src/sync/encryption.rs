//! State of the tenant's encryption, as far as this machine knows: by the cloud's status, by an envelope that came, or
//! because a content in clear was refused. Only the status reports that the tenant doesn't encrypt any more.

use protocol::wire::{ContextStatus, PushResult, RejectionCode};

use super::Context;
use crate::Error;

/// Placeholder for the id of a key that is not known.
const UNKNOWN: &str = "unknown";

impl Context {
    /// Records the id of the tenant's key, or that there is none, from the cloud's status.
    pub(super) fn note_encryption(&self, status: &ContextStatus) -> Result<(), Error> {
        let key_id = status.encryption.as_ref().map(|encryption| encryption.key_id.clone());
        if self.store.progress()?.tenant_key_id == key_id {
            return Ok(());
        }
        self.store.set_progress(|progress| progress.tenant_key_id = key_id)
    }

    /// Asks the cloud whether the tenant still encrypts with a key that is not here; only where changes wait.
    pub(super) fn ask_for_key(&self) -> Result<(), Error> {
        if self.store.waiting()? > 0 && self.content_crypto()?.lacks_key() {
            // A cloud that doesn't answer has not said that contents may travel in clear.
            let _ = self.cloud_status();
        }
        Ok(())
    }

    /// Records that contents must be encrypted, if the cloud has refused a change for that reason.
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
