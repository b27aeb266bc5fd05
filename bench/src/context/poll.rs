//! Empty polls: a client that has everything asks whether there is more, of tenants with few records and with many.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::pull;
use super::record::Records;
use super::round::ROUNDS;
use super::sql::Database;
use super::tenant::{self, Tenant};
use crate::load::{self, Connection};
use crate::table::{self, ms, rate};

/// Numbers of records of the tenants.
pub(crate) const SIZES: [u64; 3] = [1000, 100_000, 1_000_000];

/// Polls of each tenant in a round.
const POLLS: usize = 500;

const FILL: &str = "
    with filled as (
        insert into context_records (tenant_id, seq, version, updated_at, kind, deleted, id, device_id, project_id, content_hash, content)
        select current_tenant(), n, 1, now(), 1 + n % 7, false, 'poll-' || n, 'bench-laptop', 'coditect-bench',
               sha256(int8send(n)), convert_to('{\"text\":\"' || rpad(n::text, 489, 'words ') || '\"}', 'UTF8')
        from generate_series(1, $1::bigint) n
        returning kind
    ),
    counted as (
        insert into context_totals (tenant_id, kind, records, deleted, bytes)
        select current_tenant(), kind, count(*), 0, count(*) * 500 from filled group by kind
    )
    update context_heads set seq = $1 where tenant_id = current_tenant()";

/// Gives a tenant one record less than `records`.
async fn fill(v: &HashMap<String, String>, tenant: &Tenant, records: u64) {
    let owner = tenant::as_owner(v).await;
    owner.batch_execute(&format!("set app.tenant_id = '{}'", tenant.id)).await.expect("a setting");
    owner.execute(FILL, &[&(records as i64 - 1)]).await.expect("records");
}

/// Pushes the last record, and returns the cursor of the end, which is in the answer to a push.
async fn end(v: &HashMap<String, String>, tenant: &Tenant) -> String {
    let request = load::post("/api/v1/context/push", Some(&tenant.token), &Records::new(1).body());
    let (status, body) = Connection::open(&load::address(&v["SYNC_PUSH_URL"])).await.ask(&request).await;
    assert_eq!(status, 200, "a push: {}", String::from_utf8_lossy(&body));
    let answer: Value = serde_json::from_slice(&body).expect("an answer is JSON");
    answer["cursor"].as_str().expect("a cursor").to_owned()
}

struct Poller {
    connection: Connection,
    request: Vec<u8>,
    latencies: Vec<Duration>,
}

impl Poller {
    async fn round(&mut self) {
        for _ in 0..POLLS {
            let sent = Instant::now();
            let (status, body) = self.connection.exchange(&self.request).await;
            self.latencies.push(sent.elapsed());
            assert!(status == 200 && body.starts_with(b"{\"records\":[],"), "nothing is new");
        }
    }
}

/// Measures polls and returns their table.
pub(crate) async fn table(v: &HashMap<String, String>, tenants: &[Tenant]) -> String {
    for (tenant, records) in tenants.iter().zip(SIZES) {
        fill(v, tenant, records).await;
    }
    let owner = tenant::as_owner(v).await;
    owner.batch_execute("vacuum analyze context_records").await.expect("a table without loose ends");
    let mut pollers = Vec::new();
    for tenant in tenants {
        let cursor = end(v, tenant).await;
        let request = pull::request(&tenant.token, Some(&cursor), "");
        let connection = Connection::open(&load::address(&v["SYNC_PULL_URL"])).await;
        pollers.push(Poller { connection, request, latencies: Vec::new() });
    }
    let database = Database::open(v, &tenants[0], "coditect_sync_pull", "select 1").await;
    let mut bare = Vec::new();
    for round in 0..=ROUNDS {
        for _ in 0..POLLS {
            let sent = Instant::now();
            database.query(&[]).await;
            bare.push(sent.elapsed());
        }
        for poller in &mut pollers {
            poller.round().await;
            if round == 0 {
                poller.latencies.clear();
            }
        }
        if round == 0 {
            bare.clear();
        }
    }
    let raw = percentile(&mut bare, 0.5);
    let mut rows = vec![row("select 1 in a transaction of the tenant", &mut bare, raw)];
    for (poller, records) in pollers.iter_mut().zip(SIZES) {
        rows.push(row(&format!("**empty poll**, {} records", rate(records as f64)), &mut poller.latencies, raw));
    }
    table::table(&["polls, 1 connection", "p50", "p99", "of select 1"], rows)
}

fn row(what: &str, latencies: &mut [Duration], raw: Duration) -> Vec<String> {
    let (p50, p99) = (percentile(latencies, 0.5), percentile(latencies, 0.99));
    vec![what.to_owned(), ms(p50), ms(p99), format!("{:.1} ×", p50.as_secs_f64() / raw.as_secs_f64())]
}

fn percentile(latencies: &mut [Duration], share: f64) -> Duration {
    latencies.sort_unstable();
    latencies[((latencies.len() - 1) as f64 * share).round() as usize]
}
