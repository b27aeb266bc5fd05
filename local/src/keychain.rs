//! The operating system's keychain: macOS Keychain, Windows Credential Manager, Secret Service (GNOME Keyring, KWallet,
//! KeePassXC) elsewhere. It has one item for each home folder: the secret under which the folder's secrets are sealed.
//!
//! A keychain may be missing, locked, or wait for a user who isn't present. So each request has a timeout, and is only made
//! when a secret is needed.

#[cfg_attr(any(target_os = "macos", windows), path = "keychain/native.rs")]
#[cfg_attr(not(any(target_os = "macos", windows)), path = "keychain/secret_service.rs")]
mod system;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::{KeychainFault, environment};

/// Time that the user has to unlock the keychain, if there is a screen for the prompt.
const PROMPT_TIMEOUT: Duration = Duration::from_secs(60);

/// Time that the keychain has to answer, in addition to that for the prompt.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns true if there may be a keychain; no request is made.
pub(crate) fn is_there() -> bool {
    system::is_there()
}

/// Reads the item of this name.
pub(crate) fn read(item: &str) -> Result<String, KeychainFault> {
    let item = item.to_owned();
    bounded(move |prompt| system::read(&item, prompt)?.ok_or(KeychainFault::Gone))
}

/// Stores a text under this name. Users see the label in their keychain's own program.
pub(crate) fn write(item: &str, label: &str, text: &str) -> Result<(), KeychainFault> {
    let (item, label, text) = (item.to_owned(), label.to_owned(), text.to_owned());
    bounded(move |prompt| {
        system::write(&item, &label, &text, prompt)?;
        // All that is sealed under the item is lost with it, so it is read back.
        match system::read(&item, prompt)? {
            Some(kept) if kept == text => Ok(()),
            _ => Err(KeychainFault::Failed("it did not keep what it was given".to_owned())),
        }
    })
}

/// Removes the item, if there is one.
pub(crate) fn remove(item: &str) -> Result<(), KeychainFault> {
    let item = item.to_owned();
    bounded(move |prompt| system::remove(&item, prompt))
}

/// Runs a request with a timeout, in a thread of its own, which is abandoned if the keychain never answers.
fn bounded<T: Send + 'static>(
    ask: impl FnOnce(Duration) -> Result<T, KeychainFault> + Send + 'static,
) -> Result<T, KeychainFault> {
    if !system::is_there() {
        return Err(KeychainFault::Missing);
    }
    let prompt = if environment::has_screen() { PROMPT_TIMEOUT } else { Duration::ZERO };
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(ask(prompt)));
    told.recv_timeout(prompt + ANSWER_TIMEOUT)
        .unwrap_or_else(|_| Err(KeychainFault::Failed("it does not answer".to_owned())))
}
