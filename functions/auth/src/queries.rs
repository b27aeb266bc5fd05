//! The statements of `auth`.

use common::{Db, Problem};
use jiff::Timestamp;
use protocol::id::{LicenseId, TenantId};
use protocol::wire::Tier;

const LICENSE_BY_KEY: &str = "/* license_by_key */
    select l.id, l.tenant_id, l.expires_at, p.tier
    from licenses l join plans p on p.code = l.plan_code
    where l.key_hash = $1 and license_state(l.state, l.standing, l.expires_at) = 'active'";

/// A licence that can be used now.
#[derive(Debug)]
pub(crate) struct License {
    pub(crate) id: LicenseId,
    pub(crate) tenant: TenantId,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) tier: Tier,
}

/// The usable licence that a key opens. `None` when there is none, for whatever reason.
pub(crate) async fn license_by_key(db: &Db, key_hash: &[u8]) -> Result<Option<License>, Problem> {
    let tx = db.tenant_of_key("license_by_key", key_hash).await?;
    let [rows] = tx.finish([(LICENSE_BY_KEY, &[&key_hash])]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(License {
        id: LicenseId::from_uuid(row.get(0)),
        tenant: TenantId::from_uuid(row.get(1)),
        expires_at: row.get(2),
        tier: row.get::<_, &str>(3).parse().map_err(Problem::internal_error)?,
    }))
}
