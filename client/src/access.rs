//! Bearer tokens of requests to the cloud: the ID token of the signed-in user, else the access token that a license key is
//! exchanged for, which stays in memory.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use protocol::id::TenantId;
use protocol::key::LicenseKey;
use protocol::wire::{AuthAnswer, AuthRequest};

use crate::client::Inner;
use crate::cloud::{Ask, Effort};
use crate::{Error, LicenseClient, sign_in};

/// A token is not used in its last minute, so that it does not end on the way.
const MARGIN: Duration = Duration::from_secs(60);

/// Longest time for which a token is used before what is stored is read again.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Identity on whose behalf the cloud is asked.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    /// The signed-in user, who has a seat of their own on each device and whose name is in the audit log.
    SignIn,
    /// The license: all users who have its key share one seat on each device.
    Key(LicenseKey),
}

/// A token, its tenant, and the end of its use.
#[derive(Clone)]
struct Access {
    token: String,
    tenant: Option<TenantId>,
    until: Instant,
}

/// The current token, and the last one that the cloud refused.
#[derive(Default)]
pub(crate) struct AccessMemory {
    current: Option<Access>,
    refused: Option<String>,
}

impl std::fmt::Debug for AccessMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let until = self.current.as_ref().map(|access| access.until);
        f.debug_struct("AccessMemory").field("until", &until).finish_non_exhaustive()
    }
}

impl LicenseClient {
    /// Returns the identity on whose behalf the cloud is asked. A key of the environment takes precedence over a sign-in,
    /// and that over the stored license key.
    pub(crate) fn credential(&self) -> Result<Credential, Error> {
        if let Some(key) = self.given_key()? {
            return Ok(Credential::Key(key.clone()));
        }
        if self.is_signed_in()? {
            return Ok(Credential::SignIn);
        }
        self.license_key()?.map(Credential::Key).ok_or(Error::NoKey)
    }
}

/// Returns the current token, or a new one.
pub(crate) fn token(client: &Inner, credential: &Credential, effort: Effort) -> Result<String, Error> {
    token_and_tenant(client, credential, effort).map(|(token, _)| token)
}

/// Returns the current token, or a new one, with its tenant; none if the provider does not name one and no seat has been
/// taken yet.
pub(crate) fn token_and_tenant(
    client: &Inner,
    credential: &Credential,
    effort: Effort,
) -> Result<(String, Option<TenantId>), Error> {
    let mut memory = client.access.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(access) = memory.current.as_ref()
        && Instant::now() < access.until
    {
        return Ok((access.token.clone(), access.tenant));
    }
    let access = match credential {
        Credential::SignIn => {
            let bearer = sign_in::bearer(client, memory.refused.as_deref())?;
            let lifetime = Duration::try_from(bearer.lifetime).unwrap_or_default().min(LONGEST);
            // Without a tenant, the sign-in is read again by the next call, since the first seat makes the tenant known.
            let lifetime = if bearer.tenant.is_some() { lifetime } else { Duration::ZERO };
            Access { token: bearer.token, tenant: bearer.tenant, until: Instant::now() + lifetime }
        }
        Credential::Key(key) => exchange(client, key, effort)?,
    };
    memory.current = Some(access.clone());
    Ok((access.token, access.tenant))
}

fn exchange(client: &Inner, key: &LicenseKey, effort: Effort) -> Result<Access, Error> {
    let directory = client.directories.current(client.time.wall(), effort)?;
    let body = AuthRequest { license_key: key.into(), machine_id: Some(client.machine.clone()) };
    let to = directory.endpoint("auth", "/api/v1/auth/license")?;
    let answer: AuthAnswer =
        client.cloud.post(&Ask { to, body: &body, bearer: None, idempotency_key: None }, effort)?;
    let lifetime = Duration::from_secs(answer.expires_in).min(LONGEST).saturating_sub(MARGIN);
    Ok(Access { token: answer.access_token, tenant: Some(answer.tenant_id), until: Instant::now() + lifetime })
}

/// Discards the current token, which the cloud has refused, so that the next one is a new one.
pub(crate) fn forget(client: &Inner) {
    let mut memory = client.access.lock().unwrap_or_else(PoisonError::into_inner);
    memory.refused = memory.current.take().map(|access| access.token);
}
