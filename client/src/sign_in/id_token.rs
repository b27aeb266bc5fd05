//! Verifies an ID token that the provider has just given (OpenID Connect Core 1.0, section 3.1.3.7).
//!
//! It was signed a moment ago, so its own `iat` is the time that it is judged by: a wrong clock on this machine is no
//! reason to refuse it, only one for a notice. Only RS256 is accepted, because the cloud accepts nothing else.

use jiff::{SignedDuration, Timestamp};
use protocol::id::TenantId;
use protocol::token::{KeySet, TokenError, check_times, verify_claims};
use serde::Deserialize;

/// A verified ID token, and its claims.
pub(super) struct IdToken {
    pub(super) text: String,
    pub(super) claims: Claims,
}

/// Claims that are read from an ID token.
#[derive(Deserialize)]
pub(super) struct Claims {
    pub(super) sub: String,
    iss: String,
    aud: Audience,
    azp: Option<String>,
    nonce: Option<String>,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    pub(super) name: Option<String>,
    pub(super) email: Option<String>,
    /// Set if the provider names it; otherwise the first seat's token does.
    tenant_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Claims {
    pub(super) fn tenant(&self) -> Option<TenantId> {
        self.tenant_id.as_deref()?.parse().ok()
    }

    /// Returns the time at which the token was signed, by the provider's clock.
    pub(super) fn signed(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.iat).ok()
    }

    pub(super) fn lifetime(&self) -> SignedDuration {
        SignedDuration::from_secs(self.exp.saturating_sub(self.iat))
    }
}

pub(super) fn verify(
    text: String,
    keys: &KeySet,
    issuer: &str,
    client_id: &str,
    nonce: Option<&str>,
) -> Result<IdToken, TokenError> {
    let claims: Claims = verify_claims(&text, keys)?;
    if claims.iss != issuer {
        return Err(TokenError::Issuer);
    }
    let ours = match &claims.aud {
        Audience::One(one) => one == client_id,
        // With several audiences, the party to which it was issued must be named (`azp`).
        Audience::Many(many) => many.iter().any(|one| one == client_id) && (many.len() == 1 || claims.azp.is_some()),
    };
    if !ours || claims.azp.as_deref().is_some_and(|party| party != client_id) {
        return Err(TokenError::Audience);
    }
    if nonce.is_some() && claims.nonce.as_deref() != nonce {
        return Err(TokenError::Type);
    }
    let signed = claims.signed().ok_or(TokenError::Malformed)?;
    check_times(signed, claims.nbf, claims.exp)?;
    if !claims.lifetime().is_positive() {
        return Err(TokenError::Expired);
    }
    Ok(IdToken { text, claims })
}
