//! `ops outbox`: lists entries, and makes one due again.

use jiff::Timestamp;
use protocol::id::{LicenseId, TenantId};
use serde_json::{Value, json};

use crate::ops_context::{AUDIT, OpsContext};
use crate::printer::{Failure, Output};

/// Selects the entries, without their secrets.
const ENTRIES: &str = "/* outbox_entries */
    select * from (
        select o.id, o.kind, o.payload->>'about' as about, o.payload->>'license_id' as license_id,
               case when o.kind = 'mail' then coalesce(o.payload->>'to',
                   (select u.email from users u where u.role = 'owner' and u.erase_at is null
                    order by u.claimed_at is not null, u.created_at, u.id limit 1)) end as address,
               case when o.delivered_at is not null then 'delivered' when o.dead_at is not null then 'dead' else 'pending' end as state,
               o.attempts, o.created_at, o.next_attempt_at, o.last_error,
               greatest(extract(epoch from now() - o.created_at), 0)::bigint as age_seconds
        from outbox o
    ) entries
    where $1::text is null or state = $1 order by created_at, id";
const ENTRY_RETRY: &str = "/* outbox_retry */
    update outbox set attempts = 0, next_attempt_at = now(), dead_at = null where id = $1 and delivered_at is null
    returning payload->>'license_id', last_error";

const COLUMNS: &[&str] = &[
    "id",
    "tenant_id",
    "kind",
    "about",
    "license_id",
    "to",
    "state",
    "attempts",
    "created_at",
    "age_seconds",
    "next_attempt_at",
    "last_error",
];

/// Lists the entries of one tenant, or of all, oldest first; only those in a state, where one is given.
///
/// # Errors
/// When there is no such tenant.
pub async fn list(ops: &OpsContext, state: Option<&str>, tenant: Option<&str>) -> Result<Output, Failure> {
    let tenants = match tenant {
        Some(name) => vec![ops.tenant(name).await?],
        None => ops.tenants().await?,
    };
    let mut rows = Vec::new();
    for tenant in tenants {
        let tx = ops.db.tenant("outbox_list", tenant).await?;
        let [found] = tx.finish([(ENTRIES, &[&state])]).await?;
        rows.extend(found.iter().map(|r| (r.get::<_, Timestamp>("created_at"), row(tenant, r))));
    }
    rows.sort_by_key(|(created_at, _)| *created_at);
    Ok(Output::List(COLUMNS, rows.into_iter().map(|(_, row)| row).collect()))
}

fn row(tenant: TenantId, row: &tokio_postgres::Row) -> Vec<Value> {
    let text = |column| json!(row.get::<_, Option<&str>>(column));
    let pending = row.get::<_, &str>("state") == "pending";
    vec![
        json!(row.get::<_, uuid::Uuid>("id")),
        json!(tenant),
        text("kind"),
        text("about"),
        text("license_id"),
        text("address"),
        text("state"),
        json!(row.get::<_, i32>("attempts")),
        json!(row.get::<_, Timestamp>("created_at")),
        json!(pending.then(|| row.get::<_, i64>("age_seconds"))),
        json!(pending.then(|| row.get::<_, Timestamp>("next_attempt_at"))),
        text("last_error"),
    ]
}

/// Makes an entry due now, with all its attempts before it.
///
/// # Errors
/// When there is no such entry, or it was delivered.
pub async fn retry(ops: &OpsContext, entry: uuid::Uuid) -> Result<Output, Failure> {
    let tenant = ops.tenant_of_outbox(entry).await?;
    let mut tx = ops.db.tenant("outbox_retry", tenant).await?;
    let [rows] = tx.run([(ENTRY_RETRY, &[&entry])]).await?;
    let row = rows.first().ok_or_else(|| {
        Failure::Refused(format!("Entry {entry} was delivered, and is not sent again. `ops outbox list` shows all."))
    })?;
    let license = row.get::<_, Option<&str>>(0).and_then(|id| id.parse::<LicenseId>().ok());
    let detail = json!({"outbox_id": entry, "last_error": row.get::<_, Option<&str>>(1)});
    tx.finish([(
        AUDIT,
        &[&uuid::Uuid::now_v7(), &ops.actor, &"outbox.retried", &license.map(|id| id.as_uuid()), &detail],
    )])
    .await?;
    Ok(Output::Message(format!("Entry {entry} is due now. `ops outbox deliver` delivers it.")))
}
