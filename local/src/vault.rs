//! Sealed files: XChaCha20-Poly1305 under a key derived from a random secret and this machine's id.
//!
//! There are two secrets. One lies beside the files, and seals data that need not be secret, but genuine: the last answer,
//! the cloud's description of itself, the latest time. The other is in the operating system's keychain, where there is one,
//! and seals the license key, the sign-in and the tenant's key. Where there is no keychain, the first one seals these, too.
//! Each file records which one seals it, so that the folder can be in the middle of moving from one to the other.
//!
//! Sealing protects files that are copied off the machine: a backup, a home folder on a server, a stolen file. Neither the
//! file nor the whole folder opens elsewhere, unless the machine's id was copied too, or is itself kept in the folder (where
//! the operating system gives none). A change by accident, or by a party without the secret, is detected. Sealing does not
//! protect from processes of this user, or root, on this machine: they can run this program, so they can open what it opens,
//! and put back an older copy of a file.

mod secret;

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use protocol::id::HardwareId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::Sha256;

use crate::home::Home;
use crate::notice::{Notice, Notify};
use crate::{Config, Error, KeychainFault, random};
use secret::Secret;

const NONCE_LEN: usize = 24;

/// Lock held while secrets are sealed, so that none is sealed in one place while all move to the other.
const LOCK: &str = "vault.lock";

/// Magic bytes at the beginning of a sealed file; the place of the secret that seals it follows.
const MAGIC: &[u8] = b"coditect";

/// Place of the secret that seals a file: the first byte after the magic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The secret beside the file.
    Home = 1,
    /// The secret in the keychain.
    Keychain = 2,
}

/// Files that only this user on this machine can open.
#[derive(Clone, Debug)]
pub struct Vault {
    home: Home,
    machine: HardwareId,
    notify: Notify,
    /// True if the keychain may be asked.
    keychain: bool,
    /// The keychain's secret, once it has been asked.
    asked: Arc<Mutex<Option<Secret>>>,
}

impl Vault {
    /// Returns the vault of a home folder; `keychain` is true if the operating system's keychain may be asked.
    pub fn new(home: Home, machine: HardwareId, notify: Notify, keychain: bool) -> Self {
        Self { home, machine, notify, keychain, asked: Arc::default() }
    }

    /// Opens a file; none where there is no file. The keychain is asked only for a file that is sealed under its secret.
    pub fn open(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some(file) = self.home.read(name)? else { return Ok(None) };
        let sealed = || Error::Sealed { path: self.home.file(name) };
        let (&place, body) = file.strip_prefix(MAGIC).and_then(<[u8]>::split_first).ok_or_else(sealed)?;
        let (nonce, text) = body.split_first_chunk::<NONCE_LEN>().ok_or_else(sealed)?;
        let (place, secret) = match place {
            1 => (Place::Home, secret::beside(&self.home)?.ok_or_else(sealed)?),
            2 => (Place::Keychain, self.of_keychain(name)?),
            _ => return Err(sealed()),
        };
        let payload = Payload { msg: text, aad: name.as_bytes() };
        self.cipher(place, &secret).decrypt(&XNonce::from(*nonce), payload).map(Some).map_err(|_| sealed())
    }

    /// Opens a file; one that was changed, or comes from another machine, counts as deleted.
    pub fn open_if_whole(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        match self.open(name) {
            Err(Error::Sealed { .. }) => Ok(None),
            other => other,
        }
    }

    /// Opens a file with JSON; one that cannot be opened or parsed counts as deleted.
    pub fn open_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        Ok(self.open_if_whole(name)?.and_then(|json| serde_json::from_slice(&json).ok()))
    }

    /// Seals a content as JSON.
    pub fn seal_json(&self, name: &str, content: &impl Serialize) -> Result<(), Error> {
        self.seal(name, &serde_json::to_vec(content).expect("texts with names, numbers and times are JSON"))
    }

    /// Seals a content under its file's name, so that one sealed file cannot be put in another's place.
    pub fn seal(&self, name: &str, content: &[u8]) -> Result<(), Error> {
        self.seal_under(Place::Home, &secret::beside_or_new(&self.home)?, name, content)
    }

    /// Seals a content under the keychain's secret, else under the one beside the files. If there is a keychain that cannot
    /// be used at the moment, a notice reports it.
    pub fn seal_secretly(&self, name: &str, content: &[u8]) -> Result<(), Error> {
        let _held = self.hold()?;
        self.seal_held(name, content)
    }

    /// Keeps other processes from sealing secrets.
    fn hold(&self) -> Result<File, Error> {
        self.home.lock(LOCK)
    }

    /// Waits until no other process holds this lock, and holds it for as long as the file is open.
    pub(crate) fn lock(&self, name: &str) -> Result<File, Error> {
        self.home.lock(name)
    }

    /// Keeps other processes from changing a file that is read, changed and written; as far as it can be locked.
    pub(crate) fn hold_for(&self, name: &str) -> Option<File> {
        self.home.lock(&format!("{name}.lock")).ok()
    }

    fn seal_held(&self, name: &str, content: &[u8]) -> Result<(), Error> {
        match self.for_keychain()? {
            Ok(secret) => self.seal_under(Place::Keychain, &secret, name, content),
            Err(fault) => {
                if !matches!(fault, KeychainFault::Off | KeychainFault::Missing) {
                    self.notify.send(&Notice::KeychainNotUsed(fault));
                }
                self.seal(name, content)
            }
        }
    }

    /// Moves these files under the secret of the keychain, or out of it, and records that in the settings. Returns true if the
    /// keychain has them now. Nothing is changed unless all can be opened.
    pub fn move_secrets(&self, on: bool, names: &[&str]) -> Result<bool, Error> {
        let vault = Self { keychain: on, asked: Arc::default(), ..self.clone() };
        let _held = vault.hold()?;
        let mut contents = Vec::new();
        for &name in names {
            contents.extend(self.open(name)?.map(|content| (name, content)));
        }
        contents.into_iter().try_for_each(|(name, content)| vault.seal_held(name, &content))?;
        Config::in_home(self.home.clone()).set_keychain(on)?;
        if on {
            return Ok(vault.keychain()?.is_ok());
        }
        // Nothing is sealed under the keychain's item any more.
        if let Err(fault) = secret::leave_keychain(&self.home)? {
            self.notify.send(&Notice::KeychainNotUsed(fault));
        }
        Ok(false)
    }

    /// Checks that the keychain can be used. Nothing is put into it.
    pub fn keychain(&self) -> Result<Result<(), KeychainFault>, Error> {
        if self.keychain { secret::look(&self.home) } else { Ok(Err(KeychainFault::Off)) }
    }

    /// Returns the path of a file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.file(name)
    }

    /// Returns true if there is such a file; it is not opened.
    pub fn holds(&self, name: &str) -> Result<bool, Error> {
        self.home.holds(name)
    }

    /// Deletes a file, if there is one.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        self.home.remove(name)
    }

    fn seal_under(&self, place: Place, secret: &Secret, name: &str, content: &[u8]) -> Result<(), Error> {
        let nonce: [u8; NONCE_LEN] = random::bytes();
        let payload = Payload { msg: content, aad: name.as_bytes() };
        let text = self.cipher(place, secret).encrypt(&XNonce::from(nonce), payload);
        let text = text.expect("a content is far shorter than the cipher's limit of 256 GiB");
        self.home.write(name, &[MAGIC, &[place as u8], &nonce, &text].concat())
    }

    /// Returns the keychain's secret, for a file that needs it.
    fn of_keychain(&self, name: &str) -> Result<Secret, Error> {
        let kept = self.asked(|| secret::kept(&self.home))?;
        kept.map_err(|fault| Error::Keychain { path: self.home.file(name), fault })
    }

    /// Returns the keychain's secret, made if there is none yet.
    fn for_keychain(&self) -> Result<Result<Secret, KeychainFault>, Error> {
        self.asked(|| secret::kept_or_new(&self.home))
    }

    /// Asks the keychain, and keeps its answer unless it fails.
    fn asked(
        &self,
        ask: impl FnOnce() -> Result<Result<Secret, KeychainFault>, Error>,
    ) -> Result<Result<Secret, KeychainFault>, Error> {
        if !self.keychain {
            return Ok(Err(KeychainFault::Off));
        }
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(secret) = &*asked {
            return Ok(Ok(secret.clone()));
        }
        let answer = ask()?;
        *asked = answer.as_ref().ok().cloned();
        Ok(answer)
    }

    fn cipher(&self, place: Place, secret: &Secret) -> XChaCha20Poly1305 {
        let salt: &[u8] = match place {
            Place::Home => b"coditect vault 1",
            Place::Keychain => b"coditect vault 2",
        };
        let mut key = Key::default();
        let derived =
            Hkdf::<Sha256>::new(Some(salt), secret.bytes()).expand(self.machine.as_str().as_bytes(), &mut key);
        derived.expect("32 bytes are less than HKDF's limit");
        XChaCha20Poly1305::new(&key)
    }
}
