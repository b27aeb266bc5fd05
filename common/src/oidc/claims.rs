//! The configuration of an issuer, and what an ID token with a checked signature says under it.

use protocol::token::TokenError;
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

/// Clocks may differ by this much.
const LEEWAY_SECONDS: i64 = 60;
/// The longest subject: OpenID Connect Core 1.0, section 2.
const SUBJECT_MAX_CHARS: usize = 255;
/// The longest e-mail address, as the column `users.email` has it.
const EMAIL_MAX_CHARS: usize = 254;
/// The entry of `tenants` that stands for every tenant.
const EVERY_TENANT: &str = "*";

/// An issuer as `OIDC_ISSUERS` has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerConfig {
    pub(super) issuer: String,
    pub(super) audience: String,
    pub(super) jwks_uri: Option<String>,
    tenant_claim: Option<String>,
    user_claim: Option<String>,
    tenants: Option<OneOrMany>,
    domains: Option<Vec<String>>,
    verified_claim: Option<String>,
    #[serde(default)]
    trusted: bool,
}

/// A list, or its only entry.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// An issuer's configuration without mistakes.
#[derive(Debug)]
pub(super) struct Claims {
    pub(super) issuer: String,
    pub(super) audience: String,
    tenant_claim: Option<String>,
    user_claim: String,
    /// The claim that vouches for the address. `None`: the issuer vouches for every address that it does not call unverified.
    verified_claim: Option<String>,
    tenants: Option<Vec<Uuid>>,
    domains: Option<Vec<String>>,
}

/// The person that an ID token names, and the users that its issuer may speak for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The issuer.
    pub issuer: String,
    /// The value of the issuer's user claim.
    pub subject: String,
    /// The e-mail address in lower case, when the issuer vouches for it and may speak for its domain.
    pub email: Option<String>,
    /// The tenant that the issuer puts the user in, when it is configured to.
    pub tenant: Option<String>,
    /// The tenants whose users the issuer may speak for; `None`: every tenant.
    pub tenants: Option<Vec<Uuid>>,
    /// The domains of the users that the issuer may speak for; `None`: every domain.
    pub domains: Option<Vec<String>>,
    /// When the token expires, in seconds since 1970.
    pub expires: i64,
}

impl Identity {
    /// The tenants of which the person may be a user by this token: those that the issuer may speak for, and of them the one
    /// that it names where it is configured to name one. `None`: every tenant.
    #[must_use]
    pub fn allowed_tenants(&self) -> Option<Vec<Uuid>> {
        let Some(named) = &self.tenant else { return self.tenants.clone() };
        let named = named.parse().ok().filter(|named| self.tenants.as_ref().is_none_or(|all| all.contains(named)));
        Some(Vec::from_iter(named))
    }
}

impl Claims {
    /// Checks an issuer's configuration.
    ///
    /// # Errors
    /// A sentence that names the mistake and its correction.
    pub(super) fn from_config(config: &IssuerConfig) -> Result<Self, String> {
        let issuer = &config.issuer;
        let tenants = match config.tenants.as_ref().map(OneOrMany::as_slice) {
            Some([every]) if every == EVERY_TENANT => None,
            Some(ids) => Some(ids.iter().map(|id| tenant_id(issuer, id)).collect::<Result<Vec<_>, _>>()?),
            None if config.domains.is_some() => None,
            None => {
                return Err(format!(
                    "{issuer} needs the users that it may speak for: \"tenants\" (a list of tenant ids, or \"*\" for every tenant) or \"domains\" (a list of e-mail domains)"
                ));
            }
        };
        let domains = config.domains.as_ref().map(|all| all.iter().map(|d| domain(issuer, d)).collect()).transpose()?;
        if tenants.as_ref().is_some_and(Vec::is_empty) || domains.as_ref().is_some_and(Vec::is_empty) {
            return Err(format!("{issuer} may speak for no user: an empty list of tenants or domains"));
        }
        if config.trusted && config.verified_claim.is_some() {
            return Err(format!("{issuer} has both \"trusted\" and \"verified_claim\"; give one of them"));
        }
        if config.trusted && tenants.is_none() && domains.is_none() {
            return Err(format!(
                "{issuer} is \"trusted\" with every address, so that it needs a list of \"tenants\" or \"domains\""
            ));
        }
        let verified_claim = config.verified_claim.clone().unwrap_or_else(|| "email_verified".to_owned());
        Ok(Self {
            issuer: issuer.clone(),
            audience: config.audience.clone(),
            tenant_claim: config.tenant_claim.clone(),
            user_claim: config.user_claim.clone().unwrap_or_else(|| "sub".to_owned()),
            verified_claim: (!config.trusted).then_some(verified_claim),
            tenants,
            domains,
        })
    }

    /// Reads the claims of a token whose signature was checked (OpenID Connect Core 1.0, section 3.1.3.7).
    pub(super) fn identity(&self, claims: &Map<String, Value>, now: i64) -> Result<Identity, TokenError> {
        if text(claims, "iss", usize::MAX)? != Some(&self.issuer) {
            return Err(TokenError::Issuer);
        }
        self.check_audience(claims)?;
        let expires = time(claims, "exp")?.ok_or(TokenError::Malformed)?;
        if expires.saturating_add(LEEWAY_SECONDS) <= now {
            return Err(TokenError::Expired);
        }
        let starts = time(claims, "nbf")?.max(time(claims, "iat")?).unwrap_or(0);
        if starts.saturating_sub(LEEWAY_SECONDS) > now {
            return Err(TokenError::NotYetValid);
        }
        let subject = text(claims, &self.user_claim, SUBJECT_MAX_CHARS)?.filter(|subject| !subject.is_empty());
        let tenant = match &self.tenant_claim {
            Some(name) => Some(text(claims, name, SUBJECT_MAX_CHARS)?.ok_or(TokenError::Malformed)?.to_owned()),
            None => None,
        };
        Ok(Identity {
            issuer: self.issuer.clone(),
            subject: subject.ok_or(TokenError::Malformed)?.to_owned(),
            email: self.vouched_address(claims)?,
            tenant,
            tenants: self.tenants.clone(),
            domains: self.domains.clone(),
            expires,
        })
    }

    /// The token is for this client, and so is its authorized party: named always when there are several audiences.
    fn check_audience(&self, claims: &Map<String, Value>) -> Result<(), TokenError> {
        let client = Value::String(self.audience.clone());
        let (is_meant, has_several) = match claims.get("aud") {
            Some(Value::Array(all)) => (all.contains(&client), all.len() > 1),
            Some(one) => (*one == client, false),
            None => (false, false),
        };
        let is_party = match claims.get("azp") {
            None | Some(Value::Null) => !has_several,
            Some(party) => *party == client,
        };
        if is_meant && is_party { Ok(()) } else { Err(TokenError::Audience) }
    }

    fn vouched_address(&self, claims: &Map<String, Value>) -> Result<Option<String>, TokenError> {
        let Some(email) = text(claims, "email", EMAIL_MAX_CHARS)? else { return Ok(None) };
        let is_vouched = match &self.verified_claim {
            Some(name) => claims.get(name).is_some_and(is_true),
            None => claims.get("email_verified").is_none_or(is_true),
        };
        let address = email.to_lowercase();
        // A letter such as the Kelvin sign becomes an ASCII one, and the address another person's.
        let is_same_letters = email.is_ascii() || !address.is_ascii();
        let of_domain = |(name, domain): (&str, &str)| {
            !name.is_empty()
                && !domain.is_empty()
                && self.domains.as_ref().is_none_or(|all| all.iter().any(|d| d == domain))
        };
        let is_allowed = is_vouched && is_same_letters && address.rsplit_once('@').is_some_and(of_domain);
        Ok(is_allowed.then_some(address))
    }
}

fn tenant_id(issuer: &str, id: &str) -> Result<Uuid, String> {
    id.parse().map_err(|_| format!("{issuer}: {id:?} in \"tenants\" is no tenant's id; \"*\" stands alone"))
}

fn domain(issuer: &str, name: &str) -> Result<String, String> {
    let is_domain =
        !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || "@*/:,".contains(c));
    if is_domain {
        Ok(name.to_lowercase())
    } else {
        Err(format!("{issuer}: {name:?} in \"domains\" is no e-mail domain such as example.com"))
    }
}

/// A claim that is a text of one line, or absent.
fn text<'a>(claims: &'a Map<String, Value>, name: &str, max_chars: usize) -> Result<Option<&'a str>, TokenError> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.chars().count() <= max_chars && !text.contains(char::is_control) => {
            Ok(Some(text))
        }
        Some(_) => Err(TokenError::Malformed),
    }
}

/// A claim that is a time in seconds since 1970, whole or not, or absent.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, TokenError> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(seconds)) => {
            #[expect(clippy::cast_possible_truncation, reason = "the cast saturates at the ends of time")]
            let whole = || seconds.as_f64().map(|seconds| seconds.floor() as i64);
            seconds.as_i64().or_else(whole).map(Some).ok_or(TokenError::Malformed)
        }
        Some(_) => Err(TokenError::Malformed),
    }
}

/// Issuers write what is true as a boolean, a number or a text.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(value) => *value,
        Value::Number(value) => value.as_i64() == Some(1),
        Value::String(value) => value == "1" || value.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
