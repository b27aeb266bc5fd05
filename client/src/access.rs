//! The access token that a license key is exchanged for. It stays in memory.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use protocol::id::TenantId;
use protocol::key::LicenseKey;
use protocol::wire::{AuthAnswer, AuthRequest};

use crate::Error;
use crate::client::Inner;
use crate::cloud::{Ask, Effort};

/// A token is not used in its last minute, so that it does not end on the way.
const MARGIN: Duration = Duration::from_secs(60);

/// An access token, whose it is, and its end.
#[derive(Clone)]
pub(crate) struct Access {
    token: String,
    tenant: TenantId,
    until: Instant,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("until", &self.until).finish_non_exhaustive()
    }
}

/// The token at hand, or a new one.
pub(crate) fn token(client: &Inner, key: &LicenseKey, effort: Effort) -> Result<String, Error> {
    token_and_tenant(client, key, effort).map(|(token, _)| token)
}

/// The same, with whose it is.
pub(crate) fn token_and_tenant(client: &Inner, key: &LicenseKey, effort: Effort) -> Result<(String, TenantId), Error> {
    let mut access = client.access.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(access) = access.as_ref()
        && Instant::now() < access.until
    {
        return Ok((access.token.clone(), access.tenant));
    }
    let directory = client.directories.current(client.time.wall(), effort)?;
    let body = AuthRequest { license_key: key.into(), machine_id: Some(client.machine.clone()) };
    let to = directory.endpoint("auth", "/api/v1/auth/license")?;
    let answer: AuthAnswer =
        client.cloud.post(&Ask { to, body: &body, bearer: None, idempotency_key: None }, effort)?;
    let lifetime = Duration::from_secs(answer.expires_in.min(86_400)).saturating_sub(MARGIN);
    let until = Instant::now() + lifetime;
    *access = Some(Access { token: answer.access_token.clone(), tenant: answer.tenant_id, until });
    Ok((answer.access_token, answer.tenant_id))
}

/// The next one is a new one.
pub(crate) fn forget(client: &Inner) {
    *client.access.lock().unwrap_or_else(PoisonError::into_inner) = None;
}
