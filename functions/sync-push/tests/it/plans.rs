//! Tests of the query plans of each request with a million records, as Postgres logged them (`auto_explain`).

use serde_json::{Value, json};
use testing::World;
use testing::http::Method;
use testing::postgres::server::Server;

use crate::cloud::{Cloud, PUSH, decision};

const RECORDS: i64 = 1_000_000;

/// A statement as it ran.
#[derive(Debug)]
struct Ran {
    /// Its beginning.
    text: String,
    plan: Value,
}

impl Ran {
    fn nodes(&self) -> Vec<&Value> {
        let mut nodes = vec![&self.plan];
        let mut next = 0;
        while let Some(node) = nodes.get(next).copied() {
            nodes.extend(node["Plans"].as_array().into_iter().flatten());
            next += 1;
        }
        nodes
    }

    /// Its nodes, a line each.
    fn shown(&self) -> String {
        let line = |node: &&Value| {
            let names = [
                "Node Type",
                "Relation Name",
                "Index Name",
                "Actual Rows",
                "Actual Loops",
                "Rows Removed by Filter",
                "Index Cond",
            ];
            names.map(|name| node[name].to_string()).join(" ")
        };
        format!("{}\n{}", self.text, self.nodes().iter().map(line).collect::<Vec<_>>().join("\n"))
    }

    /// Pages of tables and indexes that were looked at.
    fn pages(&self) -> u64 {
        ["Shared Hit Blocks", "Shared Read Blocks"].iter().map(|name| self.plan[*name].as_u64().unwrap_or(0)).sum()
    }

    /// No table of records is read through, and nothing is sorted that is more than a page.
    fn is_by_index(&self, what: &str) {
        for node in self.nodes() {
            let (kind, relation) =
                (node["Node Type"].as_str().unwrap(), node["Relation Name"].as_str().unwrap_or_default());
            assert!(
                kind != "Seq Scan" || !["context_records", "context_history"].contains(&relation),
                "{what} reads through {relation}: {}",
                self.shown()
            );
            let rows = node["Actual Rows"].as_f64().unwrap_or(0.0) * node["Actual Loops"].as_f64().unwrap_or(0.0);
            assert!(!kind.contains("Sort") || rows <= 1001.0, "{what} sorts {rows} rows: {}", self.shown());
            let dropped =
                node["Rows Removed by Filter"].as_f64().unwrap_or(0.0) * node["Actual Loops"].as_f64().unwrap_or(0.0);
            // A kind without an index of its own is looked for in a window of the stream.
            let most =
                if what.contains("kind=message") || what.contains("kind=tool_analytics") { 50_000.0 } else { 1001.0 };
            assert!(dropped <= most, "{what} reads {dropped} rows for nothing: {}", self.shown());
        }
    }
}

/// A tenant with a million records on a server that writes down every plan.
struct Million {
    server: Server,
    cloud: Cloud,
    read: usize,
}

impl Million {
    async fn new() -> Self {
        let server = Server::start().await;
        let cloud = Cloud::on(World::on(server.database().await).await, "ENT").await;
        let tenant = cloud.license.tenant;
        let name = cloud.world.db.name();
        // One record in a thousand is of a rare project and status, early in the stream; the tenant beside has as many kinds.
        let fill = format!(
            "insert into context_records (tenant_id, seq, version, updated_at, kind, deleted, id, device_id, project_id, status, content_hash, content)
             select case when n % 100 = 99 then o.id else '{tenant}' end, n, 1, '2026-11-01', 1 + n % 7, false, 'r' || n, 'laptop',
                    case when n between 1000 and 1100 then 'rare' when n % 3 = 0 then 'p' || n % 20 end,
                    case when n % 7 <> 1 then null when n between 1000 and 1050 then 'blocked' else 'pending' end,
                    decode(md5(n::text) || md5(n::text), 'hex'), convert_to('{{\"text\":\"' || repeat('x', 60) || '\"}}', 'UTF8')
             from generate_series(1, {RECORDS}) n, tenants o where o.slug = 'elsewhere';
             insert into context_history (tenant_id, seq, version, updated_at, written_at, replaced_at, kind, deleted, id, device_id, content_hash, content)
             select '{tenant}', n, n, now(), now(), now(), 1 + k % 7, false, 'r' || k, 'laptop', decode(md5(n::text) || md5(k::text), 'hex'), '{{}}'
             from generate_series(1, 400) n, generate_series(1, 50) k;
             insert into context_totals (tenant_id, kind, records, deleted, bytes)
             select tenant_id, kind, count(*), 0, sum(octet_length(content)) from context_records group by 1, 2;
             update context_heads set seq = {RECORDS};
             analyze"
        );
        cloud.world.tenant("elsewhere").await;
        cloud.world.sql(&fill).await;
        for (setting, value) in [
            ("session_preload_libraries", "auto_explain"),
            ("auto_explain.log_min_duration", "0"),
            ("auto_explain.log_analyze", "on"),
            ("auto_explain.log_buffers", "on"),
            ("auto_explain.log_timing", "off"),
            ("auto_explain.log_nested_statements", "on"),
            ("auto_explain.log_format", "json"),
            // As after the first five uses of a connection.
            ("plan_cache_mode", "force_generic_plan"),
        ] {
            cloud.world.sql(&format!("alter database {name} set {setting} = '{value}'")).await;
        }
        let again = Self::connections(cloud).await;
        Self { server, cloud: again, read: 0 }
    }

    /// Connects the clients anew, so that the database's current settings apply.
    async fn connections(cloud: Cloud) -> Cloud {
        let push = cloud.world.serve("sync-push", sync_push::State::connect, sync_push::routes).await;
        let pull = cloud.world.serve("sync-pull", sync_pull::State::connect, sync_pull::routes).await;
        let credential = cloud.push.credential().to_owned();
        Cloud { push: push.bearer(credential.clone()), pull: pull.bearer(credential), ..cloud }
    }

    /// Returns the statements that ran since the last call.
    fn ran(&mut self) -> Vec<Ran> {
        let log = self.server.log();
        let new = log[self.read..].to_owned();
        self.read = log.len();
        let plans = new.split("plan:\n").skip(1).map(|rest| {
            let lines: String = rest.lines().take_while(|line| line.starts_with(['\t', '{'])).collect();
            serde_json::from_str::<Value>(&lines.replace('\t', " ")).unwrap_or_else(|e| panic!("{e}: {lines}"))
        });
        let text = |plan: &Value| {
            plan["Query Text"].as_str().unwrap().split_whitespace().take(12).collect::<Vec<_>>().join(" ")
        };
        plans.map(|plan| Ran { text: text(&plan), plan: plan["Plan"].clone() }).collect()
    }

    async fn get(&self, path: &str) -> Value {
        let path = format!("/api/v1/context/{path}");
        let answer = self.cloud.pull.send_any(self.cloud.pull.request(Method::GET, &path)).await;
        let log = self.server.log();
        assert_eq!(answer.status, 200, "{path}: {}", &log[log.len().saturating_sub(6000)..]);
        answer.body
    }

    /// Reads, and checks that the plans use indexes, and at most so many pages.
    async fn reads(&mut self, path: &str, most: u64) -> Value {
        // The first request of a connection also reads the system catalog.
        self.get(path).await;
        self.ran();
        let answer = self.get(path).await;
        let all = self.ran();
        assert!(all.len() >= 2, "{path}: {all:?}");
        for ran in &all {
            ran.is_by_index(path);
            assert!(ran.pages() <= most, "{path}: {} pages in {}", ran.pages(), ran.shown());
        }
        answer
    }

    async fn pushes(&mut self, what: &str, records: Vec<Value>, most: u64) -> Vec<Value> {
        self.ran();
        let body = json!({"device_id": "laptop", "records": records});
        let answer = self.cloud.push.post(PUSH, body, 200).await.body;
        let all = self.ran();
        assert!(all.iter().any(|ran| ran.text.contains("context_push")), "{what}: {all:?}");
        for ran in &all {
            ran.is_by_index(what);
            assert!(ran.pages() <= most, "{what}: {} pages in {}", ran.pages(), ran.shown());
        }
        answer["results"].as_array().unwrap().clone()
    }
}

/// Reads of a page look at its records and little else; a poll at nothing, however much there is.
async fn reads_are_by_index(million: &mut Million) {
    // A push answers where the stream ends.
    let nothing = million.cloud.push.post(PUSH, json!({"device_id": "laptop", "records": []}), 200).await;
    let end = nothing.text("/cursor").to_owned();
    for filter in [
        "",
        "&kind=task",
        "&kind=component",
        "&kind=message",
        "&project_id=p3",
        "&project_id=rare",
        "&project_id=none",
        "&kind=task&project_id=p3",
    ] {
        let first = million.reads(&format!("pull?limit=1000{filter}"), 2200).await;
        million.reads(&format!("pull?limit=1{filter}"), 60).await;
        let cursor = first["next_cursor"].as_str().unwrap();
        million.reads(&format!("pull?limit=1000&cursor={cursor}{filter}"), 2200).await;
        let empty = million.reads(&format!("pull?limit=1000&cursor={end}{filter}"), 10).await;
        assert_eq!((&empty["records"], &empty["has_more"]), (&json!([]), &json!(false)));
    }
    for view in ["tasks", "decisions", "learnings"] {
        for filter in ["", "&project_id=p3", "&project_id=rare", "&project_id=none"] {
            let first = million.reads(&format!("{view}?limit=200{filter}"), 300).await;
            if let Some(cursor) = first["next_cursor"].as_str() {
                million.reads(&format!("{view}?limit=200&cursor={cursor}{filter}"), 300).await;
            }
        }
    }
    for filter in [
        "status=pending",
        "status=blocked",
        "status=none",
        "status=blocked&project_id=rare",
        "status=pending&project_id=p3",
    ] {
        million.reads(&format!("tasks?limit=200&{filter}"), 300).await;
    }
    million.reads("status", 10).await;
    let history = million.reads("history?kind=task&id=r1&limit=16", 60).await;
    assert_eq!(history["data"].as_array().unwrap().len(), 16);
}

/// A push of 500 looks its records up by their keys, whatever becomes of them.
async fn pushes_are_by_index(million: &mut Million) {
    let at = "2026-11-01T10:00:00Z";
    let new = |name: &str| (0..500).map(|n| decision(&format!("{name}{n}"), name, at)).collect::<Vec<Value>>();
    let all = |results: &[Value], status: &str| results.iter().all(|r| r["status"] == status);
    // The first requests of a connection also read the system catalog.
    million.pushes("the first", new("a"), 25_000).await;
    assert!(all(&million.pushes("new", new("b"), 12_000).await, "created"));
    assert!(all(&million.pushes("all the same", new("b"), 5_000).await, "duplicate"));
    let changed: Vec<Value> = new("b")
        .into_iter()
        .map(|mut r| {
            r["content"] = json!({"text": "changed"});
            r["base_version"] = json!(1);
            r
        })
        .collect();
    assert!(all(&million.pushes("changed", changed.clone(), 25_000).await, "updated"));
    let mut mixed = new("b");
    mixed.truncate(100);
    mixed.extend(changed[100..200].iter().cloned());
    mixed.extend(new("c").into_iter().take(100));
    mixed.extend(new("a").into_iter().take(100).map(|mut r| {
        r["deleted"] = json!(true);
        r
    }));
    let results = million.pushes("all sorts", mixed, 25_000).await;
    assert!(results.iter().all(|r| r["status"] != "rejected"));
    let sql =
        "update plans set quotas = quotas || '{\"context_records\": 10, \"context_bytes\": 10}' where code = 'ENT'";
    million.cloud.world.sql(sql).await;
    assert!(all(&million.pushes("beyond the quota", new("d"), 12_000).await, "rejected"));
    million
        .cloud
        .world
        .sql(
            "update plans set quotas = quotas || '{\"context_records\": -1, \"context_bytes\": -1}' where code = 'ENT'",
        )
        .await;
}

#[tokio::test]
async fn at_a_million_records_every_request_is_answered_from_indexes() {
    let mut million = Million::new().await;
    reads_are_by_index(&mut million).await;
    pushes_are_by_index(&mut million).await;
    // And as the first five uses of a connection are planned.
    let name = million.cloud.world.db.name().to_owned();
    million.cloud.world.sql(&format!("alter database {name} set plan_cache_mode = 'force_custom_plan'")).await;
    million.cloud = Million::connections(million.cloud).await;
    reads_are_by_index(&mut million).await;
}
