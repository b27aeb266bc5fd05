//! A seat as granted by the cloud, and its license token, which is stored for the next time that the cloud is unreachable.

use std::time::Duration;

use jiff::Timestamp;
use local::clock::Moment;
use local::notice::Notice;
use local::random;
use protocol::id::{ClientVersion, Hostname, IdempotencyKey, SessionId, TenantId};
use protocol::problem::Code;
use protocol::token::{LicenseClaims, TokenError, verify_claims, verify_license};
use protocol::wire::{AcquireAnswer, AcquireRequest, Feature, Quotas, SeatCounts, Tier};

use crate::access::{self, Credential};
use crate::cloud::{Ask, Effort};
use crate::core::Core;
use crate::discovery::signed_at;
use crate::{Error, License, last_validation, seat_token, sign_in};

/// Heartbeat interval until the cloud has set one.
const USUAL_INTERVAL: Duration = Duration::from_secs(300);

/// A seat as the cloud granted it.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) session_id: SessionId,
    pub(super) token: String,
    pub(super) expires_at: Timestamp,
    /// Remaining validity of the token when it was received, or read from its file.
    pub(super) lifetime: Duration,
    pub(super) seat_expires_at: Timestamp,
    pub(super) interval: Duration,
    pub(super) seats: Option<SeatCounts>,
    pub(super) tier: Tier,
    pub(super) features: Vec<Feature>,
    pub(super) quotas: Quotas,
}

impl Grant {
    /// Returns the license that the seat grants.
    pub(super) fn license(&self) -> License {
        License::of_seat(self.tier, self.features.clone(), self.quotas.clone(), self.expires_at)
    }

    fn of(token: String, claims: LicenseClaims, received_at: Timestamp) -> Result<Self, TokenError> {
        let expires_at = signed_at(claims.exp)?;
        Ok(Self {
            session_id: claims.session_id,
            token,
            expires_at,
            lifetime: expires_at.duration_since(received_at).try_into().unwrap_or(Duration::ZERO),
            seat_expires_at: expires_at,
            interval: USUAL_INTERVAL,
            seats: None,
            tier: claims.tier,
            features: claims.features,
            quotas: claims.quotas,
        })
    }
}

/// Returns the idempotency key of one attempt to acquire a seat; its retries over a bad network have the same key.
pub(super) fn new_attempt() -> IdempotencyKey {
    IdempotencyKey::parse(random::name()).expect("a UUID is short and visible")
}

/// Asks the cloud for a seat. The token of a granted seat is stored; a refusal deletes the stored token.
pub(super) fn acquire(
    core: &Core,
    credential: &Credential,
    attempt: &IdempotencyKey,
    effort: Effort,
) -> Result<Grant, Error> {
    let answer = match ask(core, credential, attempt, effort) {
        // The current access token may have been signed by a key that is gone, so the request is repeated with a new token.
        Err(Error::Refused(refusal)) if refusal.problem.known_code() == Some(Code::InvalidToken) => {
            core.tokens.forget();
            ask(core, credential, attempt, effort)
        }
        other => other,
    };
    match answer {
        Ok(answer) => {
            let (grant, tenant) = check(core, answer)?;
            if let Credential::SignIn = credential
                && let Err(error) = sign_in::learn_tenant(core, tenant)
            {
                core.notify.send(&Notice::NotStored(error));
            }
            seat_token::store(core, &grant.token);
            Ok(grant)
        }
        Err(Error::Refused(refusal)) if core.keeps_answers() => {
            seat_token::forget(core)?;
            if let Some(Code::InvalidLicenseKey | Code::LicenseInactive) = refusal.problem.known_code() {
                last_validation::forget(core)?;
            }
            Err(Error::Refused(refusal))
        }
        Err(error) => Err(error),
    }
}

/// Returns the grant of the last license token, if it is still valid; used while the cloud cannot be reached.
pub(super) fn last(core: &Core) -> Result<Option<Grant>, Error> {
    let moment = core.time.look()?;
    last_at(core, moment, moment.now)
}

/// Sends a notice if the last license token is valid at the floor of the time, as the clock may be ahead.
pub(super) fn tell_doubt(core: &Core) -> Result<(), Error> {
    let moment = core.time.look()?;
    if last_at(core, moment, moment.floor)?.is_some() {
        core.time.doubt(moment);
    }
    Ok(())
}

fn last_at(core: &Core, moment: Moment, at: Timestamp) -> Result<Option<Grant>, Error> {
    let Some((token, claims)) = seat_token::read(core, moment, at)? else { return Ok(None) };
    // The leeway is for clocks that differ; here there is only one.
    Ok(Grant::of(token, claims, at).ok().filter(|grant| !grant.lifetime.is_zero()))
}

/// Returns the license that the last license token grants, while the token is valid.
pub(crate) fn last_license(core: &Core) -> Result<Option<License>, Error> {
    Ok(last(core)?.as_ref().map(Grant::license))
}

/// Returns the time until which the last license token is valid.
pub(crate) fn last_token_until(core: &Core) -> Result<Option<Timestamp>, Error> {
    Ok(last(core)?.map(|grant| grant.expires_at))
}

fn ask(core: &Core, credential: &Credential, attempt: &IdempotencyKey, effort: Effort) -> Result<AcquireAnswer, Error> {
    let bearer = access::token(core, credential, effort)?.token;
    let discovery = core.discovery.current(effort)?;
    let body = AcquireRequest {
        hardware_id: core.machine.clone(),
        license_id: None,
        hostname: hostname(),
        version: ClientVersion::parse(env!("CARGO_PKG_VERSION")).ok(),
        instance: Some(core.instance()),
    };
    let to = discovery.endpoint("acquire", "/api/v1/licenses/acquire")?;
    core.cloud.post(&Ask { to, body: &body, bearer: Some(&bearer), idempotency_key: Some(attempt) }, effort)
}

fn check(core: &Core, answer: AcquireAnswer) -> Result<(Grant, TenantId), Error> {
    let token = &answer.license_token;
    let claims = core.discovery.check(|discovery| {
        // Signed just now, so the time is the cloud's.
        let signed: LicenseClaims = verify_claims(token, &discovery.keys)?;
        let now = signed_at(signed.iat)?;
        let claims = verify_license(token, &discovery.keys, discovery.issuer(), Some(&core.machine), now)?;
        if claims.session_id == answer.session_id { Ok(claims) } else { Err(TokenError::Malformed) }
    })?;
    let signed = signed_at(claims.iat).map_err(Error::Untrusted)?;
    core.time.learn(signed);
    let tenant = claims.tenant_id;
    let grant = Grant::of(answer.license_token, claims, signed).map_err(Error::Untrusted)?;
    let grant = Grant {
        seat_expires_at: answer.seat_expires_at,
        // Zero would flood the cloud with requests.
        interval: Duration::from_secs(u64::from(answer.heartbeat_interval_seconds.max(1))),
        seats: Some(answer.seats),
        ..grant
    };
    Ok((grant, tenant))
}

/// Returns the machine's host name, if it is valid for display.
fn hostname() -> Option<Hostname> {
    Hostname::parse(rustix::system::uname().nodename().to_str().ok()?).ok()
}
