//! Canonical JSON (RFC 8785) of a record's content, whatever its spelling, and its hash.

pub mod envelope;
mod spelling;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use envelope::Envelope;

pub use spelling::is_canonical_object;

/// Maximum nesting depth of arrays and objects.
pub const MAX_DEPTH: usize = 64;

/// The largest whole number that canonical JSON distinguishes from its neighbors; with a minus before it, the smallest.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// SHA-256 of canonical JSON; 64 lowercase hex characters on the wire. Equal content has equal hashes, however it was written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(
    value_type = String, pattern = "^[0-9a-f]{64}$", min_length = 64, max_length = 64,
    example = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
))]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// Returns the hash of a content; of an encrypted one, that of its [`Envelope`].
    pub fn of(content: &Value) -> Result<Self, ContentError> {
        Ok(match Envelope::of(content)? {
            Some(envelope) => envelope.content_hash(),
            None => Self::of_canonical(&canonical_json(content)?),
        })
    }

    /// Returns the hash of a plain content that [`canonical_json`] wrote.
    pub fn of_canonical(json: &[u8]) -> Self {
        Self(Sha256::digest(json).into())
    }

    /// Returns the hash that a database row holds.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bare hash, for the database.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Returns the canonical form of a content, or an error if it has none that distinguishes it from every other content.
pub fn canonical_json(content: &Value) -> Result<Vec<u8>, ContentError> {
    let canonical = if check(content, 0)? {
        serde_json::to_vec(content).map_err(drop)
    } else {
        serde_json_canonicalizer::to_vec(content).map_err(drop)
    };
    // Numbers that are not finite, and keys that are not text, cannot occur in a `Value`.
    canonical.map_err(|()| ContentError::Number)
}

/// Returns true if serde's own output is canonical already, which takes a fifth of the time: it escapes as RFC 8785 does, but
/// writes fractions otherwise, and sorts names by their UTF-8, which is another order where one is beyond the first 65,536
/// characters.
fn check(value: &Value, depth: usize) -> Result<bool, ContentError> {
    let both = |so_far, value| Ok(check(value, depth + 1)? && so_far);
    match value {
        Value::Array(_) | Value::Object(_) if depth == MAX_DEPTH => Err(ContentError::Depth),
        Value::Array(items) => items.iter().try_fold(true, both),
        Value::Object(fields) => fields.iter().try_fold(true, |so_far, (name, value)| {
            if name.contains('\0') {
                return Err(ContentError::Nul);
            }
            both(so_far && name.chars().all(|char| char < '\u{10000}'), value)
        }),
        Value::String(text) if text.contains('\0') => Err(ContentError::Nul),
        // In any notation: from here on every number is whole, and different ones read alike.
        Value::Number(number) if number.as_f64().is_none_or(|number| number.abs() > MAX_INTEGER as f64) => {
            Err(ContentError::Number)
        }
        Value::Number(number) => Ok(!number.is_f64()),
        _ => Ok(true),
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

impl FromStr for ContentHash {
    type Err = ContentHashError;

    fn from_str(text: &str) -> Result<Self, ContentHashError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ContentHashError)?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for ContentHash {
    type Error = ContentHashError;

    fn try_from(text: String) -> Result<Self, ContentHashError> {
        text.parse()
    }
}

impl From<ContentHash> for String {
    fn from(hash: ContentHash) -> Self {
        hash.to_string()
    }
}

/// The text is not a content hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentHashError;

impl fmt::Display for ContentHashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("A content hash is 64 hex characters: the SHA-256 of the content's canonical JSON.")
    }
}

impl std::error::Error for ContentHashError {}

/// Why a content has no canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentError {
    /// A number beyond ±(2^53 − 1).
    Number,
    /// More than [`MAX_DEPTH`] arrays and objects inside each other.
    Depth,
    /// A text with the character U+0000, which many programs take for its end.
    Nul,
    /// It has the field of an encrypted content, which is no valid [`Envelope`].
    Envelope,
}

impl fmt::Display for ContentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => {
                "The content has a number beyond 9007199254740991 (2^53 - 1), which cannot be told from its neighbors. \
                 Send it as a string."
            }
            Self::Depth => "The content is nested more than 64 deep. Flatten it.",
            Self::Nul => "The content has a text with the character U+0000. Leave it out.",
            Self::Envelope => {
                "The content has the one field `encrypted`, but what is in it is no envelope of version 1. Update the client \
                 that encrypted it, or name the field otherwise."
            }
        })
    }
}

impl std::error::Error for ContentError {}
