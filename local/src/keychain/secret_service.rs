//! The Secret Service of a desktop, on the session's D-Bus. The messages stay between two programs of one user on one
//! socket, so the session is not encrypted in addition.

use std::collections::HashMap;
use std::time::Duration;

use dbus_secret_service::{EncryptionType, Error, Item, SecretService};

use crate::{KeychainFault, environment};

/// Attribute by which our items are found, besides their name.
const APPLICATION: &str = "coditect";

/// Content type of our items: text, since some keychains can store nothing else.
const TEXT: &str = "text/plain";

/// Returns true if there is a session bus. Without one no request is made, since the library would try to start one.
pub(super) fn is_there() -> bool {
    environment::has_session_bus()
}

pub(super) fn read(item: &str, prompt: Duration) -> Result<Option<String>, KeychainFault> {
    let service = connect(prompt)?;
    let Some(found) = find(&service, item)? else { return Ok(None) };
    found.ensure_unlocked().map_err(fault)?;
    let text = found.get_secret().map_err(fault)?;
    Ok(String::from_utf8(text).ok())
}

pub(super) fn write(item: &str, label: &str, text: &str, prompt: Duration) -> Result<(), KeychainFault> {
    let service = connect(prompt)?;
    // Without a default collection, the user has not set a keychain up. The session's own collection is no substitute.
    let collection = service.get_default_collection().map_err(fault)?;
    collection.ensure_unlocked().map_err(fault)?;
    collection.create_item(label, attributes(item), text.as_bytes(), true, TEXT).map(drop).map_err(fault)
}

pub(super) fn remove(item: &str, prompt: Duration) -> Result<(), KeychainFault> {
    let service = connect(prompt)?;
    match find(&service, item)? {
        Some(found) => found.ensure_unlocked().and_then(|()| found.delete()).map_err(fault),
        None => Ok(()),
    }
}

fn connect(prompt: Duration) -> Result<SecretService, KeychainFault> {
    SecretService::connect_with_max_prompt_timeout(EncryptionType::Plain, prompt.as_secs()).map_err(fault)
}

fn find<'a>(service: &'a SecretService, item: &str) -> Result<Option<Item<'a>>, KeychainFault> {
    let found = service.search_items(attributes(item)).map_err(fault)?;
    Ok(found.unlocked.into_iter().chain(found.locked).next())
}

fn attributes(item: &str) -> HashMap<&str, &str> {
    HashMap::from([("application", APPLICATION), ("home", item)])
}

fn fault(error: Error) -> KeychainFault {
    match error {
        Error::Locked | Error::Prompt => KeychainFault::Locked,
        Error::NoResult | Error::Unavailable => KeychainFault::Missing,
        Error::Dbus(error) => match error.name() {
            Some("org.freedesktop.DBus.Error.ServiceUnknown" | "org.freedesktop.DBus.Error.NoServer") => {
                KeychainFault::Missing
            }
            Some("org.freedesktop.Secret.Error.IsLocked") => KeychainFault::Locked,
            _ => KeychainFault::Failed(error.message().unwrap_or("D-Bus does not say why").to_owned()),
        },
        other => KeychainFault::Failed(other.to_string()),
    }
}
