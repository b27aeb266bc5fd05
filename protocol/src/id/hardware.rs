//! Id of a machine, made of its stable hardware facts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// SHA-256 of a machine's stable hardware facts, as 64 lowercase hex characters. On the wire also called `machine_id`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(
    value_type = String, pattern = "^[0-9A-Fa-f]{64}$", min_length = 64, max_length = 64,
    example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
))]
pub struct HardwareId(String);

impl HardwareId {
    /// Number of hex characters.
    pub const LEN: usize = 64;

    /// Returns the id of the machine with these facts.
    pub fn of(facts: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(facts)))
    }

    /// Parses 64 hex characters of any case.
    pub fn parse(text: &str) -> Result<Self, HardwareIdError> {
        if text.len() != Self::LEN || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(HardwareIdError);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// Returns the 64 lowercase hex characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HardwareId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HardwareId {
    type Err = HardwareIdError;

    fn from_str(text: &str) -> Result<Self, HardwareIdError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for HardwareId {
    type Error = HardwareIdError;

    fn try_from(text: String) -> Result<Self, HardwareIdError> {
        Self::parse(&text)
    }
}

impl From<HardwareId> for String {
    fn from(id: HardwareId) -> Self {
        id.0
    }
}

/// The text is not a machine's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HardwareIdError;

impl fmt::Display for HardwareIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("A machine's id is 64 hex characters: the SHA-256 of its hardware facts. Send all of them, and nothing else.")
    }
}

impl std::error::Error for HardwareIdError {}
