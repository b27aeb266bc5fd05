//! Many at once, late commits, and transactions that never end: every reader ends with everything, each version once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use protocol::id::TenantId;
use serde_json::{Value, json};
use testing::http::Client;
use testing::process::until;
use tokio::task::JoinSet;
use tokio_postgres::error::SqlState;

use crate::cloud::{Cloud, PUSH, decision, page, pull_all, push};
use crate::raw::Open;

const AT: &str = "2026-11-01T10:00:00Z";

/// A tenant, and its clients that push and pull.
type Tenant = (TenantId, Client, Client);

/// A reader that continues from its cursor, and fails if it gets a version twice or an older one later.
struct Reader {
    pull: Client,
    query: String,
    cursor: Option<String>,
    seen: BTreeMap<(String, String), u64>,
}

impl Reader {
    fn new(pull: &Client, query: &str) -> Self {
        Self { pull: pull.clone(), query: query.to_owned(), cursor: None, seen: BTreeMap::new() }
    }

    /// Reads a page; whether there was more.
    async fn read(&mut self) -> bool {
        let page = page(&self.pull, self.cursor.as_deref(), &self.query).await;
        for record in page.body["records"].as_array().unwrap() {
            let text = |name: &str| record[name].as_str().unwrap().to_owned();
            let version = record["version"].as_u64().unwrap();
            if let Some(before) = self.seen.insert((text("kind"), text("id")), version) {
                assert!(before < version, "{}: {before} and then {version} of {record}", self.query);
            }
        }
        self.cursor = Some(page.text("/next_cursor").to_owned());
        page.body["has_more"] == true
    }

    async fn read_all(&mut self) -> usize {
        let before = self.seen.len();
        while self.read().await {}
        self.seen.len() - before
    }
}

/// Pushes until the answer is a success, and tries again after `503`.
async fn push_on(client: &Client, device: &str, records: Value) -> Vec<Value> {
    loop {
        let answer = client.try_post(PUSH, json!({"device_id": device, "records": records})).await;
        match answer.status {
            200 => return answer.body["results"].as_array().unwrap().clone(),
            503 => tokio::task::yield_now().await,
            _ => panic!("{:#}", answer.body),
        }
    }
}

/// Number of transactions that wait for a tenant's lock.
async fn waiting(cloud: &Cloud) -> i64 {
    cloud.world.number("select count(*) from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())").await
}

#[tokio::test]
async fn an_open_push_holds_up_its_own_tenant_alone_and_nothing_is_skipped() {
    let cloud = Cloud::new().await;
    let (_, their_push, their_pull) = cloud.other("elsewhere", "ENT").await;
    let tenant = cloud.license.tenant;
    let mut reader = Reader::new(&cloud.pull, "limit=1");

    let first = Open::begin(&cloud.world, tenant).await;
    first.push(&["r1".to_owned()]).await.unwrap();
    let (client, record) = (cloud.push.clone(), json!([decision("r2", "two", AT)]));
    let second = tokio::spawn(async move { push_on(&client, "a", record).await });
    until("the second waits for the first", || async { waiting(&cloud).await == 1 }).await;

    // A push whose lock timeout is shorter fails without harm.
    let third = Open::begin(&cloud.world, tenant).await;
    third.0.batch_execute("set local lock_timeout = '20ms'").await.unwrap();
    let refused = third.push(&["r3".to_owned()]).await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::LOCK_NOT_AVAILABLE));
    let fourth = Open::begin(&cloud.world, tenant).await;
    fourth.0.batch_execute("set local statement_timeout = '20ms'").await.unwrap();
    let refused = fourth.push(&["r4".to_owned()]).await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::QUERY_CANCELED));

    // Another tenant notices nothing, and readers read what is there.
    push(&their_push, "b", json!([decision("theirs", "x", AT)])).await;
    assert_eq!(pull_all(&their_pull, 10).await.len(), 1);
    assert_eq!(reader.read_all().await, 0);
    first.commit().await;
    assert_eq!(second.await.unwrap()[0]["status"], "created");
    assert_eq!(reader.read_all().await, 2);
    assert_eq!(
        pull_all(&cloud.pull, 1).await.iter().map(|r| r["id"].as_str().unwrap()).collect::<Vec<_>>(),
        ["r1", "r2"]
    );

    // Records of a transaction that is rolled back, or whose connection dies, are never visible; their numbers are given again.
    for end in ["rollback", "terminate"] {
        let open = Open::begin(&cloud.world, tenant).await;
        open.push(&[format!("never-{end}")]).await.unwrap();
        let (client, record) = (cloud.push.clone(), json!([decision(&format!("after-{end}"), "x", AT)]));
        let waits = tokio::spawn(async move { push_on(&client, "a", record).await });
        until("it waits", || async { waiting(&cloud).await == 1 }).await;
        if end == "rollback" {
            open.rollback().await;
        } else {
            cloud.world.number(&format!("select pg_terminate_backend({})::int::bigint", open.pid().await)).await;
        }
        waits.await.unwrap();
        assert_eq!(reader.read_all().await, 1, "{end}");
    }
    assert!(reader.seen.keys().all(|(_, id)| !id.starts_with("never")));
}

/// Reads until all writers are done, and then to the end.
async fn keep_reading(mut reader: Reader, writers: Arc<AtomicUsize>) -> Reader {
    loop {
        let done = writers.load(Ordering::SeqCst) == 0;
        let more = reader.read().await;
        if done && !more {
            return reader;
        }
        tokio::task::yield_now().await;
    }
}

/// A writer's rounds: new records, changes of its own and of what all share, deletions; some of it twice.
async fn write(client: Client, writer: usize, rounds: usize) {
    let device = format!("device-{writer}");
    let kinds = ["decision", "task", "message", "skill_learning"];
    for round in 0..rounds {
        let kind = kinds[(writer + round) % kinds.len()];
        let record = |id: String, text: String| {
            let project = ["p", "q"][writer % 2];
            json!({"kind": kind, "id": id, "project_id": project, "content": {"text": text}, "updated_at": format!("2026-11-01T10:00:{:02}Z", round % 60)})
        };
        let own = record(format!("w{writer}-{}", round / 2), format!("{round}"));
        let shared = record(format!("shared-{}", round % 3), format!("{writer}-{round}"));
        let mut gone = record(format!("w{writer}-{}", round / 3), String::new());
        gone["deleted"] = json!(true);
        let records = if round % 5 == 4 { json!([shared, gone]) } else { json!([own, shared]) };
        let first = push_on(&client, &device, records.clone()).await;
        assert!(first.iter().all(|r| r["status"] != "rejected"), "{first:?}");
        if round % 4 == 3 {
            let again = push_on(&client, &device, records).await;
            assert!(again.iter().all(|r| r["status"] == "duplicate"), "{again:?}");
        }
    }
}

/// Transactions by raw SQL that begin and end in other orders, while some are given up.
async fn late_commits(world: &testing::World, tenants: &[Tenant], rounds: usize) {
    for round in 0..rounds {
        let mut open = Vec::new();
        for (n, (tenant, ..)) in tenants.iter().enumerate() {
            let transaction = Open::begin(world, *tenant).await;
            if transaction.push(&[format!("raw-{round}-{n}"), format!("raw-{round}-{n}-2")]).await.is_ok() {
                open.push(transaction);
            }
        }
        // The last that came commits first; every third one never does.
        for (n, transaction) in open.into_iter().rev().enumerate() {
            if n % 3 == 2 { transaction.rollback().await } else { transaction.commit().await }
        }
    }
}

/// Checks that a reader has seen all current records that match its query, at their latest versions.
async fn has_seen_all(sql: &tokio_postgres::Client, reader: &Reader, tenants: &[Tenant]) {
    let (tenant, ..) = tenants.iter().find(|(_, _, pull)| pull.credential() == reader.pull.credential()).unwrap();
    let named = |name: &str| {
        reader.query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
    };
    let rows = sql
        .query(
            "select k.kind, r.id, r.version from context_records r join context_kinds k on k.code = r.kind
             where tenant_id = $1 and ($2::text is null or k.kind = $2) and ($3::text is null or project_id = $3)",
            &[&tenant.as_uuid(), &named("kind"), &named("project_id")],
        )
        .await
        .unwrap();
    assert!(rows.len() > 3, "{}", reader.query);
    for row in &rows {
        let (key, version): ((String, String), i64) = ((row.get(0), row.get(1)), row.get(2));
        assert_eq!(reader.seen.get(&key), Some(&u64::try_from(version).unwrap()), "{}: {key:?}", reader.query);
    }
    // A record that has moved to another project was seen in the one before.
    if named("project_id").is_none() {
        assert_eq!(reader.seen.len(), rows.len(), "{}", reader.query);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_writers_in_one_tenant_and_sixteen_tenants_lose_and_double_nothing() {
    const WRITERS: usize = 16;
    const ROUNDS: usize = 12;
    let cloud = Cloud::new().await;
    let mut tenants = vec![(cloud.license.tenant, cloud.push.clone(), cloud.pull.clone())];
    for n in 1..WRITERS {
        let (license, push, pull) = cloud.other(&format!("tenant-{n}"), "ENT").await;
        tenants.push((license.tenant, push, pull));
    }
    // One transaction of a tenant of its own is open all the time; it was the first to write.
    let held_tenant = cloud.world.license(cloud.world.tenant("held").await, "ENT", 1).await.tenant;
    let held = Open::begin(&cloud.world, held_tenant).await;
    held.push(&["held".to_owned()]).await.unwrap();

    let writers = Arc::new(AtomicUsize::new(2 * WRITERS - 1));
    let mut writing = JoinSet::new();
    for writer in 0..WRITERS {
        // All in the first tenant, and each in its own.
        let both = [Some((0, writer)), (writer > 0).then_some((writer, 0))];
        for (tenant, writer) in both.into_iter().flatten() {
            let (client, writers) = (tenants[tenant].1.clone(), writers.clone());
            writing.spawn(async move {
                write(client, writer, ROUNDS).await;
                writers.fetch_sub(1, Ordering::SeqCst);
            });
        }
    }
    let mut reading = JoinSet::new();
    for query in [
        "limit=1000",
        "limit=1",
        "limit=7",
        "limit=3&kind=task",
        "limit=2&project_id=p",
        "limit=5&kind=message&project_id=q",
    ] {
        reading.spawn(keep_reading(Reader::new(&tenants[0].2, query), writers.clone()));
    }
    for (_, _, pull) in &tenants[1..] {
        reading.spawn(keep_reading(Reader::new(pull, "limit=9"), writers.clone()));
    }
    late_commits(&cloud.world, &tenants, 4).await;
    while let Some(ended) = writing.join_next().await {
        ended.unwrap();
    }
    held.commit().await;
    let sql = cloud.world.db.connect("postgres").await;
    while let Some(reader) = reading.join_next().await {
        let mut reader = reader.unwrap();
        // Records that were committed since its last poll.
        reader.read_all().await;
        has_seen_all(&sql, &reader, &tenants).await;
    }
    let holes = "select count(*) from context_records r where r.version - 1 <>
        (select count(*) from context_history h where (h.tenant_id, h.kind, h.id) = (r.tenant_id, r.kind, r.id) and h.version < r.version)";
    assert_eq!(cloud.world.number(holes).await, 0, "a version is missing");
    let foreign = "select count(*) from context_heads h where seq < (select max(seq) from context_records r where r.tenant_id = h.tenant_id)";
    assert_eq!(cloud.world.number(foreign).await, 0, "a number beyond its head");
    cloud.status().await;
}
