//! License, validation and access tokens, and enterprise licenses: JWTs signed with RS256, and their complete offline check.
//!
//! A check has this order, and stops at the first thing that is wrong: size and shape → algorithm (only RS256, before any key
//! is looked at) → key → signature → issuer → audience → type → times → claims → device. The caller passes the time.
//!
//! The arithmetic is `jsonwebtoken`'s, and each binary chooses its cryptographic library, once, at its start:
//! `jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default()` in the cloud, one on `ring` in the client. Without
//! that, the first check of a signature panics, unless exactly one of the two is compiled in.

mod claims;
mod der;
mod enterprise;
mod error;
mod jwk;
mod key_set;
mod public_key;
mod verify;

pub use claims::{
    ACCESS_AUDIENCE, AccessClaims, LICENSE_AUDIENCE, LICENSE_TYPE, LicenseClaims, VALIDATION_TYPE, ValidationClaims,
};
pub use enterprise::{
    ENTERPRISE_AUDIENCE, ENTERPRISE_ISSUER, ENTERPRISE_TYPE, EnterpriseClaims, EnterpriseLicense, LicenseFileError,
    PERPETUAL, armour, read_enterprise_license,
};
pub use error::{KeyFault, TokenError};
pub use jwk::{Jwk, Jwks};
pub use key_set::{KeySet, jwk_from_pem};
pub use verify::{check_times, verify_access, verify_claims, verify_license, verify_validation};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

/// Maximum difference between two clocks, in seconds.
pub const LEEWAY_SECONDS: i64 = 60;

/// Maximum length of a token that is parsed, in bytes.
pub const MAX_TOKEN_LEN: usize = 16 * 1024;

/// Returns the part of a token that is signed: header and claims.
///
/// # Panics
///
/// If the claims do not serialize to JSON, which maps with other keys than text do not.
pub fn signing_input(kid: &str, claims: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Header<'a> {
        alg: &'a str,
        typ: &'a str,
        kid: &'a str,
    }

    let part = |json: serde_json::Result<Vec<u8>>| URL_SAFE_NO_PAD.encode(json.expect("claims are JSON"));
    let header = part(serde_json::to_vec(&Header { alg: "RS256", typ: "JWT", kid }));
    let claims = part(serde_json::to_vec(claims));
    format!("{header}.{claims}")
}

/// Returns the whole token, from the signed part and the signature's bytes.
pub fn assemble(signing_input: &str, signature: &[u8]) -> String {
    format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(signature))
}
