//! `POST /api/v1/licenses/acquire`: a holder takes a seat, or gets the one that it already has.
//!
//! Round trips: Postgres 1 (the licenses) → Redis 1 (the grant) → Postgres 1 (the session's row, which also ends the
//! sessions whose seats it takes over) → Redis 1 (the confirmation) → KMS 1 (the signature) → answer. Two more in
//! Postgres with an `Idempotency-Key`; an answer that is given again costs two alone, the second to see that its session is open.
//! Where a person may use several licenses: one in Redis for each that is full, and one in Postgres (that the holder has no
//! seat of another).
//!
//! Crashes: after the grant, no client holds the seat until it expires, or until its holder asks again and gets it; the same
//! after the row. No client receives an answer before the confirmation.

mod choice;
mod queries;

use axum::extract::{self, FromRef};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use common::idempotency::{Idempotency, Replay};
use common::{Body, Caller, Callers, Db, LogEvent, Problem, Setup, body, config};
use jiff::{SignedDuration, Timestamp};
use protocol::problem::Code;
use protocol::token::{LICENSE_AUDIENCE, LICENSE_TYPE, LicenseClaims};
use protocol::wire::{AcquireAnswer, AcquireRequest, SeatCounts};
use queries::License;
use seats::{Grant, Seats};
use signing::TokenSigner;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// State of the acquire function: the licenses, their seats, the signing key, and the authentication of callers.
#[derive(Debug, Clone)]
pub struct State {
    db: Db,
    seats: Seats,
    signer: TokenSigner,
    callers: Callers,
    issuer: String,
    token_ttl: SignedDuration,
    heartbeat_interval_seconds: u32,
    ends: Option<Timestamp>,
}

impl State {
    /// Makes the state from the configuration; `None` where that has mistakes.
    pub fn connect(setup: &mut Setup) -> Option<Self> {
        let (db, seats, callers) = (Db::from_setup(setup), Seats::from_setup(setup), Callers::from_setup(setup));
        let signer = TokenSigner::from_setup(setup);
        let issuer = setup.required(&config::PUBLIC_URL, config::url);
        let ttl = setup.defaulted(&config::LICENSE_TOKEN_TTL_SECONDS, config::seconds);
        let interval = setup.defaulted(&config::HEARTBEAT_INTERVAL_SECONDS, config::seconds);
        Some(Self {
            db: db?,
            seats: seats?,
            signer: signer?,
            callers: callers?,
            issuer: issuer?,
            token_ttl: SignedDuration::from_secs(ttl?.into()),
            heartbeat_interval_seconds: interval?,
            ends: None,
        })
    }

    /// Returns this state for an installation that may serve at most so many users over all of its licenses, and no new one
    /// from the end of its own license on.
    #[must_use]
    pub fn within(self, users: u32, ends: Option<Timestamp>) -> Self {
        Self { seats: self.seats.within(users), ends, ..self }
    }
}

impl FromRef<State> for Callers {
    fn from_ref(state: &State) -> Self {
        state.callers.clone()
    }
}

/// This function's routes.
pub fn routes(_: &State) -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(acquire))
}

/// Take a seat. The same user on the same device gets its live session again, never a second seat.
///
/// With an `Idempotency-Key`, an answer with a seat is kept for 24 hours; a refusal is not, so that the key can be used
/// to try again.
#[utoipa::path(
    post, path = "/api/v1/licenses/acquire", tag = "licenses", operation_id = "acquire",
    request_body = AcquireRequest, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$",
        description = "A request that is repeated with the same key and body gets the same answer.")),
    responses(
        (status = 201, description = "A new session.", body = AcquireAnswer),
        (status = 200, description = "The holder's live session.", body = AcquireAnswer),
        (status = 409, description = "Every seat is taken.",
            body = protocol::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 410, description = "The session that was granted under this `Idempotency-Key` has ended.",
            body = protocol::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "The caller has sent too many requests with an `Idempotency-Key` in the last 24 hours.",
            body = protocol::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
async fn acquire(
    extract::State(app): extract::State<State>,
    caller: Caller,
    idempotency: Idempotency,
    Body { value: request, bytes }: Body<AcquireRequest>,
) -> Result<Response, Problem> {
    let keyed = match idempotency.begin(&app.db, caller.tenant(), "acquire", caller.subject(), &bytes).await? {
        Replay::Answered(stored) => {
            queries::session_must_be_open(&app.db, &caller, &stored.body).await?;
            return Ok(stored.into_response());
        }
        Replay::New(keyed) => Some(keyed),
        Replay::Off => None,
    };
    let taken = choice::acquire_seat(&app, &caller, &request).await;
    let (license, grant) = taken.map_err(|refusal| match caller {
        Caller::User { has_claim: true, .. } if lacks_a_license(refusal.code()) => refusal.with_claim(),
        _ => refusal,
    })?;
    let grant = granted(&license, grant);
    let claims = token_claims(&app, &caller, &request, &license, &grant);
    let license_token = app.signer.sign(&claims).await?;

    let status = if grant.new { StatusCode::CREATED } else { StatusCode::OK };
    let answer =
        serde_json::to_vec(&answer(&app, license, &grant, &claims, license_token)?).map_err(Problem::internal_error)?;
    match keyed {
        Some(keyed) => keyed.answer(status, answer).await,
        None => Ok(body::json(status, answer)),
    }
}

/// Checks whether another license would help.
fn lacks_a_license(code: Code) -> bool {
    matches!(code, Code::LicenseInactive | Code::NotFound | Code::NoSeatsAvailable)
}

fn answer(
    app: &State,
    license: License,
    grant: &Grant,
    claims: &LicenseClaims,
    license_token: String,
) -> Result<AcquireAnswer, Problem> {
    Ok(AcquireAnswer {
        session_id: grant.session,
        license_token,
        expires_at: Timestamp::from_second(claims.exp).map_err(Problem::internal_error)?,
        seat_expires_at: Timestamp::from_millisecond(grant.expires_ms).map_err(Problem::internal_error)?,
        heartbeat_interval_seconds: app.heartbeat_interval_seconds,
        seats: SeatCounts { limit: grant.limit, in_use: grant.in_use },
        tier: license.tier,
        features: license.features,
        quotas: license.quotas,
    })
}

fn granted(license: &License, grant: Grant) -> Grant {
    let (id, plan) = (license.id.as_uuid(), license.plan.as_str());
    if !grant.gone.is_empty() {
        LogEvent::SeatExpired { license: id, plan, seats: grant.gone.len() as u64 }.emit();
    }
    let event = LogEvent::SeatGranted {
        license: id,
        plan,
        session: if grant.new { "new" } else { "known" },
        limit: grant.limit.into(),
        in_use: grant.in_use.into(),
        used: f64::from(grant.in_use) / f64::from(grant.limit.max(1)),
    };
    event.emit();
    grant
}

/// No token outlives its license.
fn token_claims(
    app: &State,
    caller: &Caller,
    request: &AcquireRequest,
    license: &License,
    grant: &Grant,
) -> LicenseClaims {
    let now = Timestamp::now();
    let expires = license.expires_at.map_or(now + app.token_ttl, |end| end.min(now + app.token_ttl));
    LicenseClaims {
        iss: app.issuer.clone(),
        sub: caller.subject().to_string(),
        aud: LICENSE_AUDIENCE.to_owned(),
        iat: now.as_second(),
        nbf: now.as_second(),
        exp: expires.as_second(),
        jti: uuid::Uuid::now_v7().to_string(),
        typ: LICENSE_TYPE.to_owned(),
        tenant_id: caller.tenant(),
        license_id: license.id,
        session_id: grant.session,
        hardware_id: request.hardware_id.clone(),
        tier: license.tier,
        features: license.features.clone(),
        quotas: license.quotas.clone(),
    }
}
