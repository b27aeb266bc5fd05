//! Baselines: throughput of the same machine without our functions, measured in the same run.

use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::post;
use futures_util::future::join_all;
use seats::{EXTEND, KEYS, UNNAMED};
use tokio::net::TcpListener;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, NoTls, Row, Statement};
use uuid::Uuid;

/// The session that keeps a seat, for the bare heartbeat.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    pub(crate) license: String,
    pub(crate) session: String,
}

impl Seat {
    fn keys(&self) -> Vec<String> {
        KEYS.iter().map(|k| format!("seat:{{{}}}:{k}", self.license)).collect()
    }

    /// Returns the arguments of the heartbeat's script: the session itself asks, for every session that shares the seat.
    fn arguments(&self) -> [String; 4] {
        [self.session.clone(), "360000".to_owned(), String::new(), UNNAMED.to_string()]
    }
}

/// A server that runs the heartbeat's script for a seat and answers: no credential, no checks, no problem documents.
pub(crate) async fn serve_redis(listener: TcpListener, redis_url: &str, seat: Seat) {
    let client = redis::Client::open(redis_url).expect("a Redis URL");
    let connections = [
        client.get_multiplexed_async_connection().await.expect("Redis answers"),
        client.get_multiplexed_async_connection().await.expect("Redis answers"),
    ];
    let next = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let app = Router::new().route(
        "/",
        post(move |_: axum::body::Bytes| {
            let i = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 2;
            let (mut connection, seat) = (connections[i].clone(), seat.clone());
            async move {
                let mut call = EXTEND.prepare_invoke();
                for key in seat.keys() {
                    call.key(key);
                }
                for argument in seat.arguments() {
                    call.arg(argument);
                }
                let answer: Vec<String> = call.invoke_async(&mut connection).await.expect("Redis answers");
                answer.join(" ")
            }
        }),
    );
    axum::serve(listener, app).await.expect("it serves");
}

/// Scripts per second by `redis-benchmark` with 50 connections.
pub(crate) async fn redis_benchmark(redis_url: &str, seat: &Seat) -> f64 {
    let client = redis::Client::open(redis_url).expect("a Redis URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis answers");
    EXTEND.load_async(&mut connection).await.expect("Redis takes the script");
    // redis-benchmark takes a URL without a user for one with an empty user name.
    let url = redis_url.replacen("://:", "://default:", 1);
    let mut command = tokio::process::Command::new("redis-benchmark");
    command.args(["-u", &url, "-c", "50", "-n", "200000", "--csv"]);
    command.args(["EVALSHA", EXTEND.get_hash(), &KEYS.len().to_string()]).args(seat.keys()).args(seat.arguments());
    let output = command.output().await.expect("redis-benchmark is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text.lines().last().and_then(|line| line.split("\",\"").nth(1));
    rate.and_then(|rate| rate.trim_matches('"').parse().ok())
        .unwrap_or_else(|| panic!("redis-benchmark: {}{text}", String::from_utf8_lossy(&output.stderr)))
}

/// Transactions per second of `begin`, tenant, one primary-key look-up and `commit` in one round trip, on 16 connections.
pub(crate) async fn postgres(url: &str, license: &str, tenant: &str) -> f64 {
    const CONNECTIONS: usize = 16;
    const EACH: usize = 1000;
    let license: Uuid = license.parse().expect("a license id");
    let begin = format!("begin; set local app.tenant_id = '{tenant}'");
    let clients = join_all((0..CONNECTIONS).map(|_| async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("Postgres answers");
        tokio::spawn(connection);
        let statement = client.prepare("select seats from licenses where id = $1").await.expect("a statement");
        (client, statement)
    }))
    .await;
    let started = Instant::now();
    join_all(clients.iter().map(|(client, statement)| async {
        for _ in 0..EACH {
            let params: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [&license];
            let (a, b, c) = tokio::join!(biased;
                client.batch_execute(&begin), client.query(statement, &params), client.batch_execute("commit"));
            a.and(b.map(drop)).and(c).expect("a transaction");
        }
    }))
    .await;
    (CONNECTIONS * EACH) as f64 / started.elapsed().as_secs_f64()
}

/// A purchase that events are about.
#[derive(Debug)]
pub(crate) struct Purchase {
    pub(crate) tenant: Uuid,
    pub(crate) customer: String,
    pub(crate) subscription: String,
    pub(crate) invoice: String,
    /// The body of one of its events.
    pub(crate) body: Vec<u8>,
}

/// Returns the number of events per second that Postgres stores with their subscription's row, in the round trips of
/// `webhook-stripe` and with its commits, on a connection for each purchase: nothing is parsed, decided or sent to Redis.
pub(crate) async fn postgres_events(url: &str, purchases: &[Purchase]) -> f64 {
    const EACH: usize = 200;
    let clients = join_all(purchases.iter().map(|_| async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("Postgres answers");
        tokio::spawn(connection);
        let statements = join_all(EVENT.iter().map(|sql| client.prepare(sql))).await;
        (client, statements.into_iter().map(|s| s.expect("a statement")).collect::<Vec<_>>())
    }))
    .await;
    let started = Instant::now();
    join_all(clients.iter().zip(purchases).map(|((client, statements), purchase)| async {
        for _ in 0..EACH {
            event(client, statements, purchase).await.expect("an event is kept");
        }
    }))
    .await;
    (purchases.len() * EACH) as f64 / started.elapsed().as_secs_f64()
}

/// The statements of an event: its tenant, lock, event, subscription read and written, outbox job added and deleted, and the
/// events that waited for it.
const EVENT: [&str; 8] = [
    "select tenant_id, customer_id, subscription_id from stripe_owner($1, false)",
    "select pg_advisory_xact_lock(hashtextextended($1, 2))",
    "insert into stripe_events (id, livemode, type, created, body, state) values ($1, false, 'bench', now(), $2, 'applied')
     on conflict (id) do nothing returning id",
    "select id, facts, license_id from subscriptions where customer_id = $1",
    "insert into subscriptions (id, tenant_id, customer_id, facts) values ($1, current_tenant(), $2, $3)
     on conflict (id) do update set facts = excluded.facts, updated_at = now()",
    "insert into outbox (id, tenant_id, kind, once, payload) values ($1, current_tenant(), 'seats', $2, '{}')",
    "delete from outbox where id = $1",
    "select id, body from stripe_events where state = 'waiting' and waits_for && $1 limit 100",
];

async fn event(client: &Client, statements: &[Statement], of: &Purchase) -> Result<(), Error> {
    let [whose, lock, keep, read, write, tell, told, waited] = [0, 1, 2, 3, 4, 5, 6, 7].map(|n| &statements[n]);
    let begin = format!("begin; set local app.tenant_id = '{}'", of.tenant);
    let (id, names) = (Uuid::now_v7(), [&of.subscription, &of.customer, &of.invoice]);
    let (event, names) = (id.to_string(), &names[..]);
    trip(client, "", &[(whose, &[&names])], "").await?;
    let known: [Query<'_>; 3] = [(lock, &[&of.customer]), (keep, &[&event, &of.body]), (read, &[&of.customer])];
    let facts: serde_json::Value = trip(client, &begin, &known, "").await?[2][0].get(1);
    let changed: [Query<'_>; 2] = [(write, &[&of.subscription, &of.customer, &facts]), (tell, &[&id, &event])];
    trip(client, "", &changed, "commit").await?;
    trip(client, &begin, &[(told, &[&id])], "commit").await?;
    trip(client, "", &[(waited, &[&names])], "").await.map(drop)
}

type Query<'a> = (&'a Statement, &'a [&'a (dyn ToSql + Sync)]);

/// Runs statements in one round trip.
async fn trip(client: &Client, before: &str, queries: &[Query<'_>], after: &str) -> Result<Vec<Vec<Row>>, Error> {
    let simple = async |sql: &str| if sql.is_empty() { Ok(()) } else { client.batch_execute(sql).await };
    let queries = join_all(queries.iter().map(|(statement, values)| client.query(*statement, values)));
    let (before, rows, after) = tokio::join!(biased; simple(before), queries, simple(after));
    before?;
    after?;
    rows.into_iter().collect()
}

/// Returns signatures of tokens per second with every core signing, for a second. Less than cores ÷ time of one where cores
/// share units or other tenants share the machine.
pub(crate) async fn signatures(spec: &str) -> f64 {
    let spec = signing::SigningKeySpec::parse(spec).expect("SIGNING_KEY as the stack has it");
    let signer = signing::Signer::connect(spec, None).expect("the stack's key");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let started = Instant::now();
    let signed = join_all((0..cores).map(|_| {
        let signer = signer.clone();
        tokio::spawn(async move {
            let mut signed = 0;
            while started.elapsed() < Duration::from_secs(1) {
                signer.sign_token(&serde_json::json!({"sub": "bench"})).await.expect("a signature");
                signed += 1;
            }
            signed
        })
    }))
    .await;
    let signed: u32 = signed.into_iter().map(|one| one.expect("a signer doesn't panic")).sum();
    f64::from(signed) / started.elapsed().as_secs_f64()
}

/// Returns the time of one RSA-4096 signature of a token on one core.
pub(crate) async fn signature(spec: &str) -> Duration {
    const N: u32 = 200;
    let spec = signing::SigningKeySpec::parse(spec).expect("SIGNING_KEY as the stack has it");
    let signer = signing::Signer::connect(spec, None).expect("the stack's key");
    let claims = serde_json::json!({"sub": "bench"});
    signer.sign_token(&claims).await.expect("a signature");
    let started = Instant::now();
    for _ in 0..N {
        signer.sign_token(&claims).await.expect("a signature");
    }
    started.elapsed() / N
}
