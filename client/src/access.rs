//! On whose behalf the cloud is asked, and the bearer token for it: the ID token of the signed-in user, else the access token
//! that a license key is exchanged for, which stays in memory.

use std::time::{Duration, Instant};

use protocol::key::LicenseKey;
use protocol::wire::{AuthAnswer, AuthRequest};

use crate::cloud::{Ask, Effort};
use crate::core::Core;
use crate::token_cache::AccessToken;
use crate::{Error, license_key, sign_in};

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

/// Returns the identity on whose behalf the cloud is asked. A key of the environment takes precedence over a sign-in,
/// and that over the stored license key.
pub(crate) fn credential(core: &Core) -> Result<Credential, Error> {
    if let Some(key) = license_key::given(core)? {
        return Ok(Credential::Key(key.clone()));
    }
    if sign_in::is_signed_in(core)? {
        return Ok(Credential::SignIn);
    }
    license_key::stored(core)?.map(Credential::Key).ok_or(Error::NoKey)
}

/// Returns the current token, or a new one.
pub(crate) fn token(core: &Core, credential: &Credential, effort: Effort) -> Result<AccessToken, Error> {
    core.tokens.current_or(|refused| match credential {
        Credential::SignIn => {
            let bearer = sign_in::bearer(core, refused)?;
            let lifetime = Duration::try_from(bearer.lifetime).unwrap_or_default().min(LONGEST);
            // Without a tenant, the sign-in is read again by the next call, since the first seat makes the tenant known.
            let lifetime = if bearer.tenant.is_some() { lifetime } else { Duration::ZERO };
            Ok(AccessToken { token: bearer.token, tenant: bearer.tenant, until: Instant::now() + lifetime })
        }
        Credential::Key(key) => exchange(core, key, effort),
    })
}

fn exchange(core: &Core, key: &LicenseKey, effort: Effort) -> Result<AccessToken, Error> {
    let body = AuthRequest { license_key: key.into(), machine_id: Some(core.machine.clone()) };
    let to = core.discovery.current(effort)?.endpoint("auth", "/api/v1/auth/license")?;
    let answer: AuthAnswer = core.cloud.post(&Ask { to, body: &body, bearer: None, idempotency_key: None }, effort)?;
    let lifetime = Duration::from_secs(answer.expires_in).min(LONGEST).saturating_sub(MARGIN);
    Ok(AccessToken { token: answer.access_token, tenant: Some(answer.tenant_id), until: Instant::now() + lifetime })
}
