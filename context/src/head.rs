//! The end of a tenant's stream, and whether the caller may use it.

use aws_lc_rs::hmac;
use common::postgres::Query;
use common::{Caller, Db, Problem};
use protocol::id::TenantId;
use protocol::wire::Feature;
use tokio_postgres::Row;
use uuid::Uuid;

const HEAD: &str = "/* context_head */
    select h.epoch, h.seq, h.cursor_key, h.key_id, wal_timeline(), r.word, r.max_records, r.max_bytes
    from context_heads h cross join context_right($1) r
    where h.tenant_id = current_tenant()";

const SMALLEST_PLAN: &str = "/* smallest_plan_with */
    select tier from plans where $1 = any(features)
    order by array_position(array['FREE', 'PRO', 'TEAM', 'BUSINESS', 'ENTERPRISE'], tier), code limit 1";

/// The end of a tenant's stream.
#[derive(Debug)]
pub struct Head {
    pub(crate) tenant: TenantId,
    pub(crate) epoch: i32,
    pub(crate) timeline: i32,
    /// The last number that was assigned.
    pub seq: i64,
    pub(crate) cursor_key: hmac::Key,
    /// The key that the tenant's contents are encrypted with, if they are.
    pub key_id: Option<String>,
    /// Maximum number of records that the tenant's plans allow; -1: no limit.
    pub max_records: i64,
    /// Maximum bytes of contents that the tenant's plans allow; -1: no limit.
    pub max_bytes: i64,
    word: String,
}

/// Returns the license a caller asks with; `None` for a user, who asks with the best that the tenant has.
#[must_use]
pub fn license_of(caller: &Caller) -> Option<Uuid> {
    match caller {
        Caller::License { license, .. } => Some(license.as_uuid()),
        Caller::User { .. } => None,
    }
}

impl Head {
    /// Returns the statement that reads the head, for the caller's license.
    pub fn query<'a>(license: &'a [&'a (dyn tokio_postgres::types::ToSql + Sync)]) -> Query<'a> {
        (HEAD, license)
    }

    /// Reads the head from the rows of [`Head::query`].
    ///
    /// # Errors
    /// `500` when the tenant has no head: it is damage, and to go on as if its stream were empty would lose records.
    pub fn from_rows(tenant: TenantId, rows: &[Row]) -> Result<Self, Problem> {
        let row = rows.first().ok_or_else(|| Problem::internal_error(format_args!("tenant {tenant} has no head")))?;
        Ok(Self {
            tenant,
            epoch: row.get(0),
            seq: row.get(1),
            cursor_key: hmac::Key::new(hmac::HMAC_SHA256, row.get(2)),
            key_id: row.get(3),
            timeline: row.get(4),
            word: row.get(5),
            max_records: row.get::<_, Option<i64>>(6).unwrap_or(-1),
            max_bytes: row.get::<_, Option<i64>>(7).unwrap_or(-1),
        })
    }

    /// Checks that the caller may sync.
    ///
    /// # Errors
    /// `403` when its plan lacks context sync, or its license isn't active.
    pub async fn must_allow(&self, db: &Db) -> Result<(), Problem> {
        match self.word.as_str() {
            "allowed" => Ok(()),
            "plan_lacks_feature" => {
                let feature = Feature::CloudSync;
                let rows = db.outside_tenants((SMALLEST_PLAN, &[&feature.as_str()])).await?;
                Err(Problem::plan_lacks_feature(feature, rows.first().map(|row| row.get(0))))
            }
            "suspended" => Err(Problem::license_inactive("suspended")),
            "revoked" => Err(Problem::license_inactive("revoked")),
            "expired" => Err(Problem::license_inactive("expired")),
            _ => Err(Problem::license_inactive("subscription_inactive")),
        }
    }
}
