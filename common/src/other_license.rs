//! Another license of the same tenant that is active: for people whose own license is not, after a new subscription.

use jiff::Timestamp;
use protocol::id::{LicenseId, TenantId};
use protocol::wire::OtherLicense;
use tokio_postgres::Row;

use crate::postgres::Db;
use crate::problem::Problem;

/// The best plan first, then the most seats, then the newest.
const OTHER_LICENSE: &str = "/* other_license */
    select l.id, l.plan_code, p.tier from licenses l join plans p on p.code = l.plan_code
    where l.id <> $1 and l.seats > 0 and license_state(l.state, l.standing, l.expires_at) = 'active'
    order by array_position(array['FREE', 'PRO', 'TEAM', 'BUSINESS', 'ENTERPRISE'], p.tier) desc, l.seats desc, l.id desc
    limit 1";

/// The tenant's best active license besides this one; `None` when there is none, and when the installation itself has
/// ended: no other license is any better then.
///
/// # Errors
/// `503` when Postgres does not answer.
pub async fn find(
    db: &Db,
    tenant: TenantId,
    license: LicenseId,
    installation_ends: Option<Timestamp>,
) -> Result<Option<OtherLicense>, Problem> {
    if installation_ends.is_some_and(|ends| ends <= Timestamp::now()) {
        return Ok(None);
    }
    let tx = db.tenant("other_license", tenant).await?;
    let [rows] = tx.finish([(OTHER_LICENSE, &[&license.as_uuid()])]).await?;
    let other =
        |row: &Row| OtherLicense { license_id: LicenseId::from_uuid(row.get(0)), plan: row.get(1), tier: row.get(2) };
    Ok(rows.first().map(other))
}
