//! Tenant isolation that Postgres itself enforces, tested by raw SQL as each function's role.

use std::fmt::Write as _;

use testing::World;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use crate::documents::compare;

const ROLES: &[&str] = &[
    "coditect_validate",
    "coditect_acquire",
    "coditect_heartbeat",
    "coditect_release",
    "coditect_auth",
    "coditect_webhook_stripe",
    "coditect_billing",
    "coditect_sync_push",
    "coditect_sync_pull",
    "coditect_all",
];

/// Tables in which even a new tenant has a row.
const OF_EVERY_TENANT: &[&str] = &["tenants", "context_heads"];

/// Creates a row of this tenant in every table that has tenants.
async fn seeded(world: &World) -> Uuid {
    let tenant = world.tenant("acme").await;
    let user = world.user(tenant, "a@acme.test", None).await;
    let license = world.license(tenant, "TEAM", 5).await.id;
    world
        .sql(&format!(
            "insert into sessions (id, tenant_id, license_id, user_id, holder, hardware_id, grant_number)
                 values (gen_random_uuid(), '{tenant}', '{license}', '{user}', 'h', 'h', 1);
             insert into former_license_keys (key_hash, tenant_id, license_id, key_hint, hashed_at, good_until)
                 values (decode(repeat('00', 32), 'hex'), '{tenant}', '{license}', 'h', now(), now());
             insert into devices (tenant_id, license_id, machine_id, valid_until) values ('{tenant}', '{license}', 'm', now());
             insert into license_daily_counts (tenant_id, license_id, kind) values ('{tenant}', '{license}', 'seat_refused');
             insert into idempotency_keys (tenant_id, operation, caller, key, body_hash)
                 values ('{tenant}', 'acquire', gen_random_uuid(), 'k', '');
             insert into audit_log (id, tenant_id, actor, action, license_id) values (gen_random_uuid(), '{tenant}', 'a', 'b', '{license}');
             insert into stripe_customers (id, tenant_id, livemode) values ('cus_1', '{tenant}', false);
             insert into subscriptions (id, tenant_id, customer_id, facts) values ('sub_1', '{tenant}', 'cus_1', '{{}}');
             insert into stripe_references (reference, tenant_id, subscription_id) values ('in_1', '{tenant}', 'sub_1');
             insert into outbox (id, tenant_id, kind, once, payload) values (gen_random_uuid(), '{tenant}', 'mail', 'o', '{{}}');
             insert into context_records (tenant_id, seq, version, updated_at, written_at, kind, deleted, id, device_id, content_hash, content)
                 values ('{tenant}', 2, 2, now(), now(), 3, false, 'd', 'laptop', '\\x01', '{{}}');
             insert into context_history (tenant_id, seq, version, updated_at, written_at, replaced_at, kind, deleted, id, device_id, content_hash)
                 values ('{tenant}', 1, 1, now(), now(), now(), 3, true, 'd', 'laptop', '\\x00');
             insert into context_totals (tenant_id, kind, records, deleted, bytes) values ('{tenant}', 3, 1, 0, 2);
             insert into context_devices (tenant_id, device_id) values ('{tenant}', 'laptop');
             update context_heads set seq = 2 where tenant_id = '{tenant}'"
        ))
        .await;
    tenant.as_uuid()
}

/// Returns every table whose rows belong to a tenant, from the catalog.
async fn tables(sql: &Client) -> Vec<String> {
    let rows = sql
        .query(
            "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname = 'public' and c.relkind in ('r', 'p')
               and (c.relname = 'tenants' or exists (
                   select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped))
             order by 1",
            &[],
        )
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn set_tenant(role: &Client, tenant: Option<Uuid>) {
    let value = tenant.map(|t| t.to_string()).unwrap_or_default();
    role.execute("select set_config('app.tenant_id', $1, false)", &[&value]).await.unwrap();
}

/// Returns the number of rows counted or affected; 0 if the role lacks the privilege.
fn count_or_denied(result: Result<u64, tokio_postgres::Error>, what: &str) -> u64 {
    match result {
        Ok(count) => count,
        Err(e) if e.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => 0,
        Err(e) => panic!("{what}: {e:?}"),
    }
}

async fn visible(role: &Client, table: &str) -> u64 {
    let counted = role.query_one(&format!("select count(*) from {table}"), &[]).await;
    count_or_denied(counted.map(|row| u64::try_from(row.get::<_, i64>(0)).unwrap()), table)
}

#[tokio::test]
async fn every_table_with_a_tenant_has_the_policy_forced() {
    let world = World::new().await;
    let sql = world.db.connect("postgres").await;
    let tables = tables(&sql).await;
    assert!(tables.len() >= 8, "{tables:?}");
    for table in &tables {
        let row = sql
            .query_one(
                "select relrowsecurity and relforcerowsecurity from pg_class where oid = $1::text::regclass",
                &[table],
            )
            .await
            .unwrap();
        assert!(row.get::<_, bool>(0), "{table} has no forced row-level security");
        let column = if table == "tenants" { "id" } else { "tenant_id" };
        let policies = sql
            .query(
                "select policyname::text, cmd, roles::text, qual, with_check from pg_policies where schemaname = 'public' and tablename = $1",
                &[table],
            )
            .await
            .unwrap();
        for policy in &policies {
            let all: Vec<Option<&str>> = (0..5).map(|i| policy.get(i)).collect();
            let rule = format!("({column} = current_tenant())");
            match all[0] {
                Some("tenant") => {
                    assert_eq!(&all[1..], [Some("ALL"), Some("{public}"), Some(&*rule), Some(&*rule)], "{table}")
                }
                Some("lookup") => {
                    assert_eq!(&all[1..], [Some("SELECT"), Some("{coditect_lookup}"), Some("true"), None], "{table}")
                }
                Some("founder") if table == "context_heads" => {
                    assert_eq!(&all[1..], [Some("INSERT"), Some("{coditect_founder}"), None, Some("true")], "{table}")
                }
                // A first sign-in, which is recorded for a user that has no identity.
                Some("sign_in") if table == "users" => {
                    let rule = "((issuer IS NULL) AND (claimed_at IS NULL))";
                    assert_eq!(
                        &all[1..],
                        [Some("UPDATE"), Some("{coditect_lookup}"), Some(rule), Some("true")],
                        "{table}"
                    )
                }
                // The sealed key of a license, which is not known by its tenant yet.
                Some("rehash") if table == "outbox" => {
                    let entry = Some("(kind = 'rehash'::text)");
                    assert_eq!(&all[1..], [Some("INSERT"), Some("{coditect_lookup}"), None, entry], "{table}")
                }
                other => panic!("{table} has a policy {other:?}"),
            }
        }
        assert!(policies.iter().any(|p| p.get::<_, &str>(0) == "tenant"), "{table} has no policy for tenants");
    }
    let privileged = world
        .number(
            "select count(*) from pg_roles where rolname like 'coditect_%' and rolname <> 'coditect_owner' \
        and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication)",
        )
        .await;
    assert_eq!(privileged, 0);
}

#[tokio::test]
async fn no_role_keeps_anything_outside_the_tables() {
    let world = World::new().await;
    for role_name in ROLES {
        let role = world.db.connect(role_name).await;
        for sql in [
            "create temp table t (a int)",
            "create temp sequence t",
            "create table t (a int)",
            "create schema t",
            "select lo_create(0)",
            "select lo_creat(-1)",
            "select lo_from_bytea(0, '')",
            "select lo_import('/etc/passwd')",
        ] {
            let refused = role.batch_execute(sql).await.unwrap_err();
            assert_eq!(refused.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{role_name}: {sql}: {refused:?}");
        }
    }
}

#[tokio::test]
async fn no_role_sees_or_touches_a_row_of_no_tenant_or_another() {
    let world = World::new().await;
    let mine = seeded(&world).await;
    let other = world.tenant("elsewhere").await.as_uuid();
    let sql = world.db.connect("postgres").await;
    let tables = tables(&sql).await;
    for role_name in ROLES {
        let role = world.db.connect(role_name).await;
        let mut seen = 0;
        for table in &tables {
            let count = sql.query_one(&format!("select count(*) from {table}"), &[]).await.unwrap();
            assert!(count.get::<_, i64>(0) > 0, "{table} has no row to be tried with: add one above");
            let own = u64::from(OF_EVERY_TENANT.contains(&table.as_str()));
            set_tenant(&role, None).await;
            assert_eq!(visible(&role, table).await, 0, "{role_name} sees {table} without a tenant");
            set_tenant(&role, Some(other)).await;
            assert!(visible(&role, table).await <= own, "{role_name} sees another tenant's {table}");
            untouchable(&role, role_name, table, &sql, mine).await;
            set_tenant(&role, Some(mine)).await;
            seen += visible(&role, table).await;
        }
        assert!(seen > 0, "{role_name} sees nothing at all, which proves nothing");
    }
}

/// Checks that another tenant can neither update nor delete, nor insert under this tenant's name.
async fn untouchable(role: &Client, name: &str, table: &str, sql: &Client, mine: Uuid) {
    let columns = sql
        .query(
            "select attname::text, has_column_privilege($1::text, attrelid, attnum, 'update'), has_column_privilege($1::text, attrelid, attnum, 'insert')
             from pg_attribute where attrelid = $2::text::regclass and attnum > 0 and not attisdropped",
            &[&name, &table],
        )
        .await
        .unwrap();
    let key = if table == "tenants" { "id" } else { "tenant_id" };
    for column in columns.iter().filter(|c| c.get(1)) {
        let column: &str = column.get(0);
        let others = if OF_EVERY_TENANT.contains(&table) { "where tenant_id <> current_tenant()" } else { "" };
        let updated = role.execute(&format!("update {table} set {column} = default {others}"), &[]).await;
        assert_eq!(
            count_or_denied(updated, table),
            u64::from(false),
            "{name} updates another tenant's {table}.{column}"
        );
    }
    assert_eq!(
        count_or_denied(role.execute(&format!("delete from {table}"), &[]).await, table),
        0,
        "{name} deletes {table}"
    );

    let writable: Vec<&str> = columns.iter().filter(|c| c.get(2)).map(|c| c.get(0)).collect();
    if writable.is_empty() {
        return;
    }
    let list = writable.join(", ");
    let row: serde_json::Value = sql
        .query_one(&format!("select to_jsonb(t) from {table} t where {key} = $1 limit 1"), &[&mine])
        .await
        .unwrap()
        .get(0);
    let insert = format!("insert into {table} ({list}) select {list} from jsonb_populate_record(null::{table}, $1)");
    let refused = role.execute(&insert, &[&row]).await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{name} inserts into {table}: {refused:?}");
    // With the right tenant the same insert fails only on the existing row: it was the policy that refused it before.
    set_tenant(role, Some(mine)).await;
    let double = role.execute(&insert, &[&row]).await.unwrap_err();
    assert_eq!(double.code(), Some(&SqlState::UNIQUE_VIOLATION), "{name} on {table}: {double:?}");
}

#[tokio::test]
async fn every_grant_is_in_the_list() {
    let world = World::new().await;
    let sql = world.db.connect("postgres").await;
    let mut text = "# Who may do what in the database\n\n<!-- Generated from the catalogue by the tests of all-in-one, after all migrations. -->\n\n\
        Nothing else is granted. Rows are narrowed further by row-level security: without `app.tenant_id` there are none. \
        `coditect_all`, for one process of all functions, is a member of all the others but the founder.\n"
        .to_owned();
    for role in ROLES.iter().chain(&["coditect_founder"]).filter(|r| **r != "coditect_all") {
        write!(text, "\n## {role}\n\n| object | right | columns |\n|---|---|---|\n").unwrap();
        let rows = sql
            .query(
                "with whole as (
                     select table_name::text as name, privilege_type::text as right from information_schema.role_table_grants
                     where grantee = $1 and table_schema = 'public'
                 ), parts as (
                     select g.table_name::text as name, g.privilege_type::text as right, string_agg(g.column_name, ', ' order by g.column_name) as columns
                     from information_schema.role_column_grants g
                     where g.grantee = $1 and g.table_schema = 'public'
                       and not exists (select from whole w where w.name = g.table_name and w.right = g.privilege_type)
                     group by 1, 2
                 )
                 select name, lower(\"right\"), 'all' from whole union all select name, lower(\"right\"), columns from parts
                 union all
                 select p.oid::regprocedure::text, 'execute', '' from pg_proc p join pg_namespace n on n.oid = p.pronamespace,
                     lateral aclexplode(p.proacl) a join pg_roles r on r.oid = a.grantee
                 where n.nspname = 'public' and r.rolname = $1
                 order by 1, 2",
                &[role],
            )
            .await
            .unwrap();
        for row in &rows {
            writeln!(text, "| `{}` | {} | {} |", row.get::<_, &str>(0), row.get::<_, &str>(1), row.get::<_, &str>(2))
                .unwrap();
        }
    }
    let definers = sql
        .query(
            "select p.oid::regprocedure::text, pg_get_userbyid(proowner)::text, array_to_string(proconfig, ', '), proacl::text like '%{=X%' or proacl::text like '%,=X%'
             from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'public' and prosecdef order by 1",
            &[],
        )
        .await
        .unwrap();
    text.push_str("\n## Functions that look across tenants\n\nEach returns just what its name says, runs as its owner, and can be executed by the roles above alone.\n\n| function | owner | settings |\n|---|---|---|\n");
    for row in &definers {
        let (function, owner, settings): (&str, &str, &str) = (row.get(0), row.get(1), row.get(2));
        // A new tenant's head is made by the trigger, in a transaction of any tenant.
        let expected = if function == "context_head_found()" { "coditect_founder" } else { "coditect_lookup" };
        assert_eq!(owner, expected, "{function}");
        assert!(settings.starts_with("search_path=pg_catalog"), "{settings}");
        assert!(!row.get::<_, bool>(3), "{} can be executed by everybody", row.get::<_, &str>(0));
        writeln!(text, "| `{}` | {owner} | `{settings}` |", row.get::<_, &str>(0)).unwrap();
    }
    compare("docs/grants.md", &text);

    // The roles that read or write across tenants cannot log in, and no other role is a member of them.
    let held = "select count(*) from pg_roles who, pg_roles r
        where r.rolname in ('coditect_lookup', 'coditect_founder') and not who.rolsuper
            and (r.rolcanlogin or (who.oid <> r.oid and pg_has_role(who.oid, r.oid, 'usage')))";
    assert_eq!(world.number(held).await, 0);
}

#[tokio::test]
async fn a_push_writes_nothing_without_a_tenant_or_under_anothers_license() {
    let world = World::new().await;
    let mine = world.license(world.tenant("acme").await, "ENT", 5).await;
    let other = world.license(world.tenant("elsewhere").await, "ENT", 5).await;
    let unlicensed = world.tenant("unlicensed").await.as_uuid();
    let push = "select n, outcome from context_push($1, null, 'laptop', '{3}', '{d}', '{null}', '{null}', '{2026-11-01}', '{false}',
        '{null}', '{\\x01}', '{\\x7b7d}', null, 2, '{3}', '{1}', '{0}', '{2}')";
    let (mine_id, other_id) = (mine.id.as_uuid(), other.id.as_uuid());
    for role_name in ["coditect_sync_push", "coditect_all"] {
        let role = world.db.connect(role_name).await;
        for (tenant, license) in [
            (None, None),
            (None, Some(mine_id)),
            (Some(other.tenant.as_uuid()), Some(mine_id)),
            (Some(mine.tenant.as_uuid()), Some(other_id)),
            (Some(unlicensed), None),
            (Some(Uuid::now_v7()), None),
        ] {
            set_tenant(&role, tenant).await;
            let answered = role.query(push, &[&license]).await.unwrap();
            let words: Vec<(i64, &str)> = answered.iter().map(|row| (row.get(0), row.get(1))).collect();
            assert_eq!(words, [(0, "revoked")], "{role_name}: {tenant:?}, {license:?}");
            let written = "select (select count(*) from context_records) + (select count(*) from context_devices) + (select sum(seq)::bigint from context_heads)";
            assert_eq!(world.number(written).await, 0);
        }
    }
    for role_name in ROLES.iter().filter(|role| !["coditect_sync_push", "coditect_all"].contains(role)) {
        let role = world.db.connect(role_name).await;
        set_tenant(&role, Some(mine.tenant.as_uuid())).await;
        let refused = role.query(push, &[&Some(mine_id)]).await.unwrap_err();
        assert_eq!(refused.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{role_name}");
    }
    let role = world.db.connect("coditect_sync_push").await;
    set_tenant(&role, Some(mine.tenant.as_uuid())).await;
    assert!(role.query(push, &[&Some(mine_id)]).await.unwrap().is_empty(), "its own license may");
    assert_eq!(world.number("select count(*) from context_records").await, 1);
}

/// Every way to create a tenant also creates its stream: operators have a test of their own, a purchase is here.
#[tokio::test]
async fn a_tenant_that_is_bought_has_a_stream_to_begin_with() {
    let world = World::new().await;
    let role = world.db.connect("coditect_webhook_stripe").await;
    let tenant = Uuid::now_v7();
    set_tenant(&role, Some(tenant)).await;
    role.execute("insert into tenants (id, name, slug) values ($1, 'Bought', 'bought')", &[&tenant]).await.unwrap();
    let heads =
        "select count(*) from context_heads h join tenants t on t.id = h.tenant_id where slug = 'bought' and seq = 0";
    assert_eq!(world.number(heads).await, 1);
}
