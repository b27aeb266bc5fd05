//! `POST /api/v1/auth/license`, `POST /api/v1/auth/claim` and `GET /api/v1/public-key`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Tier, words};
use crate::id::{HardwareId, TenantId, UserId};
use crate::key::{self, KeyError, LicenseKey};

/// A text that was sent as a license key. Not yet parsed, because a mistyped key is no malformed request and gets an answer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(
    value_type = String, format = Password, max_length = 512, example = "CODITECT-PRO-A7F3E9D2C4B1-8F2A"
))]
pub struct UnverifiedKey(String);

impl UnverifiedKey {
    /// Maximum length in characters.
    pub const MAX_CHARS: usize = key::MAX_INPUT_LEN;

    /// Returns the text as it was sent. A secret: not for logs.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Parses the license key; the error names the mistake.
    pub fn parse(&self) -> Result<LicenseKey, KeyError> {
        LicenseKey::parse(&self.0)
    }
}

impl fmt::Debug for UnverifiedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnverifiedKey(…)")
    }
}

impl TryFrom<String> for UnverifiedKey {
    type Error = UnverifiedKeyError;

    fn try_from(text: String) -> Result<Self, UnverifiedKeyError> {
        if text.chars().nth(Self::MAX_CHARS).is_some() { Err(UnverifiedKeyError) } else { Ok(Self(text)) }
    }
}

impl From<UnverifiedKey> for String {
    fn from(key: UnverifiedKey) -> Self {
        key.0
    }
}

impl From<&LicenseKey> for UnverifiedKey {
    fn from(key: &LicenseKey) -> Self {
        Self(key.to_string())
    }
}

/// The text is longer than any license key with what a mail program does to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnverifiedKeyError;

impl fmt::Display for UnverifiedKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("A license key has at most 512 characters here. Send only the key.")
    }
}

impl std::error::Error for UnverifiedKeyError {}

/// Exchanges a license key for an access token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthRequest {
    /// The key.
    pub license_key: UnverifiedKey,
    /// The machine that asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_id: Option<HardwareId>,
}

/// An access token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthAnswer {
    /// The token, to be sent as `Authorization: Bearer`.
    #[cfg_attr(feature = "openapi", schema(example = "eyJhbGciOiJSUzI1NiIsImtpZCI6…"))]
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: TokenType,
    /// Seconds until it expires.
    #[cfg_attr(feature = "openapi", schema(example = 3600))]
    pub expires_in: u64,
    /// The tenant that the license belongs to.
    pub tenant_id: TenantId,
    /// The license's tier.
    #[serde(deserialize_with = "Tier::or_other")]
    pub tier: Tier,
}

/// The membership of a person who confirmed a purchase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClaimAnswer {
    /// The organization that the purchase made.
    pub tenant_id: TenantId,
    /// The person as its user.
    pub user_id: UserId,
}

words! {
    /// The way an access token is sent.
    TokenType {
        /// In the `Authorization` header.
        Bearer = "Bearer",
    }
}

/// The key that signs at the moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublicKeyAnswer {
    /// Its name, as in the header of the tokens it signs.
    #[cfg_attr(feature = "openapi", schema(example = "2026-11"))]
    pub kid: String,
    /// Its signing algorithm.
    pub alg: SigningAlgorithm,
    /// The public half, as `-----BEGIN PUBLIC KEY-----`.
    #[cfg_attr(
        feature = "openapi",
        schema(example = "-----BEGIN PUBLIC KEY-----\nMIICIjANBgkqh…\n-----END PUBLIC KEY-----\n")
    )]
    pub public_key_pem: String,
}

words! {
    /// The algorithm that signs tokens.
    SigningAlgorithm {
        /// RSASSA-PKCS1-v1_5 with SHA-256.
        Rs256 = "RS256",
    }
}
