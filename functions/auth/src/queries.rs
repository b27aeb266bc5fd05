//! The statements of `auth`.

use common::oidc::Identity;
use common::{Db, Problem};
use jiff::Timestamp;
use protocol::id::{LicenseId, TenantId, UserId};
use protocol::wire::Tier;
use uuid::Uuid;

const LICENSE_BY_KEY: &str = "/* license_by_key */
    with key as (
        select id, null::timestamptz as good_until from licenses where key_hash = $1
        union all
        select license_id, good_until from former_license_keys where key_hash = $1
    )
    select l.id, l.tenant_id, least(l.expires_at, key.good_until), p.tier,
           case when key.good_until <= now() then 'key_replaced'
                else license_state(l.state, l.standing, l.expires_at) end
    from key join licenses l on l.id = key.id join plans p on p.code = l.plan_code";

/// Makes the claim on an address a membership of the person who proved the address; no row when there is none. A person who
/// is a user of the tenant already stays that user.
const CLAIM_CONFIRM: &str = "/* claim_confirm */
    with confirmed as (
        update users u set claimed_at = null, issuer = $1, subject = $2
        where u.email = $3 and u.claimed_at is not null and u.erase_at is null
          and not exists (select from users known where known.issuer = $1 and known.subject = $2)
        returning u.id
    ), audit as (
        insert into audit_log (id, tenant_id, actor, action, detail)
        select $4, current_tenant(), 'user', 'user.claim_confirmed', jsonb_build_object('user_id', id) from confirmed
    )
    select id from confirmed
    union all
    select id from users where issuer = $1 and subject = $2 and claimed_at is null and erase_at is null";

/// The license of a key.
#[derive(Debug)]
pub(crate) struct License {
    pub(crate) id: LicenseId,
    pub(crate) tenant: TenantId,
    /// When the license ends, or its key, whichever is first.
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) tier: Tier,
    /// `active`, `key_replaced`, or why the license can't be used.
    pub(crate) state: String,
}

/// The license that a key opens, current or former; usable or not.
pub(crate) async fn license_by_key(db: &Db, key_hash: &[u8]) -> Result<Option<License>, Problem> {
    let tx = db.tenant_of_key("license_by_key", key_hash).await?;
    let [rows] = tx.finish([(LICENSE_BY_KEY, &[&key_hash])]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(License {
        id: LicenseId::from_uuid(row.get(0)),
        tenant: TenantId::from_uuid(row.get(1)),
        expires_at: row.get(2),
        tier: row.get::<_, &str>(3).parse().map_err(Problem::internal_error)?,
        state: row.get(4),
    }))
}

/// The user that a person becomes, or is already, in the tenant of a purchase. `None` when nothing was bought under the
/// person's address.
pub(crate) async fn confirm_claim(db: &Db, tenant: TenantId, person: &Identity) -> Result<Option<UserId>, Problem> {
    let tx = db.tenant("claim_confirm", tenant).await?;
    let entry = Uuid::now_v7();
    let [rows] = tx.finish([(CLAIM_CONFIRM, &[&person.issuer, &person.subject, &person.email, &entry])]).await?;
    Ok(rows.first().map(|row| UserId::from_uuid(row.get(0))))
}
