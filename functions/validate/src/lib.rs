//! `POST /api/v1/licenses/validate`: checks if a license key may be used on a machine.
//!
//! Round trips: Redis 1 (how often has this address failed?) → Postgres 1 (the license, and the device's place renewed) →
//! KMS 1 (the signature). A device that comes for the first time costs Postgres two more, a license that
//! isn't active one; a wrong key costs Redis two.
//!
//! `POST /api/v1/licenses/deactivate`: a machine gives its place back.
//!
//! Round trips: Redis 1 → Postgres 2 (the place taken away, and when there is room for another device).
//!
//! Crashes: a device may have its place although no client received the answer; asking again finds it. One that gave its place
//! back may have received no answer either; giving it back again is the same.

mod queries;

use axum::extract::{self, FromRef};
use axum::response::{IntoResponse, Response};
use common::auth_rate_limit::{self, AuthRateLimit, FailedAttempt};
use common::license_key::KeyHasher;
use common::problem::KEY_REPLACED;
use common::{Answer, Body, ClientAddress, Db, LogEvent, Problem, Setup, config, other_license, request};
use jiff::{SignedDuration, Timestamp};
use protocol::key::LicenseKey;
use protocol::token::{LICENSE_AUDIENCE, VALIDATION_TYPE, ValidationClaims};
use protocol::wire::{
    Bool, DeactivateAnswer, DeactivateRequest, Deactivated, InvalidLicense, InvalidReason, ValidLicense,
    ValidateAnswer, ValidateRequest,
};
use queries::{Activation, License, Room};
use signing::TokenSigner;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Time for which a client uses a validation without asking again.
const REFRESH_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// Time for which a client continues to use a validation when the cloud can't be reached.
const GRACE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The quota that validations are counted against, where a plan has it.
const VALIDATIONS_PER_DAY: &str = "validations_per_day";

/// State of the validate function: licenses by key, devices, the signing key, and the limit on guessing.
#[derive(Debug, Clone)]
pub struct State {
    db: Db,
    hasher: KeyHasher,
    rate_limit: AuthRateLimit,
    signer: TokenSigner,
    issuer: String,
    ends: Option<Timestamp>,
}

impl State {
    /// Makes the state from the configuration; `None` where that has mistakes.
    pub fn connect(setup: &mut Setup) -> Option<Self> {
        let (db, hasher, rate_limit) =
            (Db::from_setup(setup), KeyHasher::from_setup(setup), AuthRateLimit::from_setup(setup));
        let signer = TokenSigner::from_setup(setup);
        let issuer = setup.required(&config::PUBLIC_URL, config::url);
        Some(Self { db: db?, hasher: hasher?, rate_limit: rate_limit?, signer: signer?, issuer: issuer?, ends: None })
    }

    /// Returns this state for an installation none of whose licenses lasts longer than its own.
    #[must_use]
    pub fn until(self, ends: Option<Timestamp>) -> Self {
        Self { ends, ..self }
    }
}

impl FromRef<State> for AuthRateLimit {
    fn from_ref(state: &State) -> Self {
        state.rate_limit.clone()
    }
}

/// This function's routes, guarded against guessing.
pub fn routes(state: &State) -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(validate))
        .routes(routes!(deactivate))
        .route_layer(axum::middleware::from_fn_with_state(state.clone(), auth_rate_limit::limit))
}

/// Ask whether a license key may be used on a machine. The answer is signed, for use offline.
#[utoipa::path(
    post, path = "/api/v1/licenses/validate", tag = "licenses", operation_id = "validate",
    request_body = ValidateRequest,
    responses(
        (status = 200, description = "The question was answered: yes, or no and why.", body = ValidateAnswer),
        (status = 429, description = "Too many failed attempts from this address.",
            body = protocol::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
async fn validate(
    extract::State(app): extract::State<State>,
    address: ClientAddress,
    Body { value: request, .. }: Body<ValidateRequest>,
) -> Result<Response, Problem> {
    let key = match request.license_key.parse() {
        Ok(key) => key,
        Err(why) => {
            let answer = with_event("none", invalid(InvalidReason::InvalidFormat, why.to_string()));
            return Ok(
                (FailedAttempt(app.hasher.hash_text(request.license_key.as_str())), Answer::ok(answer)).into_response()
            );
        }
    };
    let Some(license) = license_of(&app, &key, &request, address).await? else {
        let answer = with_event("none", ValidateAnswer::invalid(InvalidReason::NotFound));
        return Ok((FailedAttempt(app.hasher.hash(&key)), Answer::ok(answer)).into_response());
    };
    request::set_tenant(license.tenant);
    let plan = license.plan.clone();
    let answer = match refusal(&app, &license, &request, address).await? {
        Some(refused) => refused,
        None => valid(&app, license, &request).await?,
    };
    Ok(Answer::ok(with_event(&plan, answer)).into_response())
}

/// Give a machine's place on a license back, so that another one can be activated.
#[utoipa::path(
    post, path = "/api/v1/licenses/deactivate", tag = "licenses", operation_id = "deactivate",
    request_body = DeactivateRequest,
    responses(
        (status = 200, description = "The machine has no place on the license.", body = DeactivateAnswer),
        (status = 401, description = "The key is not known.",
            body = protocol::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "Too many failed attempts from this address.",
            body = protocol::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
async fn deactivate(
    extract::State(app): extract::State<State>,
    address: ClientAddress,
    Body { value: request, .. }: Body<DeactivateRequest>,
) -> Result<Answer<DeactivateAnswer>, (Option<FailedAttempt>, Problem)> {
    let unknown = |hash| (Some(FailedAttempt(hash)), Problem::invalid_license_key());
    let key = request.license_key.parse().map_err(|_| unknown(app.hasher.hash_text(request.license_key.as_str())))?;
    for hash in app.hasher.hashes(&key) {
        let found = queries::deactivate(&app.db, &hash, &request.machine_id, address.0).await;
        if let Some((tenant, room)) = found.map_err(|problem| (None, problem))? {
            request::set_tenant(tenant);
            let next_activation_at = room.place_at.max(room.activation_at);
            return Ok(Answer::ok(DeactivateAnswer { status: Deactivated::Deactivated, next_activation_at }));
        }
    }
    Err(unknown(app.hasher.hash(&key)))
}

/// The license of a key, under whichever pepper it is hashed.
async fn license_of(
    app: &State,
    key: &LicenseKey,
    request: &ValidateRequest,
    address: ClientAddress,
) -> Result<Option<License>, Problem> {
    for hash in app.hasher.hashes(key) {
        if let Some(license) = queries::license_for_device(&app.db, &hash, &request.machine_id, address.0).await? {
            app.hasher.request_rehash(&app.db, key, hash).await;
            return Ok(Some(license.until(app.ends)));
        }
    }
    Ok(None)
}

/// Records the outcome of a validation, and returns the answer.
fn with_event(plan: &str, answer: ValidateAnswer) -> ValidateAnswer {
    let outcome = match &answer {
        ValidateAnswer::Valid(_) => "valid",
        ValidateAnswer::Invalid(refused) => refused.reason.as_str(),
    };
    LogEvent::Validated { plan, outcome }.emit();
    answer
}

/// Returns the first reason for a refusal, in the order that is promised to clients: state, device, quotas.
async fn refusal(
    app: &State,
    license: &License,
    request: &ValidateRequest,
    address: ClientAddress,
) -> Result<Option<ValidateAnswer>, Problem> {
    let by_state = match license.state.as_str() {
        "active" => None,
        "key_replaced" => return Ok(Some(invalid(InvalidReason::Revoked, KEY_REPLACED.to_owned()))),
        "revoked" => Some(InvalidReason::Revoked),
        "suspended" => Some(InvalidReason::Suspended),
        "expired" => Some(InvalidReason::Expired),
        _ => Some(InvalidReason::SubscriptionInactive),
    };
    if let Some(reason) = by_state {
        let other = other_license::find(&app.db, license.tenant, license.id, app.ends).await?;
        let refused = InvalidLicense::new(reason, reason.message()).with_other_license(other);
        return Ok(Some(ValidateAnswer::Invalid(refused)));
    }
    if !license.known_device {
        match queries::activate(&app.db, license, &request.machine_id, address.0).await? {
            Activation::Activated => {}
            Activation::Refused(room) => return Ok(Some(device_refusal(&room))),
        }
    }
    match license.quotas.get(VALIDATIONS_PER_DAY) {
        Some(limit) if limit >= 0 && queries::count_validation(&app.db, license).await? > limit => {
            Ok(Some(ValidateAnswer::invalid(InvalidReason::QuotaExceeded)))
        }
        _ => Ok(None),
    }
}

/// One sentence for the limits that apply, and when they end.
fn device_refusal(room: &Room) -> ValidateAnswer {
    let places = room.places.unwrap_or_default();
    let time = |time: Timestamp| time.strftime("%Y-%m-%d at %H:%M UTC").to_string();
    let message = match (room.place_at.map(time), room.activation_at.map(time)) {
        (Some(place), None) => format!(
            "This license is in use on {places} of {places} devices. `coditect deactivate` on one of them gives its place \
             back at once. Without that the next place falls free on {place}, if its device does not use the license before."
        ),
        (None, Some(activation)) if room.places.is_none() => format!(
            "This license was activated on as many devices in the last 24 hours as a license can be. Another device can be \
             activated on {activation}."
        ),
        (None, Some(activation)) => format!(
            "This license was activated on {places} devices in the last 24 hours, which is as many as its plan has places \
             for. There is a free place, and another device can be activated on {activation}."
        ),
        (Some(place), Some(activation)) => format!(
            "This license is in use on {places} of {places} devices, and {places} of them were activated in the last 24 \
             hours, which is the most. `coditect deactivate` on one of them gives its place back, and another device can \
             be activated on {activation}. Without that the next place falls free on {place}."
        ),
        (None, None) => "This license's plan has no places for devices. Ask your admin for another plan.".to_owned(),
    };
    invalid(InvalidReason::DeviceLimitExceeded, message)
}

fn invalid(reason: InvalidReason, message: String) -> ValidateAnswer {
    ValidateAnswer::Invalid(InvalidLicense::new(reason, message))
}

/// Makes the answer for a valid license. Neither the refresh nor the grace goes beyond the license, or beyond a key that was
/// replaced.
async fn valid(app: &State, license: License, request: &ValidateRequest) -> Result<ValidateAnswer, Problem> {
    let now = Timestamp::now();
    let ends = [license.expires_at, license.key_replaced_until];
    let within = |time: Timestamp| ends.into_iter().flatten().fold(time, Timestamp::min);
    let (refresh_after, grace_until) = (within(now + REFRESH_AFTER), within(now + GRACE));
    let claims = ValidationClaims {
        iss: app.issuer.clone(),
        sub: license.id,
        aud: LICENSE_AUDIENCE.to_owned(),
        iat: now.as_second(),
        exp: grace_until.as_second(),
        typ: VALIDATION_TYPE.to_owned(),
        tenant_id: license.tenant,
        tier: license.tier,
        features: license.features.clone(),
        quotas: license.quotas.clone(),
        machine_id: request.machine_id.clone(),
        refresh_after: refresh_after.as_second(),
    };
    let validation_token = app.signer.sign(&claims).await?;
    Ok(ValidateAnswer::Valid(ValidLicense {
        valid: Bool,
        tier: license.tier,
        expires_at: license.expires_at,
        features: license.features,
        quotas: license.quotas,
        validation_token,
        refresh_after,
        grace_until,
        key_replaced_until: license.key_replaced_until,
    }))
}
