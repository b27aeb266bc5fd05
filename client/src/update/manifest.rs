//! The signed manifest, and the public keys that verify it.

use std::collections::BTreeMap;
use std::env::consts::{ARCH, OS};

use jiff::Timestamp;
use local::environment;
use minisign_verify::{PublicKey, Signature};
use semver::Version;
use serde::Deserialize;

use crate::{Address, Error, UpdateError};

/// The purpose that a manifest states, so that nothing else that is signed with the same key passes for one.
const PURPOSE: &str = "coditect-update";

/// Largest size of a program, in bytes.
const MAX_SIZE: u64 = 64 * 1024 * 1024;

/// Public keys of which one must have signed. There are two during a rotation of keys.
#[derive(Debug)]
pub(super) struct Keys(Vec<PublicKey>);

impl Keys {
    /// Returns the keys of this build, if it has any; in builds for tests, that of the environment instead.
    pub(super) fn built_in() -> Result<Option<Self>, UpdateError> {
        let Some(text) = environment::update_key() else { return Ok(None) };
        let keys = text.split_whitespace().map(PublicKey::from_base64).collect::<Result<_, _>>();
        keys.map(|keys| Some(Self(keys))).map_err(|_| UpdateError::BadKey)
    }

    /// Verifies that one of the keys has signed this.
    pub(super) fn check(&self, signed: &[u8], signature: &[u8]) -> Result<(), UpdateError> {
        let signature = std::str::from_utf8(signature).ok().and_then(|text| Signature::decode(text).ok());
        let signature = signature.ok_or(UpdateError::Unsigned)?;
        let good = self.0.iter().any(|key| key.verify(signed, &signature, false).is_ok());
        if good { Ok(()) } else { Err(UpdateError::Unsigned) }
    }
}

/// Manifest of the newest version.
#[derive(Debug, Deserialize)]
pub(super) struct Manifest {
    purpose: String,
    /// The time from which it is rejected, so that an attacker can't hold updates back for longer.
    expires_at: Timestamp,
    #[serde(deserialize_with = "version")]
    pub(super) version: Version,
    pub(super) released_at: Timestamp,
    targets: BTreeMap<String, ReleasedFile>,
}

/// A program in the manifest.
#[derive(Debug, Deserialize)]
pub(super) struct ReleasedFile {
    /// An address, or a file beside the manifest.
    url: String,
    /// In hex.
    pub(super) sha256: String,
    /// In bytes.
    pub(super) size: u64,
}

impl Manifest {
    /// Parses signed text, if it is a manifest that is still valid.
    pub(super) fn parse(text: &[u8], now: Timestamp) -> Result<Self, UpdateError> {
        let manifest: Self =
            serde_json::from_slice(text).map_err(|cause| UpdateError::Unreadable { cause: cause.to_string() })?;
        if manifest.purpose != PURPOSE {
            return Err(UpdateError::Unreadable { cause: "it was signed for another purpose".to_owned() });
        }
        if manifest.expires_at <= now {
            return Err(UpdateError::Expired { at: manifest.expires_at });
        }
        Ok(manifest)
    }

    /// Returns the program for this system.
    pub(super) fn file(&self) -> Result<&ReleasedFile, UpdateError> {
        let target = format!("{OS}-{ARCH}");
        let Some(file) = self.targets.get(&target) else { return Err(UpdateError::NoFile { target }) };
        if file.size > MAX_SIZE {
            return Err(UpdateError::TooLong { url: file.url.clone() });
        }
        Ok(file)
    }
}

impl ReleasedFile {
    pub(super) fn address(&self, manifest: &Address) -> Result<Address, Error> {
        if self.url.contains("://") {
            return self.url.parse();
        }
        // Relative, so that a mirror can hold the same signed manifest.
        let folder = manifest.as_str().rsplit_once('/').map_or(manifest.as_str(), |(folder, _)| folder);
        format!("{folder}/{}", self.url).parse()
    }
}

fn version<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Version, D::Error> {
    let text = String::deserialize(deserializer)?;
    Version::parse(&text).map_err(serde::de::Error::custom)
}
