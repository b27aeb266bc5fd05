//! The tenant's key on this machine: creation, export, import and removal.

use std::sync::Arc;

use local::text;
use protocol::wire::Encryption;
use serde::Serialize;

use super::Context;
use super::cipher::{Cipher, export};
use super::tenant_key::{FILE, TenantKey, read};
use crate::core::Core;
use crate::{ContextStore, Error, ExportFault, KeysError};

/// Minimum length of a passphrase in characters; an attacker who has the export and time guesses a shorter one.
const MIN_PASSPHRASE: usize = 12;

/// Names of a tenant's key. The key itself is never shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyName {
    /// Id by which the cloud knows the key.
    pub key_id: String,
    /// Longer id, for people who compare two machines.
    pub fingerprint: String,
}

impl KeyName {
    fn of(key: &TenantKey) -> Self {
        Self { key_id: key.id(), fingerprint: key.fingerprint() }
    }
}

/// Effect of a new key on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeyTaken {
    /// The key.
    #[serde(flatten)]
    pub key: KeyName,
    /// True if this machine didn't have it before.
    pub new: bool,
    /// Number of records that were locked and can be read now.
    pub unlocked: u64,
    /// Number of records that wait to be sent again, since the cloud has them in clear, or encrypted with another key.
    pub queued: u64,
}

/// Status of the tenant's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeyStatus {
    /// The key on this machine, if there is one.
    pub key: Option<KeyName>,
    /// Number of records that can't be read here, for want of their key.
    pub locked: u64,
    /// True if the cloud answered which key it knows.
    pub cloud_asked: bool,
    /// Id of the key that the cloud knows; none as long as nothing encrypted has been sent.
    pub cloud_key_id: Option<String>,
}

/// Returns the status of the tenant's key. The cloud is asked, and need not answer.
pub(crate) fn status(core: &Arc<Core>) -> Result<KeyStatus, Error> {
    let key = read(&core.vault)?.map(|key| KeyName::of(&key));
    let locked = Context::new(core).store().count_locked()?;
    let cloud = cloud_encryption(core);
    let cloud_asked = cloud.is_ok();
    let cloud_key_id = cloud.ok().flatten().map(|encryption| encryption.key_id);
    Ok(KeyStatus { key, locked, cloud_asked, cloud_key_id })
}

/// Makes the tenant's key, which encrypts everything that is sent from now on, and queues again what the cloud has in
/// clear. The caller has informed the user of the consequences of losing the key.
pub(crate) fn init(core: &Arc<Core>) -> Result<KeyTaken, Error> {
    match read(&core.vault) {
        Ok(Some(key)) => return Err(KeysError::Exists { key_id: key.id() }.into()),
        // A key that can't be opened any more is as good as none, unless the cloud knows it.
        Ok(None) | Err(Error::Keys(KeysError::Unreadable { .. })) => {}
        Err(error) => return Err(error),
    }
    if let Some(Encryption { key_id }) = cloud_encryption(core)? {
        return Err(KeysError::Latched { key_id }.into());
    }
    take(core, &TenantKey::generate(), true)
}

/// Returns the tenant's key for another machine: a text that only the passphrase opens.
pub(crate) fn export(core: &Core, passphrase: &str) -> Result<String, Error> {
    let key = read(&core.vault)?.ok_or(KeysError::Missing)?;
    // Normalized (NFC), as it wraps the key: a letter with an accent is one character, on every keyboard.
    let passphrase = text::nfc(passphrase);
    if passphrase.chars().count() < MIN_PASSPHRASE {
        return Err(KeysError::ShortPassphrase { least: MIN_PASSPHRASE }.into());
    }
    Ok(export::write(&key, &passphrase))
}

/// Takes over the key that another machine has exported, opens locked records, and queues again what the cloud has in
/// clear.
pub(crate) fn import(core: &Arc<Core>, text: &str, passphrase: &str) -> Result<KeyTaken, Error> {
    let key = open(text, passphrase).map_err(KeysError::Export)?;
    let here = match read(&core.vault) {
        // A key that can't be opened any more is as good as none.
        Err(Error::Keys(KeysError::Unreadable { .. })) => None,
        other => other?,
    };
    let new = here.as_ref() != Some(&key);
    if new {
        let latched = cloud_encryption(core);
        match (latched, here) {
            (Ok(Some(Encryption { key_id })), _) if key_id != key.id() => {
                return Err(KeysError::Other { key_id: key.id(), latched: key_id }.into());
            }
            // A key that the tenant doesn't encrypt with has encrypted nothing that is kept anywhere.
            (Ok(Some(_)), _) | (_, None) => {}
            (_, Some(here)) => return Err(KeysError::Undecided { here: here.id(), key_id: key.id() }.into()),
        }
    }
    take(core, &key, new)
}

/// Removes the tenant's key, on this machine alone: after an operator has turned encryption off, or to make room for
/// another one. Returns its name, if it could still be read. The caller has informed the user of the consequences.
pub(crate) fn remove(core: &Arc<Core>) -> Result<Option<KeyName>, Error> {
    let context = Context::new(core);
    let _alone = context.store().lock_sync()?;
    let key = match read(&core.vault) {
        Ok(None) => return Err(KeysError::Missing.into()),
        Ok(Some(key)) => Some(key),
        Err(Error::Keys(KeysError::Unreadable { .. })) => None,
        Err(error) => return Err(error),
    };
    if let Some(key) = &key {
        // Nothing leaves in clear before the cloud has said that the tenant doesn't encrypt.
        context.store().set_progress(|progress| {
            progress.tenant_key_id.get_or_insert_with(|| key.id());
        })?;
    }
    core.vault.remove(FILE)?;
    Ok(key.as_ref().map(KeyName::of))
}

/// Asks the cloud for the key that the tenant's contents are encrypted with.
fn cloud_encryption(core: &Arc<Core>) -> Result<Option<Encryption>, Error> {
    Ok(Context::new(core).cloud_status()?.encryption)
}

fn take(core: &Arc<Core>, key: &TenantKey, new: bool) -> Result<KeyTaken, Error> {
    let context = Context::new(core);
    // Records that another process pulls meanwhile would be neither opened nor queued.
    let _alone = context.store().lock_sync()?;
    // Queued first: after a crash here these records are sent as duplicates, and the key is yet to be made.
    let mut queued = context.store().queue_clear()?;
    if new {
        core.vault.seal_secretly(FILE, key.as_bytes())?;
    }
    // Queued after the key is sealed: contents that another key has encrypted must never be sent in clear.
    let cipher = Cipher::new(key);
    queued += context.store().queue_others(|kind, id, content| cipher.content_hash(kind, id, content))?;
    let unlocked = unlock(context.store(), &cipher)?;
    Ok(KeyTaken { key: KeyName::of(key), new, unlocked, queued })
}

/// Opens the records that are locked under a key; returns their number.
fn unlock(store: &ContextStore, cipher: &Cipher) -> Result<u64, Error> {
    store.unlock(|kind, id, envelope| {
        let plain = cipher.open(kind, id, envelope).ok()?;
        Some((plain.content, plain.project_id))
    })
}

/// Opens an export with a passphrase, in each of the forms in which another keyboard may have typed it: exports of earlier
/// versions have it as it was typed.
fn open(export: &str, passphrase: &str) -> Result<TenantKey, ExportFault> {
    let mut opened = Err(ExportFault::WrongPassphrase);
    for form in text::forms(passphrase) {
        opened = export::read(export, &form);
        if opened != Err(ExportFault::WrongPassphrase) {
            break;
        }
    }
    opened
}

/// Returns the id of the key that an export claims to hold, before its passphrase is known.
pub fn exported_key_id(text: &str) -> Option<String> {
    export::key_id(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_of_an_earlier_version_opens_however_its_passphrase_is_typed() {
        const FORMS: [&str; 3] = ["caf\u{e9} o\u{308}l", "cafe\u{301} o\u{308}l", "caf\u{e9} \u{f6}l"];
        let key = TenantKey::generate();
        let [mixed, decomposed, composed] = FORMS;
        // As it was typed, in either form, or in both.
        for (written, typed) in [(decomposed, composed), (composed, decomposed), (mixed, mixed)] {
            let export = export::write(&key, written);
            assert_eq!(open(&export, typed).as_ref(), Ok(&key), "{typed:?}");
        }
        let export = export::write(&key, "cafe ol");
        assert_eq!(open(&export, composed), Err(ExportFault::WrongPassphrase));
    }
}
