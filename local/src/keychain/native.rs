//! The keychain of macOS and the Credential Manager of Windows.

use std::time::Duration;

use keyring::{Entry, Error};

use crate::KeychainFault;

/// The service that people see in the keychain's own program.
const SERVICE: &str = "coditect";

pub(super) fn is_there() -> bool {
    true
}

pub(super) fn read(item: &str, _prompt: Duration) -> Result<Option<String>, KeychainFault> {
    match entry(item)?.get_password() {
        Ok(text) => Ok(Some(text)),
        Err(Error::NoEntry) => Ok(None),
        Err(error) => Err(fault(&error)),
    }
}

pub(super) fn write(item: &str, _label: &str, text: &str, _prompt: Duration) -> Result<(), KeychainFault> {
    entry(item)?.set_password(text).map_err(|error| fault(&error))
}

pub(super) fn remove(item: &str, _prompt: Duration) -> Result<(), KeychainFault> {
    match entry(item)?.delete_credential() {
        Ok(()) | Err(Error::NoEntry) => Ok(()),
        Err(error) => Err(fault(&error)),
    }
}

fn entry(item: &str) -> Result<Entry, KeychainFault> {
    Entry::new(SERVICE, item).map_err(|error| fault(&error))
}

fn fault(error: &Error) -> KeychainFault {
    match error {
        Error::NoStorageAccess(_) => KeychainFault::Locked,
        Error::NoDefaultStore => KeychainFault::Missing,
        other => KeychainFault::Failed(other.to_string()),
    }
}
