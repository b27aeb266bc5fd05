//! What is kept sealed: XChaCha20-Poly1305 under a key derived from a random secret beside it and this machine's id.
//!
//! It protects what is copied off the machine: a backup, a home folder on a server, a stolen file. Neither the file nor the
//! whole folder opens elsewhere, unless the machine's id was copied too, or is itself kept in the folder (where the
//! operating system gives none). And whatever was changed by accident, or by somebody without the secret, is noticed. It
//! does not protect from whoever is this user, or root, on this machine: they can run this program, so they can open what
//! it opens, and put back an older copy of a file.

use std::path::PathBuf;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use protocol::id::HardwareId;
use sha2::Sha256;

use crate::home::Home;
use crate::{Error, random};

const SECRET: &str = "secret";
const SECRET_LEN: usize = 32;
const NONCE_LEN: usize = 24;

/// What a sealed file begins with; the last byte is the version of all of this.
const MAGIC: &[u8] = b"coditect\x01";

/// Files that only this user on this machine can open.
#[derive(Clone, Debug)]
pub(crate) struct Vault {
    home: Home,
    machine: HardwareId,
}

impl Vault {
    pub(crate) fn new(home: Home, machine: HardwareId) -> Self {
        Self { home, machine }
    }

    /// A file's content; none where there is no file.
    pub(crate) fn open(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some(file) = self.home.read(name)? else { return Ok(None) };
        let sealed = || Error::Sealed { path: self.home.file(name) };
        let secret = self.home.read(SECRET)?.ok_or_else(sealed)?;
        let body = file.strip_prefix(MAGIC).ok_or_else(sealed)?;
        let (nonce, text) = body.split_first_chunk::<NONCE_LEN>().ok_or_else(sealed)?;
        let payload = Payload { msg: text, aad: name.as_bytes() };
        self.cipher(&secret).decrypt(&XNonce::from(*nonce), payload).map(Some).map_err(|_| sealed())
    }

    /// Seals a content under its file's name, so that one sealed file cannot be put in another's place.
    pub(crate) fn seal(&self, name: &str, content: &[u8]) -> Result<(), Error> {
        let secret = self.secret()?;
        let nonce: [u8; NONCE_LEN] = random::bytes();
        let payload = Payload { msg: content, aad: name.as_bytes() };
        let text = self.cipher(&secret).encrypt(&XNonce::from(nonce), payload);
        let text = text.expect("a content is far shorter than the cipher's limit of 256 GiB");
        self.home.write(name, &[MAGIC, &nonce, &text].concat())
    }

    /// Whether there is such a file, as far as one can see without opening it.
    pub(crate) fn holds(&self, name: &str) -> bool {
        self.home.file(name).exists()
    }

    /// Where a file is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.file(name)
    }

    /// Deletes a file, if there is one.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        self.home.remove(name)
    }

    fn secret(&self) -> Result<Vec<u8>, Error> {
        if let Some(secret) = self.home.read(SECRET)? {
            return Ok(secret);
        }
        // Another process may do the same at this moment; whoever comes second uses the first one's.
        self.home.write_new(SECRET, &random::bytes::<SECRET_LEN>())?;
        self.home.read(SECRET)?.ok_or_else(|| Error::Sealed { path: self.home.file(SECRET) })
    }

    fn cipher(&self, secret: &[u8]) -> XChaCha20Poly1305 {
        let mut key = Key::default();
        let derived =
            Hkdf::<Sha256>::new(Some(b"coditect vault 1"), secret).expand(self.machine.as_str().as_bytes(), &mut key);
        derived.expect("32 bytes are less than HKDF's limit");
        XChaCha20Poly1305::new(&key)
    }
}
