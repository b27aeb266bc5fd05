//! ID tokens of configured OpenID Connect issuers (OpenID Connect Core 1.0, section 3.1.3.7).
//!
//! An issuer's keys are fetched once, again after an hour in the background, and when a token names an unknown key, but then at
//! most every half minute: tokens with invented key ids can't flood the issuer with requests. A caller with a known key never
//! waits for an issuer that is slow, and callers that must wait share one attempt.

mod claims;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::token::{Jwks, KeySet, TokenError, verify_claims};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::config::{self, Setup};
use crate::problem::Problem;
use crate::refreshed::{RefreshIntervals, Refreshed};
use crate::trace;

use claims::Claims;
pub use claims::Identity;
use claims::IssuerConfig;

/// Maximum age of an issuer's keys, and the pause between fetches for unknown keys or after failures.
const REFRESH: RefreshIntervals =
    RefreshIntervals { max_age: Duration::from_secs(3600), pause: Duration::from_secs(30) };
/// Time limit of one fetch.
const FETCH_TIMEOUT: Duration = Duration::from_millis(1500);
/// Maximum size of a document from an issuer: discovery documents and key sets are a few kilobytes.
const DOCUMENT_LIMIT_BYTES: usize = 256 * 1024;
/// Maximum number of redirects that a fetch follows.
const REDIRECTS_MAX: usize = 2;

/// The configured issuers, beside the deployment itself; clones share them.
#[derive(Debug, Clone)]
pub struct Issuers(Arc<Known>);

#[derive(Debug)]
struct Known {
    own: String,
    others: Vec<Issuer>,
}

impl Issuers {
    /// Reads `PUBLIC_URL` and `OIDC_ISSUERS`.
    pub fn from_setup(setup: &mut Setup) -> Option<Self> {
        let own = setup.required(&config::PUBLIC_URL, config::url);
        let others = setup.optional(&config::OIDC_ISSUERS, Issuer::parse_all);
        Some(Self(Arc::new(Known { own: own?, others: others?.unwrap_or_default() })))
    }

    /// Returns the name under which this deployment issues tokens.
    #[must_use]
    pub fn own(&self) -> &str {
        &self.0.own
    }

    /// Returns the issuer that is configured first.
    #[must_use]
    pub fn first(&self) -> Option<&Issuer> {
        self.0.others.first()
    }

    /// Checks an ID token of one of the issuers, which the token itself names.
    ///
    /// # Errors
    /// `401 invalid_token` when no issuer has that name or the token is not valid; `503` as for [`Issuer::verify`].
    pub(crate) async fn verify(&self, named: &str, token: &str, now: i64) -> Result<Identity, Problem> {
        match self.0.others.iter().find(|issuer| issuer.name() == named) {
            Some(issuer) => issuer.verify(token, now).await,
            None => Err(Problem::invalid_token(TokenError::Issuer.to_string())),
        }
    }
}

/// A configured issuer with its keys.
#[derive(Debug)]
pub struct Issuer {
    claims: Claims,
    keys: Refreshed<KeySet>,
}

/// Source of an issuer's keys.
#[derive(Debug, Clone)]
struct Source {
    config: IssuerConfig,
    http: reqwest::Client,
}

impl Issuer {
    /// Parses `OIDC_ISSUERS`.
    ///
    /// # Errors
    /// A sentence for the list of mistakes.
    pub fn parse_all(value: &str) -> Result<Vec<Self>, String> {
        let configs: Vec<IssuerConfig> =
            serde_json::from_str(value).map_err(|e| format!("must be a JSON list of issuers: {e}"))?;
        let http = reqwest::Client::builder()
            .timeout(FETCH_TIMEOUT)
            .redirect(reqwest::redirect::Policy::custom(follow_securely))
            .build()
            .map_err(|e| format!("no HTTP client could be made: {e}"))?;
        configs
            .into_iter()
            .map(|config| {
                for url in std::iter::once(&config.issuer).chain(&config.jwks_uri) {
                    secure_url(url)?;
                }
                let claims = Claims::from_config(&config)?;
                let name = config.issuer.clone();
                let source = Source { config, http: http.clone() };
                let keys = Refreshed::new(name, REFRESH, move || source.clone().load());
                Ok(Self { claims, keys })
            })
            .collect()
    }

    /// Returns the issuer's name, as in `iss`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.claims.issuer
    }

    /// Returns the audience that its tokens must have: our client id there.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.claims.audience
    }

    /// Checks a token: signature, type, issuer, audience, authorized party, times, and the form of its claims.
    ///
    /// # Errors
    /// `401 invalid_token` when it is not valid; `503` when the issuer's keys can't be fetched.
    pub async fn verify(&self, token: &str, now: i64) -> Result<Identity, Problem> {
        let refused = |e: TokenError| Problem::invalid_token(e.to_string());
        let claims: Map<String, Value> = match verify_claims(token, &self.keys.current().await?.value) {
            Err(TokenError::UnknownKey { .. }) => {
                // While the issuer can't be reached, the known keys decide.
                let newer = self.keys.newer().await.or_else(|problem| self.keys.known().ok_or(problem))?;
                verify_claims(token, &newer.value)
            }
            verified => verified,
        }
        .map_err(refused)?;
        if !may_be_id_token(token) {
            return Err(refused(TokenError::Type));
        }
        self.claims.identity(&claims, now).map_err(refused)
    }
}

impl Source {
    async fn load(self) -> Result<KeySet, Problem> {
        let fetched = self.fetch().await;
        fetched.map_err(|cause| Problem::unavailable("oidc", format_args!("{}: {cause}", self.config.issuer)))
    }

    async fn fetch(&self) -> Result<KeySet, String> {
        let uri = match &self.config.jwks_uri {
            Some(uri) => uri.clone(),
            None => self.discover().await?,
        };
        let jwks: Jwks = serde_json::from_slice(&self.get(&uri).await?).map_err(|e| e.to_string())?;
        Ok(KeySet::from_jwks(&jwks))
    }

    async fn discover(&self) -> Result<String, String> {
        #[derive(Deserialize)]
        struct Discovery {
            issuer: String,
            jwks_uri: String,
        }
        let url = format!("{}/.well-known/openid-configuration", self.config.issuer.trim_end_matches('/'));
        let found: Discovery = serde_json::from_slice(&self.get(&url).await?).map_err(|e| e.to_string())?;
        if found.issuer != self.config.issuer {
            return Err(format!("the discovery document is {}'s", found.issuer));
        }
        let jwks_uri = secure_url(&found.jwks_uri)?;
        let issuer = secure_url(&self.config.issuer)?;
        if !is_as_secure(&issuer, &jwks_uri) {
            return Err(format!("the discovery document names keys at {jwks_uri}, which must be https"));
        }
        Ok(found.jwks_uri)
    }

    async fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        let response = trace::with_traceparent(self.http.get(url)).send().await;
        let mut response = response.and_then(reqwest::Response::error_for_status).map_err(|e| e.to_string())?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| e.to_string())? {
            if body.len() + chunk.len() > DOCUMENT_LIMIT_BYTES {
                return Err(format!("{url} sent more than {DOCUMENT_LIMIT_BYTES} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Checks that a token's header has no `typ`, or `JWT`, as that of an ID token. Access and logout tokens may be JWTs by the
/// same keys for the same audience; their `typ` names their kind (RFC 8725, section 3.11).
fn may_be_id_token(token: &str) -> bool {
    #[derive(Deserialize)]
    struct Header {
        typ: Option<String>,
    }
    token
        .split('.')
        .next()
        .and_then(|header| URL_SAFE_NO_PAD.decode(header).ok())
        .and_then(|header| serde_json::from_slice(&header).ok())
        .is_some_and(|Header { typ }| typ.is_none_or(|typ| typ.eq_ignore_ascii_case("jwt")))
}

/// Parses a URL that must be https or a loopback address, which is this machine: keys fetched over plain http could be forged.
fn secure_url(url: &str) -> Result<reqwest::Url, String> {
    let parsed = reqwest::Url::parse(url).map_err(|e| format!("{url}: {e}"))?;
    if parsed.scheme() == "https" || is_loopback(&parsed) { Ok(parsed) } else { Err(format!("{url} must be https")) }
}

fn is_loopback(url: &reqwest::Url) -> bool {
    url.scheme() == "http" && matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

/// Checks that keys may come from `to` when `from` names it: by https, or when both are on this machine.
fn is_as_secure(from: &reqwest::Url, to: &reqwest::Url) -> bool {
    to.scheme() == "https" || (is_loopback(from) && is_loopback(to))
}

fn follow_securely(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    if attempt.previous().len() > REDIRECTS_MAX {
        return attempt.error("too many redirects");
    }
    let secure = attempt.previous().last().is_none_or(|from| is_as_secure(from, attempt.url()));
    if secure { attempt.follow() } else { attempt.error("a redirect away from https") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_from_https_to_https_alone() {
        let url = |text: &str| reqwest::Url::parse(text).unwrap();
        for (from, to, may) in [
            ("https://login.test/keys", "https://cdn.test/keys", true),
            ("https://login.test/keys", "http://login.test/keys", false),
            ("https://login.test/keys", "http://127.0.0.1/keys", false),
            ("https://login.test/keys", "ftp://login.test/keys", false),
            ("http://127.0.0.1:1/keys", "http://localhost:2/keys", true),
            ("http://127.0.0.1:1/keys", "https://login.test/keys", true),
            ("http://127.0.0.1:1/keys", "http://127.0.0.2:1/keys", false),
            ("http://[::1]:1/keys", "http://login.test/keys", false),
        ] {
            assert_eq!(is_as_secure(&url(from), &url(to)), may, "{from} → {to}");
        }
    }
}
