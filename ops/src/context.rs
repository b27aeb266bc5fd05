//! A tenant's context: its stored records, their history, and the corrections that only operators can make.

mod forget;

pub use forget::{Before, ForgetFilter, before, forget};

use jiff::Timestamp;
use protocol::id::TenantId;
use protocol::wire::Kind;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::ops_context::OpsContext;
use crate::printer::{Failure, Output};

/// Selects the head of the stream, and the limits of the history; 30 days for a tenant without a plan that has context sync.
const HEAD: &str = "/* context_head_of_operator */
    select h.epoch, h.seq, h.key_id, h.history_bytes, l.max_bytes, coalesce(l.max_days, 30)
    from context_heads h cross join context_history_limits() l";
const TOTALS: &str = "/* context_totals_of_operator */
    select k.kind, t.records, t.deleted, t.bytes, t.changed_at
    from context_totals t join context_kinds k on k.code = t.kind order by t.kind";
const DEVICES: &str = "/* context_devices_of_operator */
    select device_id, last_seen_at from context_devices order by last_seen_at desc, device_id limit 200";
const HISTORY: &str = "/* context_history_of_operator */
    select case when h.is_current then 'current' when h.version is null then 'lost' else 'replaced' end,
           h.version, h.updated_at, h.written_at, h.replaced_at, h.device_id, u.email, h.deleted, encode(h.content_hash, 'hex'),
           h.project_id, convert_from(h.content, 'UTF8')
    from (
        select seq, kind, id, version, updated_at, written_at, null::timestamptz as replaced_at, device_id, user_id, deleted,
               content_hash, project_id, content, true as is_current
        from context_records
        union all
        select seq, kind, id, version, updated_at, written_at, replaced_at, device_id, user_id, deleted,
               content_hash, project_id, content, false
        from context_history
    ) h left join users u on u.id = h.user_id
    where h.kind = (select code from context_kinds where kind = $1) and h.id = $2
    order by h.seq desc limit 1000";
const EPOCH_RAISE: &str = "/* context_epoch_raise */
    with raised as (update context_heads set epoch = epoch + 1 returning epoch)
    insert into audit_log (id, tenant_id, actor, action, detail)
    select $1, current_tenant(), $2, 'context.epoch_raised', jsonb_build_object('epoch', epoch) from raised
    returning (detail ->> 'epoch')::integer";
/// Maximum number of versions deleted in one transaction, so that other pushes of the tenant don't wait long for the lock.
pub(crate) const TRIM_BATCH: i64 = 200;
/// Takes the tenant's lock. A push reads the key under the same lock and writes it back.
pub(crate) const LOCK: &str =
    "/* context_lock */ select pg_advisory_xact_lock(hashtextextended(current_tenant()::text, 0))";
const ENCRYPTION_LIFT: &str = "/* context_encryption_lift */
    with was as (select key_id from context_heads where key_id is not null),
    lifted as (update context_heads set key_id = null where key_id is not null returning tenant_id)
    insert into audit_log (id, tenant_id, actor, action, detail)
    select $1, current_tenant(), $2, 'context.encryption_lifted', jsonb_build_object('key_id', key_id) from was, lifted
    returning detail ->> 'key_id'";

const COLUMNS: &[&str] = &[
    "outcome",
    "version",
    "updated_at",
    "written_at",
    "replaced_at",
    "device_id",
    "user",
    "deleted",
    "content_hash",
    "project_id",
    "content",
];

/// Shows the stored records of a tenant, and the devices that have pushed.
///
/// # Errors
/// When there is no such tenant, or its stream has no head.
pub async fn status(ops: &OpsContext, tenant: &str) -> Result<Output, Failure> {
    let tenant = ops.tenant(tenant).await?;
    let tx = ops.db.tenant("context_status", tenant).await?;
    let [heads, totals, devices] = tx.finish([(HEAD, &[]), (TOTALS, &[]), (DEVICES, &[])]).await?;
    let head = heads.first().ok_or_else(|| no_head(tenant))?;
    let sum = |at| totals.iter().map(|r| r.get::<_, i64>(at)).sum::<i64>();
    let kinds = totals.iter().map(|r| {
        let count = |at| r.get::<_, i64>(at);
        json!({"kind": r.get::<_, &str>(0), "count": count(1), "deleted": count(2), "bytes": count(3),
            "last_change": r.get::<_, Timestamp>(4)})
    });
    let devices =
        devices.iter().map(|r| json!({"device_id": r.get::<_, &str>(0), "last_seen_at": r.get::<_, Timestamp>(1)}));
    Ok(Output::Record(vec![
        ("tenant_id", json!(tenant)),
        ("records", json!(sum(1))),
        ("deleted", json!(sum(2))),
        ("bytes", json!(sum(3))),
        ("history_bytes", json!(head.get::<_, i64>(3))),
        ("history_max_bytes", json!(head.get::<_, Option<i64>>(4))),
        ("history_max_days", json!(head.get::<_, i32>(5))),
        ("encryption_key_id", json!(head.get::<_, Option<&str>>(2))),
        ("epoch", json!(head.get::<_, i32>(0))),
        ("changes", json!(head.get::<_, i64>(1))),
        ("kinds", kinds.collect()),
        ("devices", devices.collect()),
    ]))
}

/// Shows a record's current state, former versions and lost conflicts, the latest first; with `--json` also the contents.
///
/// # Errors
/// When there is no such record.
pub async fn history(ops: &OpsContext, tenant: &str, kind: Kind, id: &str, contents: bool) -> Result<Output, Failure> {
    let tenant = ops.tenant(tenant).await?;
    let tx = ops.db.tenant("context_history", tenant).await?;
    let [rows] = tx.finish([(HISTORY, &[&kind.as_str(), &id])]).await?;
    if rows.is_empty() {
        let there = "`ops context status` shows which kinds this tenant has.";
        return Err(Failure::Refused(format!("This tenant has no {kind} with this id, and never had. {there}")));
    }
    let rows = rows.iter().map(|r| {
        let text = |at| json!(r.get::<_, Option<&str>>(at));
        let time = |at| json!(r.get::<_, Option<Timestamp>>(at));
        let content = r.get::<_, Option<&str>>(10).map(serde_json::from_str::<Value>).transpose();
        let content =
            content.map_err(|e| Failure::Broken(format!("What is stored of this record is not JSON: {e}.")))?;
        let mut row = vec![
            text(0),
            json!(r.get::<_, Option<i64>>(1)),
            time(2),
            time(3),
            time(4),
            text(5),
            text(6),
            json!(r.get::<_, bool>(7)),
            text(8),
            text(9),
        ];
        row.extend(contents.then(|| json!(content)));
        Ok(row)
    });
    let columns = if contents { COLUMNS } else { &COLUMNS[..COLUMNS.len() - 1] };
    Ok(Output::List(columns, rows.collect::<Result<_, Failure>>()?))
}

/// Makes clients start over: after a restore of an earlier state, whose numbers are given a second time.
///
/// # Errors
/// When there is no such tenant, or a tenant has no head; the others' clients start over all the same.
pub async fn raise_epoch(ops: &OpsContext, tenant: Option<&str>) -> Result<Output, Failure> {
    let tenants = match tenant {
        Some(tenant) => vec![ops.tenant(tenant).await?],
        None => ops.tenants().await?,
    };
    let mut headless = None;
    for tenant in &tenants {
        let tx = ops.db.tenant("context_epoch", *tenant).await?;
        let [raised] = tx.finish([(EPOCH_RAISE, &[&Uuid::now_v7(), &ops.actor])]).await?;
        headless = headless.or(raised.is_empty().then_some(*tenant));
    }
    match headless {
        Some(tenant) => Err(no_head(tenant)),
        None => Ok(Output::Message(format!(
            "The clients of {} {} start over at their next pull, and push again what the cloud has lost.",
            tenants.len(),
            if tenants.len() == 1 { "tenant" } else { "tenants" }
        ))),
    }
}

/// Lets contents come that aren't encrypted, or are under another key.
///
/// # Errors
/// When the tenant doesn't encrypt.
pub async fn lift_encryption(ops: &OpsContext, tenant: &str) -> Result<Output, Failure> {
    let id = ops.tenant(tenant).await?;
    let tx = ops.db.tenant("context_encryption", id).await?;
    let [_, lifted] = tx.finish([(LOCK, &[]), (ENCRYPTION_LIFT, &[&Uuid::now_v7(), &ops.actor])]).await?;
    let row =
        lifted.first().ok_or_else(|| Failure::Refused(format!("The tenant {tenant} doesn't encrypt its context.")))?;
    Ok(Output::Message(format!(
        "Contents needn't be encrypted under the key {} any more. Those that are stay so; the next one that is decides the key anew.",
        row.get::<_, &str>(0)
    )))
}

fn no_head(tenant: TenantId) -> Failure {
    Failure::Broken(format!(
        "The tenant {tenant} has no row in context_heads, which every tenant begins with. Restore it from a backup; nothing of \
         this tenant's context can be read or written without it."
    ))
}
