//! Signing in with a browser on this machine: authorization code with PKCE (RFC 7636), redirected to a loopback port.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use local::random;
use sha2::{Digest, Sha256};

use super::loopback::{Answer, Loopback};
use super::provider::{Provider, Tokens};
use super::session::{self, SignedIn};
use crate::core::Core;
use crate::{Error, SignInError, Sso};

/// A sign-in that waits for the person in the browser.
#[must_use = "nobody is signed in before it is finished"]
pub struct BrowserSignIn {
    core: Arc<Core>,
    provider: Provider,
    sso: Option<Sso>,
    loopback: Loopback,
    url: String,
    nonce: String,
    verifier: String,
}

impl std::fmt::Debug for BrowserSignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrowserSignIn").field("provider", &self.provider).finish_non_exhaustive()
    }
}

impl BrowserSignIn {
    pub(super) fn begin(core: Arc<Core>, provider: Provider, sso: Option<Sso>) -> Result<Self, Error> {
        let (state, nonce, verifier) = (unguessable(), unguessable(), unguessable());
        let loopback = Loopback::open(&state).map_err(SignInError::Port)?;
        let url = provider.authorization_url(&[
            ("response_type", "code"),
            ("client_id", &provider.client_id),
            ("redirect_uri", &loopback.redirect_uri()),
            ("scope", &provider.scope()),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier))),
            ("code_challenge_method", "S256"),
        ])?;
        Ok(Self { core, provider, sso, loopback, url, nonce, verifier })
    }

    /// Returns the address to open in the browser.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until the person has signed in, but no longer than this.
    ///
    /// # Errors
    /// [`Error::SignIn`] when the user or the provider refuses, no answer comes in time, or the answer cannot be trusted.
    pub fn finish(self, longest: Duration) -> Result<SignedIn, Error> {
        let answer = self.loopback.wait(longest).ok_or(SignInError::NobodyCame { waited: longest })?;
        let signed_in =
            self.exchange(&answer).and_then(|tokens| session::begin(&self.core, &self.provider, tokens, self.sso));
        match &signed_in {
            Ok(who) => answer.show("You are signed in", &format!("Signed in as {who}. You can close this window.")),
            Err(error) => answer.show("You are not signed in", &format!("{error} {}", error.hint())),
        }
        signed_in
    }

    fn exchange(&self, answer: &Answer) -> Result<Tokens, Error> {
        // A provider that names itself must be the one that was asked (RFC 9207).
        if answer.get("iss").is_some_and(|issuer| issuer != self.provider.issuer()) {
            return Err(SignInError::WrongState.into());
        }
        let code = match (answer.get("error"), answer.get("code")) {
            (None, Some(code)) => code,
            (Some("access_denied"), _) => return Err(SignInError::Denied.into()),
            (error, _) => {
                let reason = answer.get("error_description").or(error).unwrap_or("no code was given");
                return Err(SignInError::Refused { reason: reason.chars().take(200).collect() }.into());
            }
        };
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", &self.provider.client_id),
            ("code", code),
            ("redirect_uri", &self.loopback.redirect_uri()),
            ("code_verifier", &self.verifier),
        ];
        let tokens = self.provider.tokens(&form, Some(&self.nonce))?;
        tokens.map_err(super::provider::OAuthError::into_error)
    }
}

/// Returns 256 random bits as text that is safe in an address.
fn unguessable() -> String {
    URL_SAFE_NO_PAD.encode(random::bytes::<32>())
}
