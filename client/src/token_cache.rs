//! Bearer token of requests to the cloud, in memory for as long as it is valid.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use protocol::id::TenantId;

use crate::Error;

/// A token, its tenant, and the end of its use.
#[derive(Clone)]
pub(crate) struct AccessToken {
    pub(crate) token: String,
    /// None if the provider does not name one and no seat has been taken yet.
    pub(crate) tenant: Option<TenantId>,
    pub(crate) until: Instant,
}

/// The current token, and the last one that the cloud refused.
#[derive(Default)]
pub(crate) struct TokenCache(Mutex<Tokens>);

#[derive(Default)]
struct Tokens {
    current: Option<AccessToken>,
    refused: Option<String>,
}

impl TokenCache {
    /// Returns the current token, else the one that `get` returns; that is given the token which the cloud refused last.
    pub(crate) fn current_or(
        &self,
        get: impl FnOnce(Option<&str>) -> Result<AccessToken, Error>,
    ) -> Result<AccessToken, Error> {
        let mut tokens = self.lock();
        if let Some(current) = tokens.current.as_ref().filter(|current| Instant::now() < current.until) {
            return Ok(current.clone());
        }
        let new = get(tokens.refused.as_deref())?;
        tokens.current = Some(new.clone());
        Ok(new)
    }

    /// Discards the current token, which the cloud has refused, so that the next one is a new one.
    pub(crate) fn forget(&self) {
        let mut tokens = self.lock();
        tokens.refused = tokens.current.take().map(|current| current.token);
    }

    fn lock(&self) -> MutexGuard<'_, Tokens> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenCache")
    }
}
