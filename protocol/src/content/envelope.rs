//! A content that only the tenant's own devices can read: `{"encrypted": {…}}` in its place.
//!
//! The cloud can't compare ciphertexts, since the same content has another one each time. So the envelope has a digest of
//! the plain content under a key that the cloud doesn't have, and the hash of an encrypted content is made of the digest
//! alone: pushing the same again is a duplicate, with whatever nonce. A client that has the tenant's key can forge a digest,
//! which harms only that tenant.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{ContentError, ContentHash};

const FIELD: &str = "encrypted";
const VERSION: u64 = 1;

/// The length of a digest in hex, and of a key's id.
const DIGEST_LEN: usize = 64;
const KEY_ID_LEN: usize = 16;
/// The length of XChaCha20's nonce in base64url without padding.
const NONCE_LEN: usize = 32;

/// Envelope that takes the place of an encrypted content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    v: u64,
    /// Id of the key: 16 hex characters.
    pub key_id: String,
    /// HMAC-SHA-256 of the plain content's canonical JSON under a key of the tenant: 64 hex characters.
    pub digest: String,
    /// The nonce of XChaCha20-Poly1305: 24 bytes in base64url without padding.
    pub nonce: String,
    /// The ciphertext with its tag, in base64url without padding.
    pub ciphertext: String,
}

impl Envelope {
    /// Makes an envelope of this version.
    pub fn new(key_id: String, digest: String, nonce: String, ciphertext: String) -> Self {
        Self { v: VERSION, key_id, digest, nonce, ciphertext }
    }

    /// Reads a content as an envelope; `None` if it is plain.
    ///
    /// # Errors
    /// If it has the field of an envelope and is none.
    pub fn of(content: &Value) -> Result<Option<Self>, ContentError> {
        match content {
            Value::Object(fields) if fields.len() == 1 => Self::in_fields(fields),
            _ => Ok(None),
        }
    }

    fn in_fields(fields: &Map<String, Value>) -> Result<Option<Self>, ContentError> {
        let Some(inside) = fields.get(FIELD) else { return Ok(None) };
        // A list of the fields' values, in order, would be taken for the object.
        let envelope =
            Self::deserialize(inside).ok().filter(|envelope| inside.is_object() && envelope.is_well_formed());
        envelope.map(Some).ok_or(ContentError::Envelope)
    }

    fn is_well_formed(&self) -> bool {
        let hex = |text: &str, len| text.len() == len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let base64 = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        self.v == VERSION
            && hex(&self.key_id, KEY_ID_LEN)
            && hex(&self.digest, DIGEST_LEN)
            && self.nonce.len() == NONCE_LEN
            && base64(&self.nonce)
            && base64(&self.ciphertext)
    }

    /// Returns the content that is sent in the plain one's place.
    pub fn into_content(self) -> Value {
        json!({ FIELD: self })
    }

    /// Returns the hash of the content: that of its digest alone.
    pub fn content_hash(&self) -> ContentHash {
        ContentHash::from_bytes(Sha256::digest(self.digest.as_bytes()).into())
    }
}
