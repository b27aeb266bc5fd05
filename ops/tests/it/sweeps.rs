//! Tests of `ops sweep` and `ops context forget`.

use protocol::id::TenantId;
use serde_json::json;

use crate::ops_cli::OpsCli;

/// Counts the tenants whose heads don't say how many bytes their history has.
const WRONG: &str = "select count(*) from context_heads h left join (
        select tenant_id, sum(256 + coalesce(octet_length(content), 0)) as bytes from context_history group by 1
    ) c using (tenant_id)
    where h.history_bytes <> coalesce(c.bytes, 0)";

/// Adds versions of a decision: so many, each replaced so many days ago; every second one is a deletion.
async fn versions(ops: &OpsCli, tenant: TenantId, id: &str, count: u32, days: u32) {
    let sql = format!(
        "insert into context_history (tenant_id, seq, version, updated_at, written_at, replaced_at, kind, deleted, id, device_id, content_hash, content)
         select '{tenant}', {days} * 10000 + n, n, now(), now() - interval '1000 days', now() - interval '{days} days', 3, n % 2 = 0, '{id}',
                'laptop', '\\x01', case when n % 2 = 1 then '{{\"text\":\"one\"}}'::bytea end
         from generate_series(1, {count}) n;
         update context_heads h set history_bytes = (select sum(256 + coalesce(octet_length(content), 0)) from context_history c
             where c.tenant_id = h.tenant_id) where tenant_id = '{tenant}'"
    );
    ops.world.sql(&sql).await;
}

async fn count(ops: &OpsCli, tenant: TenantId) -> i64 {
    assert_eq!(ops.world.number(WRONG).await, 0, "the history's bytes are counted");
    ops.world.number(&format!("select count(*) from context_history where tenant_id = '{tenant}'")).await
}

#[tokio::test]
async fn a_sweep_deletes_versions_that_are_older_than_the_plan_keeps() {
    let ops = OpsCli::new().await;
    let mut tenants = Vec::new();
    for (slug, plans) in
        [("pro", &["PRO"][..]), ("team", &["PRO", "TEAM"]), ("unlimited", &["ENT"]), ("free", &["FREE"]), ("none", &[])]
    {
        let tenant = ops.tenant(slug).await;
        for plan in plans {
            ops.world.license(tenant, plan, 1).await;
        }
        // More than one transaction deletes.
        for (n, days) in [(450, 400), (3, 100), (2, 29)] {
            versions(&ops, tenant, "d1", n, days).await;
        }
        tenants.push(tenant);
    }
    ops.world.sql("update plans set quotas = quotas || '{\"context_history_days\": -1}' where code = 'ENT'").await;
    let told = ops.plain(&["sweep"]).await.err;
    // 450 and 3 of those that keep 30 days, 450 of the one that keeps 180.
    assert_eq!(told, "Swept 5 tenants. Versions of records that were too old, or too many: 1809.\n");
    let mut left = Vec::new();
    for tenant in &tenants {
        left.push(count(&ops, *tenant).await);
    }
    assert_eq!(left, [2, 5, 455, 2, 2]);
    // A license that is over keeps what it kept, until another one is active.
    ops.world.sql(&format!("update licenses set state = 'revoked' where tenant_id = '{}'", tenants[1])).await;
    assert_eq!(ops.plain(&["sweep"]).await.err, "Swept 5 tenants.\n");
    ops.world.license(tenants[1], "PRO", 1).await;
    ops.plain(&["sweep"]).await;
    assert_eq!(count(&ops, tenants[1]).await, 2);
}

#[tokio::test]
async fn a_sweep_brings_the_history_within_the_bytes_of_a_smaller_plan() {
    let ops = OpsCli::new().await;
    let tenant = ops.tenant("acme").await;
    ops.world.license(tenant, "TEAM", 1).await;
    for (n, days) in [(500, 5), (2, 1)] {
        versions(&ops, tenant, "d1", n, days).await;
    }
    ops.world.sql("update plans set quotas = quotas || '{\"context_history_bytes\": 600}' where code = 'TEAM'").await;
    ops.plain(&["sweep"]).await;
    assert_eq!(count(&ops, tenant).await, 2, "the latest");
    let latest = "select count(*) from context_history where replaced_at > now() - interval '2 days'";
    assert_eq!(ops.world.number(latest).await, 2);
    let status = ops.json(&["context", "status", "--tenant", "acme"]).await;
    let told = ["history_bytes", "history_max_bytes", "history_max_days"].map(|name| &status[name]);
    assert_eq!(json!(told), json!([526, 600, 180]));
    ops.tenant("bare").await;
    let status = ops.json(&["context", "status", "--tenant", "bare"]).await;
    assert_eq!((&status["history_max_bytes"], &status["history_max_days"]), (&json!(null), &json!(30)));
}

#[tokio::test]
async fn a_sweep_deletes_devices_sessions_and_callers_entries_of_long_ago() {
    let ops = OpsCli::new().await;
    let tenant = ops.tenant("acme").await;
    let license = ops.world.license(tenant, "PRO", 1).await.id;
    ops.tenant("elsewhere").await;
    let sql = format!(
        "insert into context_devices (tenant_id, device_id, last_seen_at)
             values ('{tenant}', 'old', now() - interval '401 days'), ('{tenant}', 'new', now() - interval '399 days');
         insert into devices (tenant_id, license_id, machine_id, activated_at, valid_until, removed_at)
             select '{tenant}', '{license}', machine, now() - activated, now() + valid, now() - removed from (values
                 ('lapsed long ago', interval '400 days', interval '-31 days', null),
                 ('lapsed', interval '400 days', interval '-29 days', null),
                 ('removed long ago', interval '400 days', interval '-40 days', interval '31 days'),
                 ('removed', interval '400 days', interval '-40 days', interval '29 days'),
                 ('removed, valid', interval '400 days', interval '1 day', interval '31 days'),
                 ('just activated', interval '1 hour', interval '-31 days', interval '31 days'),
                 ('in use', interval '400 days', interval '7 days', null)
             ) v (machine, activated, valid, removed);
         insert into sessions (id, tenant_id, license_id, holder, hardware_id, grant_number, started_at, ended_at, ended_reason)
             select gen_random_uuid(), '{tenant}', '{license}', holder, holder, 1, now() - started, now() - ended,
                    case when ended is not null then 'released' end
             from (values
                 ('long ago', interval '402 days', interval '401 days'),
                 ('ended lately', interval '402 days', interval '399 days'),
                 ('open', interval '402 days', null)
             ) v (holder, started, ended);
         insert into audit_log (id, tenant_id, at, actor, action)
             select gen_random_uuid(), '{tenant}', now() - days * interval '1 day', actor, 'test'
             from unnest(array['license key', 'user', 'operator:alice', 'stripe']) actor, unnest(array[399, 401]) days"
    );
    ops.world.sql(&sql).await;
    ops.plain(&["sweep"]).await;
    let gone = |table: &str, rest: &str| format!("select count(*) from {table} where {rest}");
    assert_eq!(ops.world.number(&gone("context_devices", "device_id = 'new'")).await, 1);
    assert_eq!(ops.world.number(&gone("context_devices", "true")).await, 1);
    assert_eq!(ops.world.number(&gone("devices", "machine_id like '% long ago'")).await, 0);
    assert_eq!(ops.world.number(&gone("devices", "true")).await, 5);
    assert_eq!(ops.world.number(&gone("sessions", "holder = 'long ago'")).await, 0);
    assert_eq!(ops.world.number(&gone("sessions", "true")).await, 2);
    assert_eq!(ops.world.number(&gone("audit_log", "action = 'test'")).await, 6);
    let old = "action = 'test' and at < now() - interval '400 days' and actor in ('operator:alice', 'stripe')";
    assert_eq!(ops.world.number(&gone("audit_log", old)).await, 2);
}

#[tokio::test]
async fn an_operator_forgets_what_a_record_was() {
    let ops = OpsCli::new().await;
    let (tenant, other) = (ops.tenant("acme").await, ops.tenant("elsewhere").await);
    for (tenant, id) in [(tenant, "d1"), (tenant, "d2"), (other, "d1")] {
        versions(&ops, tenant, id, 450, 10).await;
        versions(&ops, tenant, id, 3, 2).await;
    }
    let record = ["context", "forget", "--tenant", "acme", "--kind", "decision", "--id", "d1"];
    let told = ops.plain(&[&record[..], &["--before", "3d"]].concat()).await.err;
    assert!(told.starts_with("Deleted 450 versions with 118350 bytes from the history."), "{told}");
    assert_eq!((count(&ops, tenant).await, count(&ops, other).await), (456, 453));
    let (actor, action, _, detail) = ops.audit().await.pop().unwrap();
    assert_eq!((actor.as_str(), action.as_str()), ("operator:alice", "context.history_forgotten"));
    assert_eq!(
        json!(["kind", "id", "versions", "bytes"].map(|name| &detail[name])),
        json!(["decision", "d1", 450, 118_350])
    );

    // Without a time, all of it; and then there is nothing, which is not noted.
    assert!(ops.plain(&record).await.err.starts_with("Deleted 3 versions"));
    assert!(ops.refused(&record).await.contains("no decision with this id"));
    let forgotten = async || ops.actions().await.iter().filter(|a| *a == "context.history_forgotten").count();
    assert_eq!((count(&ops, tenant).await, forgotten().await), (453, 2));

    // The whole tenant's, from before a time.
    let all = ["context", "forget", "--tenant", "acme", "--before"];
    assert!(ops.plain(&[&all[..], &["2020-01-01"]].concat()).await.err.starts_with("Deleted 0 versions"));
    assert!(ops.plain(&[&all[..], &["3d"]].concat()).await.err.starts_with("Deleted 450 versions"));
    assert!(ops.json(&[&all[..], &["0d"]].concat()).await["message"].as_str().unwrap().starts_with("Deleted 3 "));
    assert_eq!((count(&ops, tenant).await, count(&ops, other).await), (0, 453));
    assert_eq!(forgotten().await, 4);
}

#[tokio::test]
async fn what_is_to_be_forgotten_is_named() {
    let ops = OpsCli::new().await;
    ops.tenant("acme").await;
    for wrong in [
        &["--tenant", "acme"][..],
        &["--tenant", "acme", "--kind", "decision"],
        &["--tenant", "acme", "--kind", "decision", "--before", "3d"],
        &["--tenant", "acme", "--before", "soon"],
        &["--tenant", "acme", "--before", "-3d"],
        &["--tenant", "acme", "--before", "2099-01-01"],
        &["--tenant", "acme", "--before", "2026-11-01T15:30:00"],
        &["--tenant", "acme", "--before", "-004800-01-01"],
        &["--before", "3d"],
    ] {
        assert_eq!(ops.run(&[&["context", "forget"], wrong].concat()).await.status, 64, "{wrong:?}");
    }
    let unknown = ["context", "forget", "--tenant", "nobody", "--before", "0d"];
    assert!(ops.refused(&unknown).await.contains("ops tenant list"));
    let record = ["context", "forget", "--tenant", "acme", "--kind", "task", "--id", "t1"];
    assert!(ops.refused(&record).await.contains("ops context status"));
    assert_eq!(ops.actions().await, ["tenant.created"]);
}

#[tokio::test]
async fn a_plan_without_quotas_keeps_history_without_limit() {
    let ops = OpsCli::new().await;
    let tenant = ops.tenant("acme").await;
    ops.json(&["license", "issue", "--tenant", "acme", "--plan", "ENT", "--seats", "1"]).await;
    ops.world.sql("update plans set quotas = '{}' where code = 'ENT'").await;
    let status = ops.json(&["context", "status", "--tenant", "acme"]).await;
    assert_eq!((&status["history_max_bytes"], &status["history_max_days"]), (&json!(-1), &json!(-1)), "{tenant:?}");
}
