//! `POST /api/v1/licenses/heartbeat`: a session keeps its seat.
//!
//! Round trips: Redis 1. Postgres only when Redis doesn't know the license (it is restored first) or the session (to say
//! why it ended), and for a caller who comes with an ID token instead of its license token.
//!
//! Crashes: there is one write. A heartbeat whose answer was lost is simply sent again.

use axum::extract::{self, FromRef};
use common::caller::SessionCaller;
use common::{Answer, Body, Caller, Callers, Db, Problem, Setup, config};
use jiff::{SignedDuration, Timestamp};
use protocol::id::{LicenseId, SessionId, TenantId, UserId};
use protocol::wire::{EndedReason, HeartbeatAnswer, HeartbeatRequest, HeartbeatStatus};
use seats::{ExtendOutcome, Kept, Seats};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

/// A user's ID token may outlive the license, unlike our own tokens, so that the license's state is looked at too.
const LICENSE_OF_SESSION: &str = "/* license_of_session */
    select l.id, license_state(l.state, l.standing, l.expires_at)
    from sessions s join licenses l on l.id = s.license_id where s.id = $1 and s.user_id = $2";

/// State of the heartbeat function: seats, and the authentication of callers.
#[derive(Debug, Clone)]
pub struct State {
    seats: Seats,
    callers: Callers,
    db: Db,
    interval: SignedDuration,
}

impl State {
    /// Makes the state from the configuration; `None` where that has mistakes.
    pub fn connect(setup: &mut Setup) -> Option<Self> {
        let (seats, callers, db) = (Seats::from_setup(setup), Callers::from_setup(setup), Db::from_setup(setup));
        let interval = setup.defaulted(&config::HEARTBEAT_INTERVAL_SECONDS, config::seconds);
        Some(Self { seats: seats?, callers: callers?, db: db?, interval: SignedDuration::from_secs(interval?.into()) })
    }
}

impl FromRef<State> for Callers {
    fn from_ref(state: &State) -> Self {
        state.callers.clone()
    }
}

/// This function's routes.
pub fn routes(_: &State) -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(heartbeat))
}

/// Keep a session's seat for another six minutes, or until the license ends.
#[utoipa::path(
    post, path = "/api/v1/licenses/heartbeat", tag = "licenses", operation_id = "heartbeat",
    request_body = HeartbeatRequest, security(("bearer" = [])),
    responses(
        (status = 200, description = "The seat is kept.", body = HeartbeatAnswer),
        (status = 410, description = "The session has ended; acquire again.",
            body = protocol::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
async fn heartbeat(
    extract::State(app): extract::State<State>,
    caller: SessionCaller,
    Body { value: request, .. }: Body<HeartbeatRequest>,
) -> Result<Answer<HeartbeatAnswer>, Problem> {
    let session = request.session_id;
    let (tenant, license, subject) = match caller {
        SessionCaller::Session { session: own, .. } if own != session => {
            return Err(Problem::forbidden("A license token keeps its own session only."));
        }
        SessionCaller::Session { tenant, license, .. } => (tenant, license, None),
        SessionCaller::Subject(caller @ Caller::License { tenant, license }) => {
            (tenant, license, Some(caller.subject()))
        }
        SessionCaller::Subject(Caller::User { tenant, user, .. }) => {
            (tenant, license_of(&app.db, tenant, user, session).await?, Some(user.as_uuid()))
        }
    };
    match app.seats.extend(tenant, license, session, subject, request.instance.unwrap_or(seats::UNNAMED)).await? {
        ExtendOutcome::Live(kept) => answer(&app, kept),
        ExtendOutcome::Inactive(state) => Err(inactive(&state)),
        ExtendOutcome::Left => Err(Problem::session_ended(EndedReason::Released.as_str())),
        _ => Err(ended(&app, tenant, license, session, subject).await),
    }
}

fn answer(app: &State, kept: Kept) -> Result<Answer<HeartbeatAnswer>, Problem> {
    let time = |ms| Timestamp::from_millisecond(ms).map_err(Problem::internal_error);
    Ok(Answer::ok(HeartbeatAnswer {
        status: HeartbeatStatus::Ok,
        next_heartbeat_at: time(kept.now_ms)? + app.interval,
        seat_expires_at: time(kept.expires_ms)?,
    }))
}

/// Returns the problem of a session that Redis doesn't hold: the reason for its end. A session that isn't the caller's is not
/// found.
async fn ended(
    app: &State,
    tenant: TenantId,
    license: LicenseId,
    session: SessionId,
    subject: Option<Uuid>,
) -> Problem {
    match app.seats.end_reason(tenant, license, session, subject).await {
        Ok(Some(reason)) => Problem::session_ended(reason.as_str()),
        Ok(None) => Problem::not_found("session"),
        Err(problem) => problem,
    }
}

fn inactive(state: &str) -> Problem {
    match state {
        "expired" => Problem::session_ended_with_license(),
        "revoked" => Problem::session_ended("revoked"),
        _ => Problem::session_ended("suspended"),
    }
}

async fn license_of(db: &Db, tenant: TenantId, user: UserId, session: SessionId) -> Result<LicenseId, Problem> {
    let tx = db.tenant("license_of_session", tenant).await?;
    let [rows] = tx.finish([(LICENSE_OF_SESSION, &[&session.as_uuid(), &user.as_uuid()])]).await?;
    let row = rows.first().ok_or_else(|| Problem::not_found("session"))?;
    match row.get(1) {
        "active" => Ok(LicenseId::from_uuid(row.get(0))),
        state => Err(inactive(state)),
    }
}
