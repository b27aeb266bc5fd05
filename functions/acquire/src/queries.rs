//! The statements of `acquire`.

use common::{Caller, Db, Problem};
use jiff::Timestamp;
use protocol::id::{LicenseId, TenantId};
use protocol::wire::{Feature, Quotas, Tier};
use seats::Terms;
use tokio_postgres::Row;
use uuid::Uuid;

/// The licence that was asked for, or the tenant's best: one that is active before one that isn't, then the largest.
const LICENSE_FOR_CALLER: &str = "/* license_for_caller */
    select l.id, l.seat_generation, l.revision, l.seats, license_state(l.state, l.standing, l.expires_at) as state,
           l.expires_at, l.plan_code, p.tier, p.features, p.quotas
    from licenses l join plans p on p.code = l.plan_code
    where $1::uuid is null or l.id = $1
    order by license_state(l.state, l.standing, l.expires_at) = 'active' desc, l.seats desc, l.created_at
    limit 1";

/// Refusals are counted for those who decide about more seats; losing the last few in a crash is no harm, so that the
/// count doesn't wait for the disk.
const DURABLE_LATER: &str = "/* durable_later */ select set_config('synchronous_commit', 'off', true)";
const REFUSAL_COUNT: &str = "/* refusal_count */
    insert into license_daily_counts (tenant_id, license_id, kind) values (current_tenant(), $1, 'seat_refused')
    on conflict (license_id, day, kind) do update set count = license_daily_counts.count + 1";

/// A licence as `acquire` needs it.
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
}

/// The licence a caller takes a seat of. Whoever holds a license key may use that licence alone.
pub(crate) async fn license_for_caller(db: &Db, caller: &Caller, asked: Option<LicenseId>) -> Result<License, Problem> {
    let own = match caller {
        Caller::License { license, .. } => Some(*license),
        Caller::User { .. } => None,
    };
    let wanted: Option<Uuid> = asked.or(own).map(|id| id.as_uuid());
    let tx = db.tenant("license_for_caller", caller.tenant()).await?;
    let [rows] = tx.finish([(LICENSE_FOR_CALLER, &[&wanted])]).await?;
    let license = License::from_row(rows.first().ok_or_else(|| Problem::not_found("license"))?)?;
    match own {
        Some(own) if own != license.id => Err(Problem::forbidden(
            "This credential is for another license. Leave license_id out, or use that license's key.",
        )),
        _ => Ok(license),
    }
}

/// Counts a refusal of today.
pub(crate) async fn count_refusal(db: &Db, tenant: TenantId, license: LicenseId) -> Result<(), Problem> {
    let tx = db.tenant("refusal_count", tenant).await?;
    tx.finish([(DURABLE_LATER, &[]), (REFUSAL_COUNT, &[&license.as_uuid()])]).await.map(drop)
}

impl License {
    /// The same after the installation's own licence has ended. Whoever sits then has a token that is good for a day more.
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
            terms: Terms {
                generation: row.get("seat_generation"),
                revision: row.get("revision"),
                limit: u32::try_from(row.get::<_, i32>("seats")).map_err(Problem::internal_error)?,
                state: row.get("state"),
            },
            expires_at: row.get("expires_at"),
            plan: row.get("plan_code"),
            tier: row.get::<_, &str>("tier").parse().map_err(Problem::internal_error)?,
            features: features.iter().filter_map(|f| f.parse().ok()).collect(),
            quotas: serde_json::from_value(row.get("quotas")).map_err(Problem::internal_error)?,
        })
    }
}
