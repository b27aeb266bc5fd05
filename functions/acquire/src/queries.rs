//! The statements of `acquire`.

use common::{Caller, Db, Problem};
use jiff::Timestamp;
use protocol::id::{LicenseId, SessionId, TenantId};
use protocol::wire::{AcquireRequest, EndedReason, Feature, Quotas, Tier};
use seats::Terms;
use serde::Deserialize;
use tokio_postgres::Row;
use uuid::Uuid;

/// The license that was asked for, or the tenant's, in the order in which a holder tries them: active ones first, of them the
/// one that the holder has an open session of, then the best plan, then the largest.
const LICENSES_FOR_CALLER: &str = "/* licenses_for_caller */
    select l.id, l.seat_generation, l.revision, l.seats, license_state(l.state, l.standing, l.expires_at) as state,
           l.expires_at, (select database_identity()) as database, l.plan_code, p.tier, p.features, p.quotas, s.held
    from licenses l join plans p on p.code = l.plan_code
         cross join lateral (
             select (select id from sessions where license_id = l.id and holder = $2 and ended_at is null) as held
         ) s
    where $1::uuid is null or l.id = $1
    order by license_state(l.state, l.standing, l.expires_at) = 'active' desc, s.held is not null desc,
             array_position(array['ENTERPRISE', 'BUSINESS', 'TEAM', 'PRO', 'FREE'], p.tier), l.seats desc, l.created_at, l.id
    limit 100";

/// Selects the standing of a session that was granted before.
const SESSION_STANDING: &str = "/* session_standing */
    select s.ended_reason, license_state(l.state, l.standing, l.expires_at)
    from sessions s join licenses l on l.id = s.license_id where s.id = $1";

/// Turns off `synchronous_commit`. Refusals are counted for those who decide about more seats; losing the last few in a crash
/// does no harm, so that the count doesn't wait for the disk.
const DURABLE_LATER: &str = "/* durable_later */ select set_config('synchronous_commit', 'off', true)";
const REFUSAL_COUNT: &str = "/* refusal_count */
    insert into license_daily_counts (tenant_id, license_id, kind) values (current_tenant(), $1, 'seat_refused')
    on conflict (license_id, day, kind) do update set count = license_daily_counts.count + 1";

/// A license as `acquire` needs it.
#[derive(Debug)]
pub(crate) struct License {
    pub(crate) id: LicenseId,
    pub(crate) terms: Terms,
    pub(crate) expires_at: Option<Timestamp>,
    /// The plan's code.
    pub(crate) plan: String,
    pub(crate) tier: Tier,
    pub(crate) features: Vec<Feature>,
    pub(crate) quotas: Quotas,
    /// The holder's session whose row is open.
    pub(crate) held: Option<Uuid>,
}

/// The licenses that a caller may take a seat of, in the order in which they are tried; at least one. The holder of a license
/// key may use that license alone.
pub(crate) async fn licenses_for_caller(
    db: &Db,
    caller: &Caller,
    request: &AcquireRequest,
) -> Result<Vec<License>, Problem> {
    let own = match caller {
        Caller::License { license, .. } => Some(*license),
        Caller::User { .. } => None,
    };
    let wanted: Option<Uuid> = request.license_id.or(own).map(|id| id.as_uuid());
    let holder = caller.holder(&request.hardware_id);
    let tx = db.tenant("licenses_for_caller", caller.tenant()).await?;
    let [rows] = tx.finish([(LICENSES_FOR_CALLER, &[&wanted, &holder])]).await?;
    let licenses = rows.iter().map(License::from_row).collect::<Result<Vec<_>, _>>()?;
    let first = licenses.first().ok_or_else(|| Problem::not_found("license"))?;
    match own {
        Some(own) if own != first.id => Err(Problem::forbidden(
            "This credential is for another license. Leave license_id out, or use that license's key.",
        )),
        _ => Ok(licenses),
    }
}

/// Refuses to repeat an answer whose session has ended, or whose license can't be used any more.
pub(crate) async fn session_must_be_open(db: &Db, caller: &Caller, answer: &[u8]) -> Result<(), Problem> {
    #[derive(Deserialize)]
    struct Answer {
        session_id: SessionId,
    }
    let Answer { session_id } = serde_json::from_slice(answer).map_err(Problem::internal_error)?;
    let tx = db.tenant("session_standing", caller.tenant()).await?;
    let [rows] = tx.finish([(SESSION_STANDING, &[&session_id.as_uuid()])]).await?;
    let ended = |reason: EndedReason| Problem::session_ended(reason.as_str());
    let row = rows.first().ok_or_else(|| ended(EndedReason::Expired))?;
    match (row.get(0), row.get(1)) {
        (None::<&str>, "active") => Ok(()),
        (None, state) => Err(inactive_problem(state)),
        (Some(reason), _) => Err(ended(reason.parse().unwrap_or(EndedReason::Expired))),
    }
}

/// Counts a refusal of today.
pub(crate) async fn count_refusal(db: &Db, tenant: TenantId, license: LicenseId) -> Result<(), Problem> {
    let tx = db.tenant("refusal_count", tenant).await?;
    tx.finish([(DURABLE_LATER, &[]), (REFUSAL_COUNT, &[&license.as_uuid()])]).await.map(drop)
}

impl License {
    /// Returns the license as it is after the end of the installation's own license. Holders that have a seat then keep a token
    /// that is valid for a day more.
    pub(crate) fn until(mut self, ends: Option<Timestamp>) -> Self {
        if ends.is_some_and(|end| end <= Timestamp::now()) && self.terms.state == "active" {
            "expired".clone_into(&mut self.terms.state);
        }
        self
    }

    fn from_row(row: &Row) -> Result<Self, Problem> {
        let features: Vec<&str> = row.get("features");
        Ok(Self {
            id: LicenseId::from_uuid(row.get("id")),
            terms: Terms::from_row(row),
            expires_at: row.get("expires_at"),
            plan: row.get("plan_code"),
            tier: row.get::<_, &str>("tier").parse().map_err(Problem::internal_error)?,
            features: features.iter().filter_map(|f| f.parse().ok()).collect(),
            quotas: serde_json::from_value(row.get("quotas")).map_err(Problem::internal_error)?,
            held: row.get("held"),
        })
    }
}

/// Returns the problem of a license in a state that forbids its use.
pub(crate) fn inactive_problem(state: &str) -> Problem {
    Problem::license_inactive(match state {
        "suspended" => "suspended",
        "revoked" => "revoked",
        "expired" => "expired",
        _ => "subscription_inactive",
    })
}
