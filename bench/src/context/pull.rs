//! Pulls of a tenant's stream, page by page: over HTTP, as it is and compressed, and by a bare `select` of the page.
//!
//! The bare one reads a copy of the stream in a table of its own that has one index, for this: its pages are ranges of it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::cpu::Processes;
use super::push::Writer;
use super::record::Records;
use super::round::{Lane, ROUNDS, Sender};
use super::rows::Rows;
use super::sql::Database;
use super::tenant::{self, Tenant};
use crate::load::{self, Connection};

/// Records of the stream, and of a page.
pub(crate) const STREAM: u64 = 100_000;
const PAGE: u64 = 1000;

const COPY: &str = "
    create table bench_stream (like context_records, primary key (tenant_id, seq));
    alter table bench_stream enable row level security;
    alter table bench_stream force row level security;
    create policy tenant on bench_stream using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
    grant select on bench_stream to coditect_sync_pull;
    insert into bench_stream select * from context_records order by seq;";

const SELECT: &str = "
    select kind, id, project_id, content, content_hash, version, updated_at, deleted, device_id, user_id, written_at, seq
    from bench_stream where seq > $1 order by seq limit 1000";

/// One who reads the stream, and from its end begins again.
pub(crate) enum Reader {
    Http { connection: Connection, pages: Arc<Pages>, at: usize, errors: u64 },
    Select { database: Database, after: i64 },
}

/// The requests of all pages, and how long the answers are.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    pub(crate) requests: Vec<Vec<u8>>,
    lengths: Vec<usize>,
}

impl Pages {
    /// Reads the stream once, and looks that all of it is there, each record once.
    async fn read(address: &str, token: &str) -> Self {
        let (mut connection, mut pages, mut cursor) = (Connection::open(address).await, Self::default(), None);
        let mut seen = std::collections::HashSet::new();
        loop {
            let request = request(token, cursor.as_deref(), "");
            let (status, body) = connection.exchange(&request).await;
            assert_eq!(status, 200, "a page: {}", String::from_utf8_lossy(body));
            let page: Value = serde_json::from_slice(body).expect("a page is JSON");
            for record in page["records"].as_array().expect("records") {
                assert!(seen.insert(record["id"].to_string()), "each record once");
            }
            pages.lengths.push(body.len());
            pages.requests.push(request);
            if page["has_more"] != true {
                break;
            }
            cursor = page["next_cursor"].as_str().map(str::to_owned);
        }
        assert_eq!(seen.len() as u64, STREAM, "all records");
        pages
    }

    /// The same pages, compressed.
    async fn compressed(address: &str, token: &str, plain: &Self) -> Self {
        let (mut connection, mut pages) = (Connection::open(address).await, Self::default());
        let bearer = format!("authorization: Bearer {token}\r\n");
        for request in &plain.requests {
            let text = String::from_utf8_lossy(request);
            let request = text.replace(&bearer, &format!("{bearer}accept-encoding: gzip\r\n")).into_bytes();
            let (status, body) = connection.exchange(&request).await;
            assert_eq!(status, 200, "a page");
            pages.lengths.push(body.len());
            pages.requests.push(request);
        }
        pages
    }

    /// Bytes of a page, in the mean.
    fn mean_length(&self) -> usize {
        self.lengths.iter().sum::<usize>() / self.lengths.len().max(1)
    }
}

/// A request for the page after a cursor.
pub(crate) fn request(token: &str, cursor: Option<&str>, header: &str) -> Vec<u8> {
    let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
    let path = format!("/api/v1/context/pull?limit={PAGE}{cursor}");
    format!("GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n{header}\r\n").into_bytes()
}

impl Sender for Reader {
    fn prepare(&mut self, _: usize) {}

    async fn send(&mut self) -> Option<u64> {
        match self {
            Self::Http { connection, pages, at, errors } => {
                let (status, body) = connection.exchange(&pages.requests[*at]).await;
                let is_right = status == 200 && body.len() == pages.lengths[*at];
                *errors += u64::from(!is_right);
                *at = (*at + 1) % pages.requests.len();
                Some(if is_right { PAGE } else { 0 })
            }
            Self::Select { database, after } => {
                let rows = database.query(&[after]).await;
                let bytes: usize = rows.iter().map(|row| row.get::<_, Option<&[u8]>>(3).map_or(0, <[u8]>::len)).sum();
                assert!(bytes > 0, "contents are there");
                let last: i64 = rows.last().map_or(0, |row| row.get(11));
                *after = if rows.len() as u64 == PAGE && last < STREAM as i64 { last } else { 0 };
                Some(rows.len() as u64)
            }
        }
    }

    fn check(&mut self) -> u64 {
        match self {
            Self::Http { errors, .. } => std::mem::take(errors),
            Self::Select { .. } => 0,
        }
    }
}

/// Fills the stream of a tenant.
async fn fill(v: &HashMap<String, String>, tenant: &Tenant) {
    let mut writer = Writer::function(v, tenant).await;
    for _ in 0..STREAM / 500 {
        writer.push(&Records::new(500)).await;
    }
    let owner = tenant::as_owner(v).await;
    owner.batch_execute(&format!("set app.tenant_id = '{}'", tenant.id)).await.expect("a setting");
    owner.batch_execute(COPY).await.expect("a copy of the stream");
    for table in ["context_records", "bench_stream"] {
        owner.batch_execute(&format!("vacuum analyze {table}")).await.expect("a table without loose ends");
    }
}

/// A tenant's stream, and its pages as they should come.
pub(crate) struct Stream<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) plain: Arc<Pages>,
    pub(crate) gzip: Arc<Pages>,
}

impl<'a> Stream<'a> {
    /// Makes it, and reads it once.
    pub(crate) async fn open(v: &HashMap<String, String>, tenant: &'a Tenant) -> Self {
        fill(v, tenant).await;
        let address = load::address(&v["SYNC_PULL_URL"]);
        let plain = Arc::new(Pages::read(&address, &tenant.token).await);
        let gzip = Arc::new(Pages::compressed(&address, &tenant.token, &plain).await);
        Self { tenant, plain, gzip }
    }
}

/// The table of pulls.
pub(crate) async fn table(v: &HashMap<String, String>, stream: &Stream<'_>) -> String {
    let mut rows = Rows::default();
    let Stream { tenant, plain, gzip } = stream;
    let address = load::address(&v["SYNC_PULL_URL"]);
    let stack = Path::new(&v["BENCH_STACK_DIR"]);
    for (name, readers) in [("1 reader", 1), ("16 readers", 16)] {
        let (mut http, mut compressed, mut select) = (Vec::new(), Vec::new(), Vec::new());
        for n in 0..readers {
            // Readers are at different places.
            let at = n * plain.requests.len() / readers;
            for (lane, pages) in [(&mut http, plain), (&mut compressed, gzip)] {
                let connection = Connection::open(&address).await;
                lane.push(Reader::Http { connection, pages: Arc::clone(pages), at, errors: 0 });
            }
            let database = Database::open(v, tenant, "coditect_sync_pull", SELECT).await;
            select.push(Reader::Select { database, after: at as i64 * PAGE as i64 });
        }
        let mut select = Lane::open(select, Processes::of(stack, None)).await;
        let mut http = Lane::open(http, Processes::of(stack, Some("sync-pull"))).await;
        let mut compressed = Lane::open(compressed, Processes::of(stack, Some("sync-pull"))).await;
        for _ in 0..ROUNDS {
            select.round().await;
            http.round().await;
            compressed.round().await;
        }
        rows.add(&format!("pull, {name}: raw select"), &select.measured, None);
        rows.add(&format!("**pull, {name}**"), &http.measured, Some(&select.measured));
        let name = format!("pull, {name}, gzip: {} of {} bytes a page", gzip.mean_length(), plain.mean_length());
        rows.add(&name, &compressed.measured, Some(&select.measured));
    }
    rows.table()
}
