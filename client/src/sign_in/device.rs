//! Signing in with a browser elsewhere: the device authorization grant (RFC 8628).

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::provider::{OAuthError, Provider};
use super::session::{self, SignedIn};
use crate::core::Core;
use crate::{Address, Error, SignInError, Sso};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Polling interval, in seconds, if the provider names none.
const USUAL_INTERVAL: u64 = 5;

/// Time added to the polling interval at each `slow_down` of the provider.
const SLOWER: Duration = Duration::from_secs(5);

/// Longest polling interval, in seconds: a mistake of the provider must not make a user wait for an hour.
const LONGEST_INTERVAL: u64 = 60;

/// Longest lifetime of a code, in seconds: a mistake of the provider must not make a user wait for a day.
const LONGEST_LIFE: u64 = 3600;

/// Device authorization response (RFC 8628, section 3.2).
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
    core: Arc<Core>,
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
    pub(super) fn begin(core: Arc<Core>, provider: Provider, sso: Option<Sso>) -> Result<Self, Error> {
        let form = [("client_id", provider.client_id.as_str()), ("scope", &provider.scope())];
        let begun: Begun = provider.post(&provider.device_endpoint()?, &form)?.map_err(OAuthError::into_error)?;
        // Checked, since users are sent there by a program that they trust.
        for url in std::iter::once(&begun.verification_uri).chain(&begun.verification_uri_complete) {
            Address::parse_endpoint(url)?;
        }
        let deadline = Instant::now() + Duration::from_secs(begun.expires_in.min(LONGEST_LIFE));
        Ok(Self { core, provider, sso, begun, deadline })
    }

    /// Returns the address to open, in any browser.
    pub fn url(&self) -> &str {
        &self.begun.verification_uri
    }

    /// Returns the address with the code in it, if the provider has one.
    pub fn complete_url(&self) -> Option<&str> {
        self.begun.verification_uri_complete.as_deref()
    }

    /// Returns the code to enter at that address.
    pub fn code(&self) -> &str {
        &self.begun.user_code
    }

    /// Returns the time for which the code is still valid.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Waits until the person has signed in, or the code has expired.
    ///
    /// # Errors
    /// [`Error::SignIn`] when the user or the provider refuses, the code expires, or the answer cannot be trusted.
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
                Ok(Ok(tokens)) => return session::begin(&self.core, &self.provider, tokens, self.sso),
                Ok(Err(refusal)) => refusal,
                // The user may be about to sign in, so an outage of the network does not end the wait.
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
