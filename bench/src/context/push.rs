//! Pushes of new records: over HTTP, by the function in the database that a push ends in, and by a bare `insert`.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::path::Path;

use tokio_postgres::types::ToSql;

use super::cpu::Processes;
use super::record::{BATCH, CONTENT_BYTES, DEVICE, Records};
use super::round::{Lane, ROUNDS, Sender};
use super::rows::Rows;
use super::sql::Database;
use super::tenant::Tenant;
use crate::load::{self, Connection};

const INSERT: &str = "
    insert into context_records (tenant_id, seq, version, updated_at, kind, deleted, id, device_id, project_id, status, content_hash, content)
    select $1, $2 + b.n, 1, b.updated_at, b.kind, b.deleted, b.id, $3, b.project_id, b.status, b.content_hash, b.content
    from unnest($4::smallint[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::boolean[], $10::bytea[], $11::bytea[])
        with ordinality as b (kind, id, project_id, status, updated_at, deleted, content_hash, content, n)
    on conflict do nothing";

const FUNCTION: &str = "select n, outcome, version, content_hash
    from context_push($1, null, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, null, $12, $13, $14, $15, $16)";

/// A sender of pushes: over HTTP, by a bare `insert`, or by the database's function.
pub(crate) enum Writer {
    Http { connection: Connection, token: String, stock: VecDeque<Vec<u8>>, answers: Vec<Vec<u8>>, errors: u64 },
    Insert { database: Database, next: i64, stock: VecDeque<Records> },
    Function { database: Database, stock: VecDeque<Records> },
}

impl Writer {
    pub(crate) async fn http(v: &HashMap<String, String>, tenant: &Tenant) -> Self {
        let mut connection = Connection::open(&load::address(&v["SYNC_PUSH_URL"])).await;
        // A connection has seconds for its first request, and the stock of pushes takes longer to make.
        connection.ask(b"GET /health HTTP/1.1\r\nhost: bench\r\n\r\n").await;
        Self::Http { connection, token: tenant.token.clone(), stock: VecDeque::new(), answers: Vec::new(), errors: 0 }
    }

    /// Opens the `nth` of several concurrent writers to a tenant; its range of numbers is used by no other.
    async fn insert(v: &HashMap<String, String>, tenant: &Tenant, nth: usize) -> Self {
        let database = Database::open(v, tenant, "coditect_sync_push", INSERT).await;
        Self::Insert { database, next: (nth as i64 + 1) << 32, stock: VecDeque::new() }
    }

    pub(crate) async fn function(v: &HashMap<String, String>, tenant: &Tenant) -> Self {
        let database = Database::open(v, tenant, "coditect_sync_push", FUNCTION).await;
        Self::Function { database, stock: VecDeque::new() }
    }

    /// Pushes records by the database's function.
    pub(crate) async fn push(&mut self, records: &Records) {
        let Self::Function { database, .. } = self else { panic!("not over HTTP") };
        assert_eq!(push(database, records).await, 0, "all are new");
    }
}

impl Sender for Writer {
    fn prepare(&mut self, requests: usize) {
        let batches = |have: usize| (have..requests).map(|_| Records::new(BATCH));
        match self {
            Self::Http { stock, token, .. } => {
                stock.extend(batches(stock.len()).map(|b| load::post("/api/v1/context/push", Some(token), &b.body())));
            }
            Self::Insert { stock, .. } | Self::Function { stock, .. } => stock.extend(batches(stock.len())),
        }
    }

    async fn send(&mut self) -> Option<u64> {
        match self {
            Self::Http { connection, stock, answers, errors, .. } => {
                let (status, body) = connection.exchange(&stock.pop_front()?).await;
                if status != 200 {
                    *errors += 1;
                    return Some(0);
                }
                answers.push(body.to_vec());
                Some(BATCH as u64)
            }
            Self::Insert { database, next, stock } => {
                let records = stock.pop_front()?;
                let columns = records.columns();
                let mut values: Vec<&(dyn ToSql + Sync)> = vec![&database.tenant.id, next, &DEVICE];
                values.extend(columns);
                let made = database.execute(&values).await;
                assert_eq!(made, BATCH as u64, "all are new");
                *next += BATCH as i64;
                Some(made)
            }
            Self::Function { database, stock } => {
                let met = push(database, &stock.pop_front()?).await;
                assert_eq!(met, 0, "all are new");
                Some(BATCH as u64)
            }
        }
    }

    fn check(&mut self) -> u64 {
        let Self::Http { answers, errors, .. } = self else { return 0 };
        let is_wrong = |body: &Vec<u8>| String::from_utf8_lossy(body).matches("\"created\"").count() != BATCH;
        let wrong = answers.drain(..).filter(is_wrong).count() as u64;
        std::mem::take(errors) + wrong
    }
}

/// Pushes records by the database's function; returns the number of those that were not simply created.
async fn push(database: &Database, records: &Records) -> u64 {
    let [kinds, ids, projects, statuses, updated, deletions, hashes, contents] = records.columns();
    let mut totals: Vec<(i16, i64)> = Vec::new();
    for kind in &records.kinds {
        match totals.iter_mut().find(|total| total.0 == *kind) {
            Some(total) => total.1 += 1,
            None => totals.push((*kind, 1)),
        }
    }
    let (kind, count): (Vec<i16>, Vec<i64>) = totals.into_iter().unzip();
    let none = vec![0_i64; kind.len()];
    let bytes: Vec<i64> = count.iter().map(|count| count * CONTENT_BYTES as i64).collect();
    let total: i64 = bytes.iter().sum();
    let license = &database.tenant.license;
    database
        .execute(&[
            license,
            &DEVICE,
            kinds,
            ids,
            projects,
            statuses,
            updated,
            deletions,
            &records.bases,
            hashes,
            contents,
            &total,
            &kind,
            &count,
            &none,
            &bytes,
        ])
        .await
}

/// The table of pushes.
pub(crate) async fn table(v: &HashMap<String, String>, tenants: &[Tenant]) -> String {
    let mut rows = Rows::default();
    const MANY: usize = 16;
    let (ours, raw) = tenants.split_at(tenants.len() / 2);
    let scenarios =
        [("1 connection", 1, 1), ("16 connections, 1 tenant", MANY, 1), ("16 connections, 16 tenants", MANY, MANY)];
    let stack = Path::new(&v["BENCH_STACK_DIR"]);
    for (name, connections, across) in scenarios {
        let (mut http, mut insert, mut function) = (Vec::new(), Vec::new(), Vec::new());
        for n in 0..connections {
            http.push(Writer::http(v, &ours[n % across]).await);
            insert.push(Writer::insert(v, &raw[n % across], rows.len() * MANY + n).await);
            function.push(Writer::function(v, &ours[n % across]).await);
        }
        let mut insert = Lane::open(insert, Processes::of(stack, None)).await;
        let mut function = Lane::open(function, Processes::of(stack, None)).await;
        let mut http = Lane::open(http, Processes::of(stack, Some("sync-push"))).await;
        for _ in 0..ROUNDS {
            insert.round().await;
            function.round().await;
            http.round().await;
        }
        rows.add(&format!("push, {name}: raw insert"), &insert.measured, None);
        rows.add(&format!("push, {name}: context_push() alone"), &function.measured, Some(&insert.measured));
        rows.add(&format!("**push, {name}**"), &http.measured, Some(&insert.measured));
    }
    rows.table()
}
