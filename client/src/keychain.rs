//! The operating system's keychain: macOS Keychain, Windows Credential Manager, Secret Service (GNOME Keyring, KWallet,
//! KeePassXC) elsewhere. It has one item for each home folder: the secret under which the folder's secrets are sealed.
//!
//! A keychain may be missing, locked, or wait for a user who isn't present. So each request has a timeout, and is only made
//! when a secret is needed.

#[cfg_attr(any(target_os = "macos", windows), path = "keychain/native.rs")]
#[cfg_attr(not(any(target_os = "macos", windows)), path = "keychain/secret_service.rs")]
mod system;

use std::fmt;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::environment;

/// Time that the user has to unlock the keychain, if there is a screen for the prompt.
const PROMPT: Duration = Duration::from_secs(60);

/// Time that the keychain has to answer, in addition to that for the prompt.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reason why a keychain cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeychainFault {
    /// It is turned off here.
    Off,
    /// There is none.
    Missing,
    /// It is locked, and was not unlocked.
    Locked,
    /// It no longer has the item that was stored in it.
    Gone,
    /// Another failure, in the keychain's own words.
    Failed(String),
}

impl KeychainFault {
    /// Returns the remedy.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Off => {
                "`unset CODITECT_KEYCHAIN`, and `coditect config set keychain off` moves your secrets into the home folder."
            }
            Self::Missing => {
                "Try again where the keychain is: in your desktop session. `coditect login` or `coditect activate` there, or \
                 with CODITECT_KEYCHAIN=off here, stores your secrets anew."
            }
            Self::Locked => {
                "Unlock your keychain and try again; `coditect config set keychain off` does without it then."
            }
            Self::Gone => "`coditect login` or `coditect activate` stores your secrets anew.",
            Self::Failed(_) => {
                "Try again; CODITECT_KEYCHAIN=off with `coditect login` or `coditect activate` does without it."
            }
        }
    }
}

impl fmt::Display for KeychainFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("the keychain is turned off by CODITECT_KEYCHAIN"),
            Self::Missing => f.write_str("there is no keychain"),
            Self::Locked => f.write_str("the keychain is locked"),
            Self::Gone => f.write_str("the keychain no longer has it"),
            Self::Failed(cause) => write!(f, "the keychain failed: {cause}"),
        }
    }
}

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
    let prompt = if environment::has_screen() { PROMPT } else { Duration::ZERO };
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(ask(prompt)));
    told.recv_timeout(prompt + PATIENCE).unwrap_or_else(|_| Err(KeychainFault::Failed("it does not answer".to_owned())))
}
