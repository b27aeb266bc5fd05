//! Errors of signing.

use std::fmt;

/// Why a token could not be signed, or the public key not be shown.
#[derive(Debug, Clone)]
pub enum SigningError {
    /// The key's keeper can't be reached, or doesn't answer in time. Worth another try.
    Unavailable(String),
    /// The key version is disabled, or about to be destroyed. Worth another try once an operator has enabled it, and not before.
    Disabled(String),
    /// The keeper refuses: no such key, or no right to it.
    Refused(String),
    /// An answer was damaged on its way, again and again.
    Corrupt(String),
    /// The key is not one that signs our tokens.
    Unusable(String),
}

impl fmt::Display for SigningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) => write!(f, "the signing key can't be reached: {why}"),
            Self::Disabled(why) => write!(f, "the signing key has to be enabled: {why}"),
            Self::Refused(why) => write!(f, "the use of the signing key was refused: {why}"),
            Self::Corrupt(why) => write!(f, "the answer about the signing key was damaged: {why}"),
            Self::Unusable(why) => write!(f, "the signing key can't be used: {why}"),
        }
    }
}

impl std::error::Error for SigningError {}
