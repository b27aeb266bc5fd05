//! The check of a token, offline.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use super::claims::{
    ACCESS_AUDIENCE, AccessClaims, LICENSE_AUDIENCE, LICENSE_TYPE, LicenseClaims, VALIDATION_TYPE, ValidationClaims,
};
use super::{KeySet, LEEWAY_SECONDS, MAX_TOKEN_LEN, TokenError};
use crate::id::HardwareId;

/// Checks a license token, and that it is this machine's where one is given.
pub fn verify_license(
    token: &str,
    keys: &KeySet,
    issuer: &str,
    device: Option<&HardwareId>,
    now: Timestamp,
) -> Result<LicenseClaims, TokenError> {
    let expected = Expected { issuer, audience: LICENSE_AUDIENCE, typ: Some(LICENSE_TYPE) };
    let claims: LicenseClaims = expected.verify(token, keys, now)?;
    match device {
        Some(device) if *device != claims.hardware_id => Err(TokenError::Device),
        _ => Ok(claims),
    }
}

/// Checks a validation token, and that it is this machine's.
pub fn verify_validation(
    token: &str,
    keys: &KeySet,
    issuer: &str,
    machine: &HardwareId,
    now: Timestamp,
) -> Result<ValidationClaims, TokenError> {
    let expected = Expected { issuer, audience: LICENSE_AUDIENCE, typ: Some(VALIDATION_TYPE) };
    let claims: ValidationClaims = expected.verify(token, keys, now)?;
    if *machine == claims.machine_id { Ok(claims) } else { Err(TokenError::Device) }
}

/// Checks an access token.
pub fn verify_access(token: &str, keys: &KeySet, issuer: &str, now: Timestamp) -> Result<AccessClaims, TokenError> {
    Expected { issuer, audience: ACCESS_AUDIENCE, typ: None }.verify(token, keys, now)
}

/// Checks only that one of these keys signed the token, with RS256. The caller has to check its claims and times.
pub fn verify_claims<T: DeserializeOwned>(token: &str, keys: &KeySet) -> Result<T, TokenError> {
    serde_json::from_slice(&signed_claims(token, keys)?).map_err(|_| TokenError::Malformed)
}

/// Checks a token's times: good from `not_before` (if it says so) until just before `expires`, give or take the leeway.
pub fn check_times(now: Timestamp, not_before: Option<i64>, expires: i64) -> Result<(), TokenError> {
    let now = now.as_second();
    if now >= expires.saturating_add(LEEWAY_SECONDS) {
        return Err(TokenError::Expired);
    }
    match not_before {
        Some(begin) if now < begin.saturating_sub(LEEWAY_SECONDS) => Err(TokenError::NotYetValid),
        _ => Ok(()),
    }
}

/// Claims that a token must have to be of one kind.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) audience: &'static str,
    pub(super) typ: Option<&'static str>,
}

impl Expected<'_> {
    pub(super) fn verify<T: DeserializeOwned>(
        &self,
        token: &str,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<T, TokenError> {
        // First as any JSON, so that the error of a token of another kind is its kind, and not a missing claim.
        let claims: Value = verify_claims(token, keys)?;
        let text = |name| claims.get(name).and_then(Value::as_str);
        let seconds = |name| claims.get(name).and_then(Value::as_i64);

        if text("iss") != Some(self.issuer) {
            return Err(TokenError::Issuer);
        }
        if text("aud") != Some(self.audience) {
            return Err(TokenError::Audience);
        }
        if text("typ") != self.typ {
            return Err(TokenError::Type);
        }
        // A token signed in the future means that this clock was set back; that must not lengthen anything.
        let signed = seconds("iat").ok_or(TokenError::Malformed)?;
        let begin = seconds("nbf").map_or(signed, |begin| begin.max(signed));
        check_times(now, Some(begin), seconds("exp").ok_or(TokenError::Malformed)?)?;

        serde_json::from_value(claims).map_err(|_| TokenError::Malformed)
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    /// Extensions that must be understood (RFC 7515, 4.1.11). We understand none.
    #[serde(default)]
    crit: Option<IgnoredAny>,
}

/// Returns the claims' JSON, once the signature is verified.
fn signed_claims(token: &str, keys: &KeySet) -> Result<Vec<u8>, TokenError> {
    if token.len() > MAX_TOKEN_LEN {
        return Err(TokenError::Malformed);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed);

    let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| TokenError::Malformed)?;
    if header.alg != "RS256" {
        return Err(TokenError::Algorithm);
    }
    if header.crit.is_some() {
        return Err(TokenError::Malformed);
    }
    let claims = decode(claims)?;
    decode(signature)?;

    let key = keys.for_token(header.kid.as_deref())?;
    match jsonwebtoken::crypto::verify(signature, signed.as_bytes(), key, Algorithm::RS256) {
        Ok(true) => Ok(claims),
        Ok(false) | Err(_) => Err(TokenError::Signature),
    }
}
