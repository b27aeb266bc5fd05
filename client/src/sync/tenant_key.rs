//! A tenant's key, and the keys that are derived from it.

use hkdf::Hkdf;
use local::random;
use local::vault::Vault;
use sha2::{Digest, Sha256};

use crate::{Error, KeysError};

/// The sealed file with the key.
pub(crate) const FILE: &str = "tenant-key";

/// The length of a key.
pub(crate) const KEY_LEN: usize = 32;

/// The secret that all of a tenant's devices share, and the cloud never has.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TenantKey([u8; KEY_LEN]);

impl TenantKey {
    /// Makes a new random key.
    pub(crate) fn generate() -> Self {
        Self(random::bytes())
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// Returns the key's id for the cloud and for people: 16 hex characters that reveal nothing of the key.
    pub(crate) fn id(&self) -> String {
        self.name()[..16].to_owned()
    }

    /// Returns a longer id, for people who compare two devices' keys.
    pub(crate) fn fingerprint(&self) -> String {
        let name = self.name();
        let groups: Vec<&str> = (0..32).step_by(4).map(|at| &name[at..at + 4]).collect();
        groups.join(" ")
    }

    /// Derives a key for one purpose, which reveals nothing of those for others.
    pub(super) fn derive(&self, purpose: &str) -> [u8; KEY_LEN] {
        let mut key = [0; KEY_LEN];
        let derived = Hkdf::<Sha256>::new(Some(b"coditect context 1"), &self.0).expand(purpose.as_bytes(), &mut key);
        derived.expect("32 bytes are less than HKDF's limit");
        key
    }

    fn name(&self) -> String {
        hex::encode(Sha256::digest(self.derive("name")))
    }
}

impl std::fmt::Debug for TenantKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TenantKey({})", self.id())
    }
}

/// Reads the key from a vault.
pub(crate) fn read(vault: &Vault) -> Result<Option<TenantKey>, Error> {
    let bytes = match vault.open(FILE) {
        Err(Error::Sealed { path }) => return Err(KeysError::Unreadable { path }.into()),
        other => other?,
    };
    let Some(bytes) = bytes else { return Ok(None) };
    let path = || vault.path(FILE);
    TenantKey::from_bytes(&bytes).map(Some).ok_or_else(|| KeysError::Unreadable { path: path() }.into())
}
