//! `POST /api/v1/licenses/release`: a session gives its seat back.
//!
//! Round trips: Postgres 1 (the row is closed) → Redis 1 (the seat falls free).
//!
//! Crashes: between the two, the seat is nobody's until it expires by itself; releasing again frees it at once. The other
//! order could free a seat whose session a restore then brings back.

use axum::extract::{FromRef, State as Is};
use common::caller::SessionCaller;
use common::{Answer, Body, Caller, Callers, Db, Problem, Setup};
use protocol::id::LicenseId;
use protocol::wire::{ReleaseAnswer, ReleaseRequest, ReleaseStatus};
use seats::Seats;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

/// Closes a session that is the caller's; its licence comes back also when it had ended before.
const SESSION_RELEASE: &str = "/* session_release */
    with own as (
        select id, license_id from sessions
        where id = $1 and ($2::uuid is null or license_id = $2) and ($3::text is null or starts_with(holder, $3 || '/'))
    ), closed as (
        update sessions set ended_at = now(), ended_reason = 'released'
        from own where sessions.id = own.id and sessions.ended_at is null
    )
    select license_id from own";

/// What a release needs: the session's row, its seat, and who is asking.
#[derive(Debug, Clone)]
pub struct State {
    seats: Seats,
    callers: Callers,
    db: Db,
}

impl State {
    /// Asks for what this function needs.
    pub fn connect(setup: &mut Setup) -> Option<Self> {
        let (seats, callers, db) = (Seats::ask(setup), Callers::ask(setup), setup.postgres());
        Some(Self { seats: seats?, callers: callers?, db: db? })
    }
}

impl FromRef<State> for Callers {
    fn from_ref(state: &State) -> Self {
        state.callers.clone()
    }
}

/// This function's routes.
pub fn routes(_: &State) -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(release))
}

/// Give a seat back. Releasing a session that has ended succeeds too.
#[utoipa::path(
    post, path = "/api/v1/licenses/release", tag = "licenses", operation_id = "release",
    request_body = ReleaseRequest, security(("bearer" = [])),
    responses((status = 200, description = "The session holds no seat any more.", body = ReleaseAnswer)),
)]
async fn release(
    Is(app): Is<State>,
    caller: SessionCaller,
    Body { value: ask, .. }: Body<ReleaseRequest>,
) -> Result<Answer<ReleaseAnswer>, Problem> {
    let session = ask.session_id;
    let (tenant, license, subject) = match caller {
        SessionCaller::Session { session: own, .. } if own != session => {
            return Err(Problem::forbidden("A license token releases its own session only."));
        }
        SessionCaller::Session { tenant, license, .. } => (tenant, Some(license), None),
        SessionCaller::Subject(caller) => match caller {
            Caller::License { tenant, license } => (tenant, Some(license), Some(caller.subject())),
            Caller::User { tenant, user, .. } => (tenant, None, Some(user.as_uuid())),
        },
    };
    let license: Option<Uuid> = license.map(|l| l.as_uuid());
    let subject = subject.map(|s| s.to_string());
    let tx = app.db.tenant("session_release", tenant).await?;
    let [rows] = tx.finish([(SESSION_RELEASE, &[&session.as_uuid(), &license, &subject])]).await?;
    let license = rows.first().ok_or_else(|| Problem::not_found("session"))?.get(0);
    app.seats.free(LicenseId::from_uuid(license), &[session]).await?;
    Ok(Answer::ok(ReleaseAnswer { status: ReleaseStatus::Released }))
}
