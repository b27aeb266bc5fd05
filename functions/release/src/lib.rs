//! `POST /api/v1/licenses/release`: an instance gives its session back, and the last one the session's seat.
//!
//! Round trips: Redis 1 (the instance leaves) → and after the last one Postgres 1 (the row is closed) → Redis 1 (the seat
//! falls free). One more in Postgres, in front, for a user's ID token, which does not name the license.
//!
//! Crashes: after the first, the session can't be joined any more and its seat can be passed on; it is restored when
//! Redis is lost at once, and then expires by itself. After the second, the seat has no holder until it is passed on.
//! Releasing again ends it at any time.

use axum::extract::{self, FromRef};
use common::caller::SessionCaller;
use common::{Answer, Body, Caller, Callers, Db, Problem, Setup};
use protocol::id::{LicenseId, SessionId, TenantId, UserId};
use protocol::wire::{ReleaseAnswer, ReleaseRequest, ReleaseStatus};
use seats::Seats;
use seats::release::LeaveRequest;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The license of a user's session.
const SESSION_LICENSE: &str = "/* session_license */
    select license_id from sessions where id = $1 and starts_with(holder, $2 || '/')";

/// State of the release function: the session's row, its seat, and the authentication of callers.
#[derive(Debug, Clone)]
pub struct State {
    seats: Seats,
    callers: Callers,
    db: Db,
}

impl State {
    /// Makes the state from the configuration; `None` where that has mistakes.
    pub fn connect(setup: &mut Setup) -> Option<Self> {
        let (seats, callers, db) = (Seats::from_setup(setup), Callers::from_setup(setup), Db::from_setup(setup));
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

/// Give a seat back. Releasing a session that has ended succeeds too. A session that others share ends with the last of them.
#[utoipa::path(
    post, path = "/api/v1/licenses/release", tag = "licenses", operation_id = "release",
    request_body = ReleaseRequest, security(("bearer" = [])),
    responses((status = 200, description = "The instance holds no seat any more, nor does the session, unless others share it.", body = ReleaseAnswer)),
)]
async fn release(
    extract::State(app): extract::State<State>,
    caller: SessionCaller,
    Body { value: request, .. }: Body<ReleaseRequest>,
) -> Result<Answer<ReleaseAnswer>, Problem> {
    let session = request.session_id;
    let (tenant, license, subject) = match caller {
        SessionCaller::Session { session: own, .. } if own != session => {
            return Err(Problem::forbidden("A license token releases its own session only."));
        }
        SessionCaller::Session { tenant, license, .. } => (tenant, license, None),
        SessionCaller::Subject(caller) => match caller {
            Caller::License { tenant, license } => (tenant, license, Some(caller.subject())),
            Caller::User { tenant, user, .. } => {
                (tenant, license_of(&app.db, tenant, user, session).await?, Some(user.as_uuid()))
            }
        },
    };
    let instance = request.instance.unwrap_or(seats::UNNAMED);
    if !app.seats.release(&LeaveRequest { tenant, license, session, subject, instance }).await? {
        return Err(Problem::not_found("session"));
    }
    Ok(Answer::ok(ReleaseAnswer { status: ReleaseStatus::Released }))
}

async fn license_of(db: &Db, tenant: TenantId, user: UserId, session: SessionId) -> Result<LicenseId, Problem> {
    let tx = db.tenant("session_license", tenant).await?;
    let [rows] = tx.finish([(SESSION_LICENSE, &[&session.as_uuid(), &user.as_uuid().to_string()])]).await?;
    let row = rows.first().ok_or_else(|| Problem::not_found("session"))?;
    Ok(LicenseId::from_uuid(row.get(0)))
}
