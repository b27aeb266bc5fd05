//! Claims of each kind of token. Times are seconds since 1970, as RFC 7519 requires.

use serde::{Deserialize, Serialize};

use crate::id::{HardwareId, LicenseId, SessionId, TenantId};
use crate::wire::{Feature, Quotas, Tier, known_features};

/// The `aud` of license and validation tokens: the program on the developer's machine.
pub const LICENSE_AUDIENCE: &str = "coditect";

/// The `aud` of access tokens: our endpoints. It differs from [`LICENSE_AUDIENCE`], so that neither kind passes for the other.
pub const ACCESS_AUDIENCE: &str = "coditect-api";

/// The `typ` of a license token.
pub const LICENSE_TYPE: &str = "license";

/// The `typ` of a validation token.
pub const VALIDATION_TYPE: &str = "validation";

/// A license token: this session holds a seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LicenseClaims {
    /// The issuer, which signed the token.
    pub iss: String,
    /// The holder: a user's id, or the license's where a license key took the seat.
    pub sub: String,
    /// [`LICENSE_AUDIENCE`]
    pub aud: String,
    /// When it was signed.
    pub iat: i64,
    /// Start of its validity.
    pub nbf: i64,
    /// End of its validity.
    pub exp: i64,
    /// The token's own id.
    pub jti: String,
    /// [`LICENSE_TYPE`]
    pub typ: String,
    /// The tenant that the license belongs to.
    pub tenant_id: TenantId,
    /// The license.
    pub license_id: LicenseId,
    /// The session that holds the seat.
    pub session_id: SessionId,
    /// The machine that holds the seat.
    pub hardware_id: HardwareId,
    /// The license's tier.
    #[serde(deserialize_with = "Tier::or_other")]
    pub tier: Tier,
    /// Features of the plan.
    #[serde(deserialize_with = "known_features")]
    pub features: Vec<Feature>,
    /// Limits of the plan.
    pub quotas: Quotas,
}

/// A validation token: this machine may run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidationClaims {
    /// The issuer, which signed the token.
    pub iss: String,
    /// The license.
    pub sub: LicenseId,
    /// [`LICENSE_AUDIENCE`]
    pub aud: String,
    /// When it was signed.
    pub iat: i64,
    /// End of the grace period.
    pub exp: i64,
    /// [`VALIDATION_TYPE`]
    pub typ: String,
    /// The tenant that the license belongs to.
    pub tenant_id: TenantId,
    /// The license's tier.
    #[serde(deserialize_with = "Tier::or_other")]
    pub tier: Tier,
    /// Features of the plan.
    #[serde(deserialize_with = "known_features")]
    pub features: Vec<Feature>,
    /// Limits of the plan.
    pub quotas: Quotas,
    /// The machine.
    pub machine_id: HardwareId,
    /// When to ask the cloud again.
    pub refresh_after: i64,
}

/// An access token: the bearer showed a good license key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// The issuer, which signed the token.
    pub iss: String,
    /// The caller.
    pub sub: String,
    /// [`ACCESS_AUDIENCE`]
    pub aud: String,
    /// When it was signed.
    pub iat: i64,
    /// End of its validity.
    pub exp: i64,
    /// The tenant that the license belongs to.
    pub tenant_id: TenantId,
    /// The license.
    pub license_id: LicenseId,
    /// The license's tier.
    #[serde(deserialize_with = "Tier::or_other")]
    pub tier: Tier,
    /// The rights that it grants, as words with spaces between them.
    pub scope: String,
}
