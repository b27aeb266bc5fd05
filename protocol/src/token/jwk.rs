//! Public keys as JSON (RFC 7517).

use serde::{Deserialize, Serialize};

/// A public key. The fields of keys that are not RSA are left out when read, so that an issuer may have those too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Jwk {
    /// `RSA`
    #[cfg_attr(feature = "openapi", schema(example = "RSA"))]
    pub kty: String,
    /// Its name, as in the header of the tokens it signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, example = "2026-11"))]
    pub kid: Option<String>,
    /// `RS256`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, example = "RS256"))]
    pub alg: Option<String>,
    /// `sig`
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, example = "sig"))]
    pub usage: Option<String>,
    /// The modulus, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, example = "0vx7agoebGcQSuuPiLJXZptN9nndrQmb…"))]
    pub n: Option<String>,
    /// The exponent, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, example = "AQAB"))]
    pub e: Option<String>,
}

/// All keys that are still valid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Jwks {
    /// The keys.
    pub keys: Vec<Jwk>,
}
