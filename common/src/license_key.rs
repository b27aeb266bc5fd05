//! The keyed hash under which a license key is found.

use aws_lc_rs::hmac;
use protocol::key::LicenseKey;

use crate::config::{self, Setup};

/// Hashes license keys: HMAC-SHA-256 of the canonical key under a pepper that the database never sees, so that a stolen
/// table can't be searched for keys.
#[derive(Clone)]
pub struct KeyHasher(hmac::Key);

impl std::fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyHasher")
    }
}

impl KeyHasher {
    /// The hasher of this deployment.
    pub fn ask(setup: &mut Setup) -> Option<Self> {
        setup.required(&config::LICENSE_KEY_PEPPER, |value| {
            let pepper: [u8; 32] = hex::decode(value)
                .ok()
                .and_then(|bytes| bytes.try_into().ok())
                .ok_or_else(|| "must be 32 bytes in hex (64 digits)".to_owned())?;
            Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &pepper)))
        })
    }

    /// The hash of a key, as `licenses.key_hash` holds it.
    #[must_use]
    pub fn hash(&self, key: &LicenseKey) -> [u8; 32] {
        let tag = hmac::sign(&self.0, key.to_string().as_bytes());
        tag.as_ref().try_into().expect("an HMAC-SHA-256 tag has 32 bytes")
    }
}
