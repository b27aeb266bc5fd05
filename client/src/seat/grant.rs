//! A seat as granted by the cloud, and its license token, which is stored for the next time that the cloud is unreachable.

use std::time::Duration;

use jiff::Timestamp;
use protocol::id::{ClientVersion, Hostname, IdempotencyKey, SessionId, TenantId};
use protocol::problem::Code;
use protocol::token::{LicenseClaims, TokenError, verify_claims, verify_license};
use protocol::wire::{AcquireAnswer, AcquireRequest, Feature, Quotas, SeatCounts, Tier};

use crate::access::{self, Credential};
use crate::client::Inner;
use crate::clock::Moment;
use crate::cloud::{Ask, Effort};
use crate::notice::Notice;
use crate::validation::{self, signed_at};
use crate::{Error, License, Source, random, sign_in};

/// The sealed file with the last license token. The token is verified at every use.
const FILE: &str = "seat";

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
        License {
            tier: self.tier,
            features: self.features.clone(),
            quotas: self.quotas.clone(),
            source: Source::Seat,
            validated_at: None,
            refresh_after: None,
            grace_until: Some(self.expires_at),
        }
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
    client: &Inner,
    credential: &Credential,
    attempt: &IdempotencyKey,
    effort: Effort,
) -> Result<Grant, Error> {
    let answer = match ask(client, credential, attempt, effort) {
        // The current access token may have been signed by a key that is gone, so the request is repeated with a new token.
        Err(Error::Refused(refusal)) if refusal.problem.known_code() == Some(Code::InvalidToken) => {
            access::forget(client);
            ask(client, credential, attempt, effort)
        }
        other => other,
    };
    match answer {
        Ok(answer) => {
            let (grant, tenant) = check(client, answer)?;
            if let Credential::SignIn = credential
                && let Err(error) = sign_in::learn_tenant(client, tenant)
            {
                client.notify.send(&Notice::NotStored(error));
            }
            if client.keeps_answers()
                && let Err(error) = client.vault.seal(FILE, grant.token.as_bytes())
            {
                client.notify.send(&Notice::NotStored(error));
            }
            Ok(grant)
        }
        Err(Error::Refused(refusal)) if client.keeps_answers() => {
            forget(client)?;
            if let Some(Code::InvalidLicenseKey | Code::LicenseInactive) = refusal.problem.known_code() {
                validation::forget(client)?;
            }
            Err(Error::Refused(refusal))
        }
        Err(error) => Err(error),
    }
}

/// Returns the grant of the last license token, if it is still valid; used while the cloud cannot be reached.
pub(super) fn last(client: &Inner) -> Result<Option<Grant>, Error> {
    let moment = client.time.look()?;
    last_at(client, moment, moment.now)
}

/// Sends a notice if the last license token is valid at the floor of the time, as the clock may be ahead.
pub(super) fn tell_doubt(client: &Inner) -> Result<(), Error> {
    let moment = client.time.look()?;
    if last_at(client, moment, moment.floor)?.is_some() {
        client.time.doubt(moment);
    }
    Ok(())
}

fn last_at(client: &Inner, moment: Moment, now: Timestamp) -> Result<Option<Grant>, Error> {
    if !client.keeps_answers() {
        return Ok(None);
    }
    let token = match client.vault.open(FILE) {
        Err(Error::Sealed { .. }) => None,
        other => other?,
    };
    let Some(token) = token.and_then(|token| String::from_utf8(token).ok()) else { return Ok(None) };
    let Some(directory) = client.directories.known()?.filter(|_| moment.anchored) else { return Ok(None) };
    let claims = verify_license(&token, &directory.keys, directory.issuer(), Some(&client.machine), now);
    let grant = claims.and_then(|claims| Grant::of(token, claims, now));
    // The leeway is for clocks that differ; here there is only one.
    Ok(grant.ok().filter(|grant| !grant.lifetime.is_zero()))
}

/// Deletes the stored license token.
pub(crate) fn forget(client: &Inner) -> Result<(), Error> {
    client.vault.remove(FILE)
}

fn ask(
    client: &Inner,
    credential: &Credential,
    attempt: &IdempotencyKey,
    effort: Effort,
) -> Result<AcquireAnswer, Error> {
    let bearer = access::token(client, credential, effort)?;
    let directory = client.directories.current(client.time.wall(), effort)?;
    let body = AcquireRequest {
        hardware_id: client.machine.clone(),
        license_id: None,
        hostname: hostname(),
        version: ClientVersion::parse(env!("CARGO_PKG_VERSION")).ok(),
        instance: Some(client.instance()),
    };
    let to = directory.endpoint("acquire", "/api/v1/licenses/acquire")?;
    client.cloud.post(&Ask { to, body: &body, bearer: Some(&bearer), idempotency_key: Some(attempt) }, effort)
}

fn check(client: &Inner, answer: AcquireAnswer) -> Result<(Grant, TenantId), Error> {
    let token = &answer.license_token;
    let claims = client.directories.check(client.time.wall(), |directory| {
        // Signed just now, so the time is the cloud's.
        let signed: LicenseClaims = verify_claims(token, &directory.keys)?;
        let now = signed_at(signed.iat)?;
        let claims = verify_license(token, &directory.keys, directory.issuer(), Some(&client.machine), now)?;
        if claims.session_id == answer.session_id { Ok(claims) } else { Err(TokenError::Malformed) }
    })?;
    let signed = signed_at(claims.iat).map_err(Error::Untrusted)?;
    client.time.learn(signed);
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
