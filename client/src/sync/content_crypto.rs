//! Form in which contents travel, on a machine with the tenant's key and on one without.
//!
//! The tables and the queue hold contents in plain; they are encrypted when they leave and decrypted when they arrive. A
//! content that can't be decrypted is kept as it came, *locked*: it takes part in the sync like everything else, is shown as
//! locked, and is opened when the key is imported.
//!
//! A machine that knows that the tenant encrypts, and hasn't the key, sends no content at all: the cloud would refuse it,
//! but it would have read it.
//!
//! A content that arrives in clear on a machine with the key is encrypted and sent again as long as no envelope of the key
//! stood before it in the stream: the tenant is switching over. The cloud refuses contents in clear from the first envelope
//! on, so one that comes behind it was let in by the cloud, or by an operator who has turned encryption off: it is kept as
//! it came, reported, and not encrypted as if the tenant had written it.

use std::fmt;

use local::context::{Waiting, locked};
use local::vault::Vault;
use protocol::content::ContentHash;
use protocol::id::{ProjectId, RecordId};
use protocol::wire::{Kind, Record};

use super::cipher::{Cipher, CipherError, Plain};
use super::tenant_key::{self, TenantKey};
use crate::Error;

/// Encrypts what leaves and decrypts what arrives, if there is a key.
#[derive(Clone, Debug)]
pub(crate) struct ContentCrypto {
    cipher: Option<Cipher>,
    /// The key that the tenant encrypts with, as far as is known.
    tenant_key_id: Option<String>,
}

/// A change as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutgoingContent {
    /// JSON; `null` for a deletion.
    pub(crate) content: String,
    /// The hash that the cloud will have for it.
    pub(crate) content_hash: ContentHash,
    pub(crate) project_id: Option<ProjectId>,
}

/// A record as it is kept here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IncomingContent {
    /// JSON: in plain, or locked as it came.
    pub(crate) content: String,
    pub(crate) project_id: Option<ProjectId>,
    pub(crate) state: ContentState,
}

/// State of a record on arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentState {
    /// In clear, as everything is without a key.
    Plaintext,
    /// In clear from before the tenant encrypted, and there is a key: it must be sent again.
    PlaintextToEncrypt,
    /// In clear although the tenant encrypted already.
    UnexpectedPlaintext,
    /// Encrypted, and it was opened.
    Decrypted,
    /// Encrypted with a key that isn't here.
    KeyMissing,
    /// The content claims to be encrypted with the key that is here, and isn't the one that was encrypted for this record.
    AuthenticationFailed,
}

/// Reason why a content can't leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EncryptError {
    /// It is too large once it is encrypted.
    TooLarge,
    /// The tenant encrypts, with a key that isn't here.
    NoKey,
}

impl fmt::Display for EncryptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            // A little less than what base64 makes 256 KiB of.
            Self::TooLarge => "The content is too large to be encrypted: 190 KiB are the most. Make it shorter.",
            Self::NoKey => {
                "Your organization encrypts its context. Import the key: `coditect sync keys import FILE`. Until then, no \
                 content leaves this machine."
            }
        })
    }
}

impl ContentCrypto {
    /// Takes the key in a vault, if there is one, and the known id of the tenant's key.
    pub(crate) fn of(vault: &Vault, tenant_key_id: Option<String>) -> Result<Self, Error> {
        Ok(Self { tenant_key_id, ..Self::with(tenant_key::read(vault)?.as_ref()) })
    }

    fn with(key: Option<&TenantKey>) -> Self {
        Self { cipher: key.map(Cipher::new), tenant_key_id: None }
    }

    /// Returns true if there is a key.
    pub(crate) fn has_key(&self) -> bool {
        self.cipher.is_some()
    }

    /// Returns true if the tenant encrypts with a key that isn't here.
    pub(crate) fn lacks_key(&self) -> bool {
        let here = self.cipher.as_ref().map(Cipher::key_id);
        self.tenant_key_id.is_some() && self.tenant_key_id.as_deref() != here
    }

    /// Converts a change to the form in which it travels.
    pub(crate) fn seal(&self, change: &Waiting) -> Result<OutgoingContent, EncryptError> {
        let plain = || OutgoingContent {
            content: change.content.clone(),
            content_hash: change.content_hash,
            project_id: change.project_id.clone(),
        };
        // A locked content travels as it came, so that a cloud that has lost it can get it back.
        if let Some(envelope) = locked(&change.content) {
            return Ok(OutgoingContent { content_hash: envelope.content_hash(), ..plain() });
        }
        if !change.deleted && self.lacks_key() {
            return Err(EncryptError::NoKey);
        }
        let Some(cipher) = &self.cipher else { return Ok(plain()) };
        if change.deleted {
            // A deleted record belongs to no project.
            return Ok(OutgoingContent { project_id: None, ..plain() });
        }
        let secret = Plain { content: change.content.clone(), project_id: change.project_id.clone() };
        let envelope = cipher.seal(change.kind, &change.id, &secret).map_err(|_| EncryptError::TooLarge)?;
        Ok(OutgoingContent {
            content_hash: envelope.content_hash(),
            content: envelope.into_content().to_string(),
            project_id: change.project_id.as_ref().map(|project| cipher.project(project)),
        })
    }

    /// Converts a record to the form in which it is kept. No record that arrives can block those after it.
    ///
    /// `before` is the key of the last envelope before it in the stream, and is brought up to date.
    pub(crate) fn open(&self, record: &Record, before: &mut Option<String>) -> IncomingContent {
        let mut incoming = self.open_content(record.kind, &record.id, record.content.get(), record.project_id.as_ref());
        let here = self.cipher.as_ref().map(Cipher::key_id);
        match incoming.state {
            ContentState::Decrypted => *before = here.map(str::to_owned),
            // A machine with a key considers only that one: envelopes of others may be from before it.
            ContentState::KeyMissing if here.is_none() => {
                *before = locked(&incoming.content).map(|envelope| envelope.key_id)
            }
            ContentState::Plaintext if !record.deleted && record.kind.is_pushed() => {
                let encrypts = match here {
                    Some(here) => before.as_deref() == Some(here),
                    None => before.is_some() && self.tenant_key_id.is_some(),
                };
                incoming.state = match here {
                    _ if encrypts => ContentState::UnexpectedPlaintext,
                    Some(_) => ContentState::PlaintextToEncrypt,
                    None => ContentState::Plaintext,
                };
            }
            _ => {}
        }
        incoming
    }

    /// Decrypts a content that a record has, or had; kept as it came, where it can't be opened.
    pub(crate) fn open_content(
        &self,
        kind: Kind,
        id: &RecordId,
        content: &str,
        project_id: Option<&ProjectId>,
    ) -> IncomingContent {
        let kept = |state| IncomingContent { content: content.to_owned(), project_id: project_id.cloned(), state };
        let Some(envelope) = locked(content) else { return kept(ContentState::Plaintext) };
        let Some(cipher) = &self.cipher else { return kept(ContentState::KeyMissing) };
        match cipher.open(kind, id, &envelope) {
            Ok(Plain { content, project_id }) => {
                IncomingContent { content, project_id, state: ContentState::Decrypted }
            }
            Err(CipherError::OtherKey { .. }) => kept(ContentState::KeyMissing),
            Err(CipherError::AuthenticationFailed | CipherError::TooLarge) => kept(ContentState::AuthenticationFailed),
        }
    }
}

#[cfg(test)]
mod tests;
