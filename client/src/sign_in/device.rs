//! Signing in with a browser elsewhere: the device authorization grant (RFC 8628).

use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::Sso;
use super::error::SignInError;
use super::provider::{OAuthError, Provider};
use super::session::{self, SignedIn};
use crate::{Error, LicenseClient};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// How long to wait between two questions where the provider does not say.
const USUAL_INTERVAL: u64 = 5;

/// What is added to it each time that the provider finds it too short.
const SLOWER: Duration = Duration::from_secs(5);

/// A mistake of the provider's must not make anybody wait for an hour,
const LONGEST_INTERVAL: u64 = 60;

/// nor for a day.
const LONGEST_LIFE: u64 = 3600;

/// What the provider gives to begin with.
#[derive(Deserialize)]
struct Begun {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: u64,
    interval: Option<u64>,
}

/// A sign-in that waits for the person who enters its code elsewhere.
#[must_use = "nobody is signed in before it is finished"]
pub struct DeviceSignIn {
    client: LicenseClient,
    provider: Provider,
    sso: Option<Sso>,
    begun: Begun,
    deadline: Instant,
}

impl std::fmt::Debug for DeviceSignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceSignIn").field("provider", &self.provider).finish_non_exhaustive()
    }
}

impl DeviceSignIn {
    pub(super) fn begin(client: LicenseClient, provider: Provider, sso: Option<Sso>) -> Result<Self, Error> {
        let form = [("client_id", provider.client_id.as_str()), ("scope", &provider.scope())];
        let begun: Begun = provider.post(&provider.device_endpoint()?, &form)?.map_err(OAuthError::into_error)?;
        // People are sent there, by a program that they trust.
        for url in std::iter::once(&begun.verification_uri).chain(&begun.verification_uri_complete) {
            super::endpoint(url)?;
        }
        let deadline = Instant::now() + Duration::from_secs(begun.expires_in.min(LONGEST_LIFE));
        Ok(Self { client, provider, sso, begun, deadline })
    }

    /// What to open, in any browser.
    pub fn url(&self) -> &str {
        &self.begun.verification_uri
    }

    /// The same with the code in it, if the provider has that.
    pub fn complete_url(&self) -> Option<&str> {
        self.begun.verification_uri_complete.as_deref()
    }

    /// What to enter there.
    pub fn code(&self) -> &str {
        &self.begun.user_code
    }

    /// How long the code is good.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Waits until the person has signed in, or the code is no longer good.
    ///
    /// # Errors
    /// [`Error::SignIn`] when the person or the provider refuses, the code expires, or what comes cannot be trusted.
    pub fn finish(self) -> Result<SignedIn, Error> {
        let asked = self.begun.interval.unwrap_or(USUAL_INTERVAL).clamp(1, LONGEST_INTERVAL);
        let mut interval = Duration::from_secs(asked);
        let form = [
            ("grant_type", GRANT),
            ("client_id", self.provider.client_id.as_str()),
            ("device_code", &self.begun.device_code),
        ];
        while Instant::now() + interval < self.deadline {
            thread::sleep(interval);
            let refusal = match self.provider.tokens(&form, None) {
                Ok(Ok(tokens)) => return session::begin(&self.client.inner, &self.provider, tokens, self.sso),
                Ok(Err(refusal)) => refusal,
                // The person may be about to sign in; a network that comes back should find this still waiting.
                Err(Error::SignIn(SignInError::Away(_))) => {
                    interval = (interval * 2).min(Duration::from_secs(LONGEST_INTERVAL));
                    continue;
                }
                Err(error) => return Err(error),
            };
            match refusal.error.as_str() {
                "authorization_pending" => {}
                "slow_down" => interval += SLOWER,
                "access_denied" => return Err(SignInError::Denied.into()),
                "expired_token" => break,
                _ => return Err(refusal.into_error()),
            }
        }
        Err(SignInError::CodeExpired.into())
    }
}
