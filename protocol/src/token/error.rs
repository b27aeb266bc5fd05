//! Why a token, or a key, is refused.

use std::fmt;

/// Why a token is refused. The sentences are for the person whose token it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// Not a token, or one without a claim that it must have.
    Malformed,
    /// Signed with anything but RS256, or not at all.
    Algorithm,
    /// Signed by a key that is not known, or no longer.
    UnknownKey {
        /// The key's name in the token; empty if it names none.
        kid: String,
    },
    /// The signature is not this key's on this text.
    Signature,
    /// It has expired.
    Expired,
    /// Its time has not come, or this machine's clock is behind.
    NotYetValid,
    /// It is from another issuer.
    Issuer,
    /// It is for another audience.
    Audience,
    /// It is of another kind.
    Type,
    /// It is for another machine.
    Device,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = match self {
            Self::Malformed => "This is not a complete token. Sign in again to get a new one.",
            Self::Algorithm => "The token is not signed with RS256. Only tokens that are can be trusted.",
            Self::UnknownKey { kid } => {
                // The name comes from an unchecked token; a person needs no more than its beginning.
                let kid: String = kid.chars().take(64).collect();
                return write!(
                    f,
                    "The token is signed by a key that is not known here ({kid:?}). \
                     Fetch the issuer's current keys, or sign in again."
                );
            }
            Self::Signature => "The token's signature is not its issuer's. Sign in again to get a new one.",
            Self::Expired => "The token has expired. Get a new one.",
            Self::NotYetValid => "The token is not valid yet. Check that this machine's clock is right.",
            Self::Issuer => "The token comes from another issuer. Use one from the service that you are calling.",
            Self::Audience => "The token is meant for another service. Use one that was issued for this one.",
            Self::Type => "The token is of another kind. Use the one that was issued for this purpose.",
            Self::Device => "The token was issued for another machine. Get one on this machine.",
        };
        f.write_str(sentence)
    }
}

impl std::error::Error for TokenError {}

/// Why a public key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// Not a PEM of a public key.
    Pem,
    /// A public key, but not RSA.
    NotRsa,
    /// A modulus under 2048 or over 8192 bits, or an exponent that is even or has more than 4 bytes.
    Size,
    /// A JWK whose modulus or exponent cannot be read.
    Jwk,
}

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pem => "This is not a public key. It must begin with -----BEGIN PUBLIC KEY----- and be whole.",
            Self::NotRsa => "This public key is not an RSA key. Tokens are signed with RSA only.",
            Self::Size => {
                "This RSA key is not usable: it must have 2048 to 8192 bits and an odd exponent of at most 4 bytes."
            }
            Self::Jwk => "This JWK's modulus or exponent is not base64url.",
        })
    }
}

impl std::error::Error for KeyFault {}
