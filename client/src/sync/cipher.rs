//! End-to-end encryption: contents that only the tenant's own devices can read.
//!
//! A content is encrypted with XChaCha20-Poly1305 under a key that is derived from the tenant's, each time with a random
//! nonce; the record's kind and id are authenticated with it, so the cloud can't pass one record's content off as another's.
//! The plaintext is `{"content": …, "project_id": …}`, followed by spaces (which JSON allows there), so that the length
//! reveals the size only roughly: at least 256 bytes, and above that at most an eighth more than needed.
//!
//! The cloud sees besides: kind, id, version, the time and device of the change, and if the record was deleted; which
//! records belong to the same project, but not to which (a keyed digest stands in its place; deletions name none); and that
//! a record's content was pushed again unchanged (the [`Envelope`]'s digest). The digest is keyed and covers kind and id, so
//! equal contents of different records don't show.
//!
//! The cloud can't read the plaintext of an envelope, and can't change it unnoticed. Everything around the envelope is
//! unprotected: the cloud can withhold a record, hand out an older version, report a record as deleted, or hand out a
//! content in clear, which is taken for one from before the tenant encrypted as long as no envelope of the key has come
//! before it (`super::content_crypto`).

pub(crate) mod export;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use local::random;
use protocol::content::{ContentHash, canonical_json};
use protocol::envelope::Envelope;
use protocol::id::{ProjectId, RecordId};
use protocol::wire::{Kind, MAX_CONTENT_BYTES};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::Sha256;

use super::tenant_key::TenantKey;

const NONCE_LEN: usize = 24;

/// Minimum length in bytes to which a plaintext is padded, so that the length of a status or a title reveals nothing.
const MIN_LEN: usize = 256;

/// The longest plaintext whose envelope is a content that the cloud takes: base64 makes four bytes of three.
const MAX_LEN: usize = (MAX_CONTENT_BYTES - 512) / 4 * 3;

/// Encrypts and decrypts with a tenant's key.
#[derive(Clone)]
pub(crate) struct Cipher {
    key_id: String,
    content: XChaCha20Poly1305,
    digest: [u8; 32],
    project: [u8; 32],
}

/// A record's content and project, as its own devices know them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plain {
    /// The content: canonical JSON, as the device that encrypted it wrote that.
    pub(crate) content: String,
    pub(crate) project_id: Option<ProjectId>,
}

/// Error of encrypting or decrypting a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CipherError {
    /// It is too large once it is encrypted.
    TooLarge,
    /// It was encrypted with another key.
    OtherKey {
        /// Id of that key.
        key_id: String,
    },
    /// It is not what was encrypted for this record.
    AuthenticationFailed,
}

/// Plaintext of an envelope.
#[derive(Serialize, Deserialize)]
struct Inside<'a> {
    #[serde(borrow)]
    content: &'a RawValue,
    project_id: Option<ProjectId>,
}

impl Cipher {
    pub(crate) fn new(key: &TenantKey) -> Self {
        Self {
            key_id: key.id(),
            content: XChaCha20Poly1305::new(&key.derive("content").into()),
            digest: key.derive("digest"),
            project: key.derive("project"),
        }
    }

    /// Returns the digest that stands in a project's place where the cloud sees it.
    pub(crate) fn project(&self, project: &ProjectId) -> ProjectId {
        let digest = mac(&self.project, &[project.as_str().as_bytes()]).finalize().into_bytes();
        ProjectId::parse(hex::encode(digest)).expect("64 hex characters are a project's id")
    }

    /// Returns the id of the key.
    pub(crate) fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Returns the hash that the cloud has for a content that is encrypted with this key.
    pub(crate) fn content_hash(&self, kind: Kind, id: &RecordId, content: &str) -> ContentHash {
        let digest = self.digest(kind, id, content.as_bytes()).finalize().into_bytes();
        Envelope::new(self.key_id.clone(), hex::encode(digest), String::new(), String::new()).content_hash()
    }

    /// Encrypts a record's content: canonical JSON.
    pub(crate) fn seal(&self, kind: Kind, id: &RecordId, plain: &Plain) -> Result<Envelope, CipherError> {
        let content = serde_json::from_str(&plain.content).map_err(|_| CipherError::AuthenticationFailed)?;
        let inside = Inside { content, project_id: plain.project_id.clone() };
        let mut text = serde_json::to_string(&inside).expect("what was just read is written");
        if text.len() > MAX_LEN {
            return Err(CipherError::TooLarge);
        }
        let padding = padded(text.len()).min(MAX_LEN) - text.len();
        text.extend(std::iter::repeat_n(' ', padding));
        let nonce: [u8; NONCE_LEN] = random::bytes();
        let payload = Payload { msg: text.as_bytes(), aad: &bound(kind, id) };
        let ciphertext = self.content.encrypt(&XNonce::from(nonce), payload);
        let ciphertext = ciphertext.expect("a content is far shorter than the cipher's limit of 256 GiB");
        let digest = self.digest(kind, id, plain.content.as_bytes()).finalize().into_bytes();
        Ok(Envelope::new(
            self.key_id.clone(),
            hex::encode(digest),
            BASE64_URL_SAFE_NO_PAD.encode(nonce),
            BASE64_URL_SAFE_NO_PAD.encode(ciphertext),
        ))
    }

    /// Decrypts a record's content.
    pub(crate) fn open(&self, kind: Kind, id: &RecordId, envelope: &Envelope) -> Result<Plain, CipherError> {
        if envelope.key_id != self.key_id {
            return Err(CipherError::OtherKey { key_id: envelope.key_id.clone() });
        }
        let decoded = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| CipherError::AuthenticationFailed);
        let nonce: [u8; NONCE_LEN] =
            decoded(&envelope.nonce)?.try_into().map_err(|_| CipherError::AuthenticationFailed)?;
        let payload = Payload { msg: &decoded(&envelope.ciphertext)?, aad: &bound(kind, id) };
        let text =
            self.content.decrypt(&XNonce::from(nonce), payload).map_err(|_| CipherError::AuthenticationFailed)?;
        let inside: Inside<'_> = serde_json::from_slice(&text).map_err(|_| CipherError::AuthenticationFailed)?;
        let content = inside.content.get();
        // The cloud distinguishes contents by the digest, so another one would hide a change, or make one up. It is of the
        // text as it was encrypted: another version of this program may write the same numbers otherwise.
        let digest = hex::decode(&envelope.digest).map_err(|_| CipherError::AuthenticationFailed)?;
        self.digest(kind, id, content.as_bytes())
            .verify_slice(&digest)
            .map_err(|_| CipherError::AuthenticationFailed)?;
        // A holder of the key may have written something that a record can't be.
        let value: Value = serde_json::from_str(content).map_err(|_| CipherError::AuthenticationFailed)?;
        canonical_json(&value).map_err(|_| CipherError::AuthenticationFailed)?;
        Ok(Plain { content: content.to_owned(), project_id: inside.project_id })
    }

    fn digest(&self, kind: Kind, id: &RecordId, content: &[u8]) -> Hmac<Sha256> {
        mac(&self.digest, &[kind.as_str().as_bytes(), id.as_str().as_bytes(), content])
    }
}

impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cipher").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// Returns the associated data of a ciphertext. With its length before each part, no two records come to the same.
fn bound(kind: Kind, id: &RecordId) -> Vec<u8> {
    let mut bound = b"coditect record 1".to_vec();
    for part in [kind.as_str(), id.as_str()] {
        bound.extend((part.len() as u64).to_le_bytes());
        bound.extend(part.as_bytes());
    }
    bound
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part);
    }
    mac
}

/// Returns the next length whose binary digits behind the first four are zeros: eight for each doubling, so that the size of
/// the plaintext shows to about an eighth.
fn padded(len: usize) -> usize {
    let len = len.max(MIN_LEN);
    let step = 1 << len.ilog2().saturating_sub(3);
    len.next_multiple_of(step)
}

#[cfg(test)]
mod tests;
