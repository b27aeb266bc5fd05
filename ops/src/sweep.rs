//! Deletes rows whose retention has ended.

use protocol::id::TenantId;

use crate::ops_context::OpsContext;
use crate::printer::{Failure, Output};
use crate::redaction::{self, Extent};
use crate::{context, person};

/// Statements that delete rows whose retention has ended, in one tenant. Their limits keep a statement far below its timeout.
const EXPIRED_ROWS: [&str; 5] = [
    "/* idempotency_keys_sweep */
    delete from idempotency_keys where ctid = any(array(
        select ctid from idempotency_keys where created_at < now() - interval '24 hours' limit 5000))
    returning 1",
    "/* context_devices_sweep */
    delete from context_devices where ctid = any(array(
        select ctid from context_devices where last_seen_at < now() - interval '400 days' limit 5000))
    returning 1",
    // Devices without a place, which no limit on activations counts any more.
    "/* devices_sweep */
    delete from devices where ctid = any(array(
        select d.ctid from licenses l join devices d on d.license_id = l.id
        where greatest(d.valid_until, d.removed_at, d.activated_at + interval '1 day') < now() - interval '30 days' limit 5000))
    returning 1",
    "/* sessions_sweep */
    delete from sessions where ctid = any(array(
        select s.ctid from licenses l join sessions s on s.license_id = l.id
        where s.started_at < now() - interval '400 days' and s.ended_at < now() - interval '400 days' limit 5000))
    returning 1",
    // Entries of callers' actions. Those of operators and billing are kept.
    "/* audit_log_sweep */
    delete from audit_log where ctid = any(array(
        select ctid from audit_log
        where at < now() - interval '400 days' and actor in ('license key', 'user') order by at limit 5000))
    returning 1",
];

/// Deletes versions older than the plan's days, and beyond its bytes where it shrank; of a tenant without a plan that has
/// context sync, those older than 30 days.
const HISTORY_SWEEP: &str = "/* context_history_sweep */
    select t.versions
    from (select coalesce(max_days, 30) as days, max_bytes from context_history_limits()) l
         cross join context_heads h
         cross join lateral context_history_trim(
             case when l.days >= 0 then now() - make_interval(days => l.days) end,
             case when l.max_bytes >= 0 then h.history_bytes - l.max_bytes else 0 end,
             $1::bigint::integer) t";

/// Selects Stripe's events that were done with 30 days ago, and still name the payer.
const EVENTS_OLD: &str = "/* stripe_events_old */
    select id, body, state = 'ignored', livemode from stripe_events
    where redacted_at is null and id > $1 and state in ('applied', 'ignored') and recheck is null
      and received_at < now() - interval '30 days'
    order by id limit 500";
/// Checks whether one of these ids is known: then nothing of the event is needed any more.
const IS_KNOWN: &str = "/* stripe_event_is_known */ select exists (select from stripe_owner($1, $2))";
const EVENTS_REDACT: &str = "/* stripe_events_redact */
    update stripe_events e set body = x.body, redacted_at = now()
    from unnest($1::text[], $2::bytea[]) as x (id, body) where e.id = x.id";

/// Number of tenants that may fail before the rest is left to the next sweep: then the database itself fails.
const MAX_FAILURES: usize = 3;

/// Deletes rows whose retention has ended, in every tenant. A failure in one doesn't keep the others from being swept.
///
/// # Errors
/// When a tenant's part fails, or the database doesn't answer; rows that were deleted before stay deleted.
pub async fn all(ops: &OpsContext) -> Result<Output, Failure> {
    let tenants = ops.tenants().await?;
    let (mut people, mut versions, mut failed) = (0, 0, Vec::new());
    for tenant in &tenants {
        match sweep_tenant(ops, *tenant).await {
            Ok((more_people, more_versions)) => (people, versions) = (people + more_people, versions + more_versions),
            Err(failure) if failed.len() + 1 == MAX_FAILURES => return Err(failure),
            Err(failure) => failed.push((tenant, failure)),
        }
    }
    redact_events(ops).await?;
    if let Some((tenant, failure)) = failed.first() {
        let why = failure.message();
        return Err(Failure::Broken(format!("The tenant {tenant} was not swept, the others were. {why}")));
    }
    let mut message = format!("Swept {} tenants.", tenants.len());
    if people > 0 {
        message.push_str(&format!(" People erased, whose time was over: {people}."));
    }
    if versions > 0 {
        message.push_str(&format!(" Versions of records that were too old, or too many: {versions}."));
    }
    Ok(Output::Message(message))
}

/// Returns how many people were erased, and how many versions were deleted.
async fn sweep_tenant(ops: &OpsContext, tenant: TenantId) -> Result<(usize, i64), Failure> {
    let people = person::erase_due(ops, tenant).await?;
    let versions = sweep_history(ops, tenant).await?;
    for sql in EXPIRED_ROWS {
        while !ops.db.tenant("sweep", tenant).await?.finish([(sql, &[])]).await?[0].is_empty() {}
    }
    Ok((people, versions))
}

/// Deletes the versions that a tenant's plan keeps no longer, and returns their number.
async fn sweep_history(ops: &OpsContext, tenant: TenantId) -> Result<i64, Failure> {
    let mut versions = 0;
    loop {
        let tx = ops.db.tenant("context_history_sweep", tenant).await?;
        let [_, gone] = tx.finish([(context::LOCK, &[]), (HISTORY_SWEEP, &[&context::TRIM_BATCH])]).await?;
        let gone: i64 = gone.first().map_or(0, |row| row.get(0));
        versions += gone;
        if gone < context::TRIM_BATCH {
            return Ok(versions);
        }
    }
}

/// Removes the payer from Stripe's old events. The effects of the events are kept.
async fn redact_events(ops: &OpsContext) -> Result<(), Failure> {
    let mut seen = String::new();
    loop {
        let rows = ops.db.outside_tenants((EVENTS_OLD, &[&seen])).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        seen = last.get(0);
        let (mut ids, mut bodies) = (Vec::new(), Vec::new());
        for row in &rows {
            let (id, body): (String, Vec<u8>) = (row.get(0), row.get(1));
            let is_done = row.get(2) || {
                let known =
                    ops.db.outside_tenants((IS_KNOWN, &[&redaction::ids(&body), &row.get::<_, bool>(3)])).await?;
                known.first().is_some_and(|row| row.get(0))
            };
            if is_done {
                ids.push(id);
                bodies.push(redaction::redact(&body, Extent::Everything).unwrap_or(body));
            }
        }
        ops.db.outside_tenants((EVENTS_REDACT, &[&ids, &bodies])).await?;
    }
}
