//! The keyed hash under which a license key is found, and the seal under which it waits for its mail.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{hkdf, hmac};
use protocol::key::LicenseKey;
use uuid::Uuid;

use crate::config::{self, Setup};
use crate::postgres::Db;

const REHASH_REQUEST: &str = "/* license_key_rehash_request */ select license_key_rehash_request($1, $2, $3)";

/// Hashes license keys: HMAC-SHA-256 of the canonical key under a pepper that the database never sees, so that a stolen
/// table can't be searched for keys. During a rotation there are two peppers: new keys are hashed under the first, and a key
/// that is found under the second is handed over to be hashed anew, because only its use reveals the key itself.
#[derive(Clone)]
pub struct KeyHasher {
    current: Pepper,
    other: Option<Pepper>,
}

#[derive(Clone)]
struct Pepper {
    hash: hmac::Key,
    seal: [u8; 32],
}

impl std::fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyHasher")
    }
}

impl KeyHasher {
    /// Returns the hasher of this deployment.
    pub fn from_setup(setup: &mut Setup) -> Option<Self> {
        setup.required(&config::LICENSE_KEY_PEPPER, |value| {
            let (current, other) = value.split_once(',').map_or((value, None), |(one, two)| (one, Some(two)));
            Ok(Self { current: Pepper::parse(current)?, other: other.map(Pepper::parse).transpose()? })
        })
    }

    /// Returns the hash of a key, as `licenses.key_hash` holds it.
    #[must_use]
    pub fn hash(&self, key: &LicenseKey) -> [u8; 32] {
        self.current.hash(key)
    }

    /// Returns the hash of a text that was sent as a key, well formed or not, under which failed attempts are counted.
    #[must_use]
    pub fn hash_text(&self, text: &str) -> [u8; 32] {
        self.current.hash_text(text)
    }

    /// Returns the hashes under which a key may be found, in the order of the look-ups. With two peppers the first hash comes
    /// again at the end, because the key may be hashed anew between the first look-up and the second.
    #[must_use]
    pub fn hashes(&self, key: &LicenseKey) -> Vec<[u8; 32]> {
        let current = self.current.hash(key);
        self.other.as_ref().map_or_else(|| vec![current], |other| vec![current, other.hash(key), current])
    }

    /// Requests that a key be hashed anew that was found under a former pepper's hash. The outbox gets the key, sealed: a hash
    /// alone would prove nothing, and so this role may write none. If it fails, the next use requests it again; no answer
    /// depends on it.
    pub async fn request_rehash(&self, db: &Db, key: &LicenseKey, found: [u8; 32]) {
        if found != self.current.hash(key) {
            let entry = Uuid::now_v7();
            let sealed = self.seal(entry, key);
            let _ = db.outside_tenants((REHASH_REQUEST, &[&found.as_slice(), &entry, &sealed])).await;
        }
    }

    /// Encrypts a key for an entry of the outbox (AES-256-GCM under a key derived from the pepper): the one place where a key
    /// is kept that can be read again, and only until it was mailed.
    #[must_use]
    pub fn seal(&self, entry: Uuid, key: &LicenseKey) -> Vec<u8> {
        let mut bytes = key.to_string().into_bytes();
        let nonce = self.current.aead().seal_in_place_append_tag(Aad::from(entry.as_bytes()), &mut bytes);
        let nonce = nonce.expect("a key is far below the limit of AES-GCM");
        [nonce.as_ref().as_slice(), &bytes].concat()
    }

    /// Decrypts a key that was sealed for this entry; `None` if it was sealed for another one, or under an unknown pepper.
    #[must_use]
    pub fn unseal(&self, entry: Uuid, sealed: &[u8]) -> Option<String> {
        self.current.unseal(entry, sealed).or_else(|| self.other.as_ref()?.unseal(entry, sealed))
    }
}

impl Pepper {
    fn parse(value: &str) -> Result<Self, String> {
        let pepper: [u8; 32] = hex::decode(value)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| "must be 32 bytes in hex (64 digits), or two of them with a comma between".to_owned())?;
        let mut seal = [0; 32];
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]);
        let okm = salt.extract(&pepper);
        okm.expand(&[b"coditect outbox"], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut seal))
            .map_err(|_| "could not be used".to_owned())?;
        Ok(Self { hash: hmac::Key::new(hmac::HMAC_SHA256, &pepper), seal })
    }

    fn hash(&self, key: &LicenseKey) -> [u8; 32] {
        self.hash_text(&key.to_string())
    }

    fn hash_text(&self, text: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.hash, text.as_bytes());
        tag.as_ref().try_into().expect("an HMAC-SHA-256 tag has 32 bytes")
    }

    fn unseal(&self, entry: Uuid, sealed: &[u8]) -> Option<String> {
        let (nonce, bytes) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut bytes = bytes.to_vec();
        let opened = self.aead().open_in_place(nonce, Aad::from(entry.as_bytes()), &mut bytes).ok()?;
        String::from_utf8(opened.to_vec()).ok()
    }

    fn aead(&self) -> RandomizedNonceKey {
        RandomizedNonceKey::new(&AES_256_GCM, &self.seal).expect("the key has the algorithm's length")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_key_opens_for_its_entry_alone() {
        let hasher = |pepper: &str| {
            let peppers: Vec<_> = pepper.split(',').map(|p| p.repeat(32)).collect();
            let mut setup = Setup::from_variables([("LICENSE_KEY_PEPPER", peppers.join(","))]);
            KeyHasher::from_setup(&mut setup).unwrap()
        };
        let (ours, theirs) = (hasher("a1"), hasher("b2"));
        let key = LicenseKey::generate(protocol::key::Brand::Coditect, protocol::key::KeyType::Team);
        let (entry, other) = (Uuid::now_v7(), Uuid::now_v7());
        let sealed = ours.seal(entry, &key);
        assert_eq!(ours.unseal(entry, &sealed), Some(key.to_string()));
        assert_eq!(ours.unseal(other, &sealed), None);
        assert_eq!(theirs.unseal(entry, &sealed), None);
        assert_eq!(hasher("b2,a1").unseal(entry, &sealed), Some(key.to_string()), "under the former pepper too");
        assert_eq!(ours.unseal(entry, &sealed[..20]), None);
        assert_eq!(ours.unseal(entry, &[]), None);
        assert!(!sealed.windows(8).any(|w| key.to_string().as_bytes().starts_with(w)));
    }
}
