//! An identity provider: its endpoints, and the meaning of its answers.

use protocol::token::{Jwks, KeySet};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::id_token::{self, IdToken};
use crate::cloud::Cloud;
use crate::{Address, Error, Fault, Outage, SignInError};

/// Requested scopes: the user's identity, and a refresh token.
const SCOPES: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// Metadata of a provider (OpenID Connect Discovery 1.0, section 3; RFC 8414; RFC 8628).
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    device_authorization_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    scopes_supported: Option<Vec<String>>,
}

/// Answer of the token endpoint. The provider's own access token is of no use here, and is not read.
#[derive(Deserialize)]
struct TokenAnswer {
    id_token: Option<String>,
    refresh_token: Option<String>,
}

/// Error response of an endpoint (RFC 6749, section 5.2).
#[derive(Deserialize)]
pub(super) struct OAuthError {
    pub(super) error: String,
    #[serde(default)]
    pub(super) error_description: Option<String>,
}

/// Tokens of a sign-in, or of its renewal.
pub(super) struct Tokens {
    pub(super) id: IdToken,
    pub(super) refresh: Option<String>,
}

/// An identity provider, and this program's client id at it.
pub(super) struct Provider {
    pub(super) client_id: String,
    document: Document,
    cloud: Cloud,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("issuer", &self.document.issuer).finish_non_exhaustive()
    }
}

impl Provider {
    /// Fetches the provider's metadata.
    pub(super) fn find(cloud: &Cloud, issuer: &str, client_id: String) -> Result<Self, Error> {
        let from = issuer.parse::<Address>()?.join("/.well-known/openid-configuration");
        let document: Document = get(cloud, &from)?;
        // A slash at the end is part of the name, and is easily left out when the name is typed.
        if document.issuer.trim_end_matches('/') != issuer.trim().trim_end_matches('/') {
            let claimed = document.issuer.chars().take(100).collect();
            return Err(SignInError::WrongIssuer { asked: issuer.to_owned(), claimed }.into());
        }
        Ok(Self { client_id, document, cloud: cloud.clone() })
    }

    pub(super) fn issuer(&self) -> &str {
        &self.document.issuer
    }

    pub(super) fn scope(&self) -> String {
        let supported = self.document.scopes_supported.as_ref();
        let asked = SCOPES.iter().filter(|&&scope| {
            scope == "openid" || supported.is_none_or(|supported| supported.iter().any(|known| known == scope))
        });
        asked.copied().collect::<Vec<_>>().join(" ")
    }

    /// Returns the address to which a browser is sent.
    pub(super) fn authorization_url(&self, parameters: &[(&str, &str)]) -> Result<String, Error> {
        let address = Address::parse_endpoint(&self.document.authorization_endpoint)?;
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let joint = if address.as_str().contains('?') { '&' } else { '?' };
        Ok(format!("{address}{joint}{query}"))
    }

    /// Returns the device authorization endpoint.
    pub(super) fn device_endpoint(&self) -> Result<Address, Error> {
        let url = self.document.device_authorization_endpoint.as_deref();
        Address::parse_endpoint(url.ok_or_else(|| SignInError::NoDeviceSignIn { issuer: self.issuer().to_owned() })?)
    }

    /// Requests tokens, and verifies the ID token.
    pub(super) fn tokens(
        &self,
        form: &[(&str, &str)],
        nonce: Option<&str>,
    ) -> Result<Result<Tokens, OAuthError>, Error> {
        let to = Address::parse_endpoint(&self.document.token_endpoint)?;
        let answer: TokenAnswer = match self.post(&to, form)? {
            Ok(answer) => answer,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let text = answer.id_token.ok_or(SignInError::NoIdToken)?;
        let jwks: Jwks = get(&self.cloud, &Address::parse_endpoint(&self.document.jwks_uri)?)?;
        let id = id_token::verify(text, &KeySet::from_jwks(&jwks), self.issuer(), &self.client_id, nonce);
        Ok(Ok(Tokens { id: id.map_err(SignInError::Token)?, refresh: answer.refresh_token }))
    }

    /// Asks the provider to revoke a refresh token. Returns `false` if it has no revocation endpoint.
    pub(super) fn revoke(&self, refresh: &str) -> Result<bool, Error> {
        let Some(url) = &self.document.revocation_endpoint else { return Ok(false) };
        let form = [("token", refresh), ("token_type_hint", "refresh_token"), ("client_id", &self.client_id)];
        let to = Address::parse_endpoint(url)?;
        let (status, text) = ask(&self.cloud, &to, Some(&form))?;
        match status {
            200..300 => Ok(true),
            _ => Err(refusal(&to, status, &text)?.into_error()),
        }
    }

    /// Sends a form, and reads an answer or a refusal.
    pub(super) fn post<T: DeserializeOwned>(
        &self,
        to: &Address,
        form: &[(&str, &str)],
    ) -> Result<Result<T, OAuthError>, Error> {
        let (status, text) = ask(&self.cloud, to, Some(form))?;
        match status {
            200..300 => serde_json::from_str(&text).map(Ok).map_err(|_| rubbish(to)),
            _ => refusal(to, status, &text).map(Err),
        }
    }
}

impl OAuthError {
    /// Converts a refusal of which no code is handled separately.
    pub(super) fn into_error(self) -> Error {
        let text = self.error_description.unwrap_or(self.error);
        // The provider's words need not be short.
        SignInError::Refused { reason: text.chars().take(200).collect() }.into()
    }
}

fn ask(cloud: &Cloud, to: &Address, form: Option<&[(&str, &str)]>) -> Result<(u16, String), Error> {
    cloud.ask_other(to, form).map_err(|error| match error {
        Error::Unavailable(outage) => SignInError::Away(outage).into(),
        other => other,
    })
}

fn get<T: DeserializeOwned>(cloud: &Cloud, from: &Address) -> Result<T, Error> {
    let (status, text) = ask(cloud, from, None)?;
    match status {
        200..300 => serde_json::from_str(&text).map_err(|_| rubbish(from)),
        408 | 429 | 500.. => Err(away(from, status)),
        _ => Err(rubbish(from)),
    }
}

fn refusal(to: &Address, status: u16, text: &str) -> Result<OAuthError, Error> {
    match serde_json::from_str(text) {
        _ if status == 429 || status >= 500 => Err(away(to, status)),
        Ok(refusal) => Ok(refusal),
        Err(_) => Err(rubbish(to)),
    }
}

fn away(from: &Address, status: u16) -> Error {
    SignInError::Away(Box::new(Outage::new(from, format!("HTTP status {status}"), Fault::Cloud))).into()
}

fn rubbish(from: &Address) -> Error {
    SignInError::Rubbish { url: from.to_string() }.into()
}
