//! Postgres, reached only within a tenant.
//!
//! [`TenantTx`] is a transaction that has set `app.tenant_id` for row-level security. `BEGIN`, the setting and the first
//! statement leave in one round trip, and so does the commit with the last one, so that a request of one statement costs
//! one round trip. A traced transaction has its `traceparent` as `application_name`.
//! [`Db::outside_tenants`] runs the few statements that need no tenant; under row-level security they see no tenant's rows.
//!
//! A connection returns to the pool only after a round trip that was seen to leave it clean; else it is destroyed.

mod error;
mod liveness;

pub use error::chain;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use deadpool_postgres::{Hook, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Timeouts};
use futures_util::future::join_all;
use protocol::id::TenantId;
use tokio_postgres::types::ToSql;
use tokio_postgres::{NoTls, Row, config::SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;
use tracing::{Instrument as _, Span};

use crate::ca_certificates::CaCertificates;
use crate::config::{self, Setup};
use crate::problem::Problem;
use crate::{span, trace};
use error::failed;

/// Number of connections per process. A container serves up to 80 requests at once and a transaction takes a few milliseconds.
const POOL_SIZE: usize = 16;
/// Time limit for getting a connection, new or from the pool.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1000);
/// Time limit of a round trip, as measured by the client; after it the connection is destroyed.
const TRIP_TIMEOUT: Duration = Duration::from_millis(1500);
/// Time limit of a statement in Postgres, so that it doesn't go on with one that no client waits for.
const STATEMENT_TIMEOUT_MS: u32 = 1400;

/// Planner settings for many short statements: each is planned once per connection, and neither compiled nor spread over
/// workers, which takes longer than the statement.
const PLANS: &str = "-c plan_cache_mode=force_generic_plan -c jit=off -c max_parallel_workers_per_gather=0";

/// A statement with its parameters.
pub type Query<'a> = (&'a str, &'a [&'a (dyn ToSql + Sync)]);

/// A pool of lazily opened connections, as one role.
#[derive(Clone)]
pub struct Db {
    pool: Pool,
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").finish_non_exhaustive()
    }
}

/// Source of a transaction's tenant.
#[derive(Debug, Clone, Copy)]
enum Scope<'a> {
    Tenant(TenantId),
    KeyHash(&'a [u8]),
}

impl Db {
    /// Makes the pool of the configured database, which all of a process share; `None` where the configuration has mistakes.
    pub fn from_setup(setup: &mut Setup) -> Option<Self> {
        setup.shared(|setup| {
            let ca_certificates = CaCertificates::from_setup(setup);
            let trusted = ca_certificates.clone().unwrap_or_default();
            let db = setup.required(&config::DATABASE_URL, |url| Self::connect(url, &trusted))?;
            ca_certificates?;
            let pinged = db.clone();
            setup.ready_when("postgres", move || {
                let db = pinged.clone();
                async move { db.ping().await }
            });
            Some(db)
        })
    }

    /// Makes a pool for a connection URL; nothing is connected before the first query.
    ///
    /// # Errors
    /// A sentence, without the URL's secrets, when the URL is not one of Postgres.
    pub fn connect(url: &str, ca_certificates: &CaCertificates) -> Result<Self, String> {
        let mut config: tokio_postgres::Config =
            url.parse().map_err(|_| "must be a Postgres connection URL".to_owned())?;
        let options = config.get_options().unwrap_or_default();
        config.options(format!(
            "{options} -c statement_timeout={STATEMENT_TIMEOUT_MS} -c idle_in_transaction_session_timeout=5000 {PLANS}"
        ));
        config.connect_timeout(CONNECT_TIMEOUT).tcp_user_timeout(CONNECT_TIMEOUT);
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = if matches!(config.get_ssl_mode(), SslMode::Require) {
            Manager::from_config(config, MakeRustlsConnect::new(ca_certificates.tls()), recycling)
        } else {
            Manager::from_config(config, NoTls, recycling)
        };
        let timeouts =
            Timeouts { wait: Some(CONNECT_TIMEOUT), create: Some(CONNECT_TIMEOUT), recycle: Some(CONNECT_TIMEOUT) };
        let silent = Arc::new(Mutex::new(None));
        let pool = Pool::builder(manager)
            .max_size(POOL_SIZE)
            .timeouts(timeouts)
            .pre_recycle(Hook::async_fn(move |client, metrics| {
                Box::pin(liveness::check(client, metrics.last_used(), Arc::clone(&silent)))
            }))
            .runtime(deadpool_postgres::Runtime::Tokio1)
            .build()
            .map_err(|e| e.to_string())?;
        Ok(Self { pool })
    }

    /// Starts a transaction of a tenant. `name` is its name in logs.
    ///
    /// # Errors
    /// `503` when no connection can be had in time.
    pub async fn tenant(&self, name: &'static str, tenant: TenantId) -> Result<TenantTx<'static>, Problem> {
        self.begin(name, Scope::Tenant(tenant)).await
    }

    /// Starts a transaction of the tenant that a license key belongs to; for an unknown key of no tenant, and so without rows.
    ///
    /// # Errors
    /// `503` when no connection can be had in time.
    pub async fn tenant_of_key<'a>(&self, name: &'static str, key_hash: &'a [u8]) -> Result<TenantTx<'a>, Problem> {
        self.begin(name, Scope::KeyHash(key_hash)).await
    }

    async fn begin<'a>(&self, name: &'static str, scope: Scope<'a>) -> Result<TenantTx<'a>, Problem> {
        let span = span!("transaction", otel.name = name, otel.kind = "client", db.system.name = "postgresql");
        let client = self.client().instrument(span.clone()).await?;
        Ok(TenantTx { client: Some(client), name, scope, begun: false, started: Instant::now(), span })
    }

    /// Runs one statement outside every tenant: on tables that belong to no tenant, or a look-up function.
    ///
    /// # Errors
    /// `503` when Postgres can't be reached, `500` when the statement fails.
    pub async fn outside_tenants(&self, (sql, params): Query<'_>) -> Result<Vec<Row>, Problem> {
        let span = span!("statement", otel.name = name(sql), otel.kind = "client", db.system.name = "postgresql");
        let guard = ConnectionGuard(Some(self.client().instrument(span.clone()).await?));
        let client = guard.client();
        let run = async { client.query(&client.prepare_cached(sql).await?, params).await };
        match tokio::time::timeout(TRIP_TIMEOUT, run).instrument(span).await {
            Ok(rows) => {
                drop(guard.release());
                rows.map_err(|e| failed("outside_tenants", &e))
            }
            Err(_) => Err(Problem::unavailable("postgres", "no answer in time")),
        }
    }

    /// Asks Postgres whether it is there, for `/ready`.
    ///
    /// # Errors
    /// A description of the problem, for the log.
    pub async fn ping(&self) -> Result<(), String> {
        let rows = self.outside_tenants(("select 1", &[])).await;
        rows.map(drop).map_err(|p| p.internal().unwrap_or_default().to_owned())
    }

    async fn client(&self) -> Result<Object, Problem> {
        match tokio::time::timeout(CONNECT_TIMEOUT + liveness::PING_TIMEOUT * 2, self.pool.get()).await {
            Ok(client) => client.map_err(|e| Problem::unavailable("postgres", chain(&e))),
            Err(_) => Err(Problem::unavailable("postgres", "no connection in time")),
        }
    }
}

/// A connection during a round trip. It is destroyed when it is dropped before [`ConnectionGuard::release`]: its state is unknown then.
struct ConnectionGuard(Option<Object>);

impl ConnectionGuard {
    fn client(&self) -> &Object {
        self.0.as_ref().expect("a guard has its connection until it is released")
    }

    /// Returns the connection, once the round trip is known to have left it clean.
    fn release(mut self) -> Object {
        self.0.take().expect("a guard has its connection until it is released")
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            drop(Object::take(client));
        }
    }
}

/// Opens one connection outside every pool, whose statements may take as long as they need: for migrations. It is closed
/// when the client is dropped and the task has ended.
///
/// # Errors
/// The reason why there is none.
pub async fn connection(
    url: &str,
    ca_certificates: &CaCertificates,
) -> Result<(tokio_postgres::Client, tokio::task::JoinHandle<()>), String> {
    let mut config: tokio_postgres::Config = url.parse().map_err(|_| "must be a Postgres connection URL".to_owned())?;
    config.connect_timeout(CONNECT_TIMEOUT);
    let tls = MakeRustlsConnect::new(ca_certificates.tls());
    let connected = async {
        if matches!(config.get_ssl_mode(), SslMode::Require) {
            let (client, connection) = config.connect(tls).await?;
            Ok((client, tokio::spawn(async { drop(connection.await) })))
        } else {
            let (client, connection) = config.connect(NoTls).await?;
            Ok((client, tokio::spawn(async { drop(connection.await) })))
        }
    };
    match tokio::time::timeout(CONNECT_TIMEOUT * 3, connected).await {
        Ok(connected) => connected.map_err(|e: tokio_postgres::Error| chain(&e)),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

/// A transaction of one tenant. Dropped without [`TenantTx::commit`], it rolls back by closing its connection.
pub struct TenantTx<'a> {
    client: Option<Object>,
    name: &'static str,
    scope: Scope<'a>,
    begun: bool,
    started: Instant,
    /// Span from the wait for a connection to the last answer.
    span: Span,
}

impl std::fmt::Debug for TenantTx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TenantTx").field("name", &self.name).finish_non_exhaustive()
    }
}

impl TenantTx<'_> {
    /// Runs statements in order, in one round trip, and returns their rows.
    ///
    /// # Errors
    /// The first statement that failed; the transaction is then of no more use.
    pub async fn run<const N: usize>(&mut self, queries: [Query<'_>; N]) -> Result<[Vec<Row>; N], Problem> {
        self.trip(&queries, false).await.map(|rows| rows.try_into().expect("one result for each query"))
    }

    /// Runs statements and commits, in one round trip.
    ///
    /// # Errors
    /// The first statement that failed; then nothing was changed.
    pub async fn finish<const N: usize>(mut self, queries: [Query<'_>; N]) -> Result<[Vec<Row>; N], Problem> {
        self.trip(&queries, true).await.map(|rows| rows.try_into().expect("one result for each query"))
    }

    /// Runs any number of statements and commits, in one round trip.
    ///
    /// # Errors
    /// The first statement that failed; then nothing was changed.
    pub async fn finish_all(mut self, queries: &[Query<'_>]) -> Result<Vec<Vec<Row>>, Problem> {
        self.trip(queries, true).await
    }

    /// Commits.
    ///
    /// # Errors
    /// When Postgres did not confirm it; whether it happened is then unknown.
    pub async fn commit(self) -> Result<(), Problem> {
        self.finish([]).await.map(drop)
    }

    async fn trip(&mut self, queries: &[Query<'_>], commit: bool) -> Result<Vec<Vec<Row>>, Problem> {
        let name = self.name;
        let ended = || Problem::unavailable("postgres", format_args!("{name}: the transaction was given up before"));
        let guard = ConnectionGuard(Some(self.client.take().ok_or_else(ended)?));
        let opening = (!self.begun).then(|| Opening { scope: self.scope, traceparent: trace::recorded(&self.span) });
        let answers = tokio::time::timeout(TRIP_TIMEOUT, pipeline(guard.client(), opening, queries, commit));
        match answers.instrument(self.span.clone()).await {
            Ok(Ok(rows)) => {
                self.begun = true;
                let client = guard.release();
                if commit {
                    drop(client);
                    tracing::debug!(transaction = name, micros = self.started.elapsed().as_micros(), "committed");
                } else {
                    self.client = Some(client);
                }
                Ok(rows)
            }
            Ok(Err(e)) => Err(failed(name, &e)),
            Err(_) => Err(Problem::unavailable("postgres", format_args!("{name}: no answer in time"))),
        }
    }
}

impl Drop for TenantTx<'_> {
    fn drop(&mut self) {
        if let Some(client) = self.client.take()
            && self.begun
        {
            drop(Object::take(client));
        }
    }
}

/// Settings with which a transaction begins.
struct Opening<'a> {
    scope: Scope<'a>,
    traceparent: Option<String>,
}

impl Opening<'_> {
    fn sql(&self) -> String {
        use std::fmt::Write as _;
        // Explicit, and not left to the database's default: a transaction that waited for a lock must see what was committed
        // meanwhile.
        let mut sql = "begin isolation level read committed".to_owned();
        let settings = [
            (
                "app.tenant_id",
                match self.scope {
                    Scope::Tenant(tenant) => Some(tenant.to_string()),
                    Scope::KeyHash(_) => None,
                },
            ),
            // Seen in pg_stat_activity and, by `%a`, in Postgres's log. Nothing in it can end the quotes.
            ("application_name", self.traceparent.clone()),
        ];
        for (name, value) in settings {
            value.map(|value| write!(sql, "; set local {name} = '{value}'"));
        }
        sql
    }
}

/// Runs a round trip: everything is sent in order before anything is awaited. A failed statement makes the server turn the
/// commit into a rollback that still reports success, so that every result is checked.
async fn pipeline(
    client: &Object,
    opening: Option<Opening<'_>>,
    queries: &[Query<'_>],
    commit: bool,
) -> Result<Vec<Vec<Row>>, tokio_postgres::Error> {
    const SET_BY_KEY: &str = "select set_config('app.tenant_id', coalesce(tenant_of_license_key($1)::text, ''), true)";
    let mut prepared = Vec::with_capacity(queries.len());
    for (sql, _) in queries {
        prepared.push(client.prepare_cached(sql).await?);
    }
    let set_by_key = match opening.as_ref().map(|opening| opening.scope) {
        Some(Scope::KeyHash(hash)) => Some((client.prepare_cached(SET_BY_KEY).await?, hash)),
        _ => None,
    };
    let opening = opening.as_ref().map(Opening::sql);
    let opened = async {
        match &opening {
            Some(opening) => client.batch_execute(opening).await,
            None => Ok(()),
        }
    };
    let set = async {
        match &set_by_key {
            Some((statement, hash)) => client.query(statement, &[hash]).await.map(drop),
            None => Ok(()),
        }
    };
    let results =
        join_all(queries.iter().zip(&prepared).map(|((_, params), statement)| client.query(statement, params)));
    let committed = async { if commit { client.batch_execute("commit").await } else { Ok(()) } };
    let (opened, set, results, committed) = tokio::join!(biased; opened, set, results, committed);
    opened?;
    set?;
    let rows = results.into_iter().collect::<Result<_, _>>()?;
    committed?;
    Ok(rows)
}

/// Returns a statement's name, from its leading comment.
fn name(sql: &str) -> &str {
    sql.strip_prefix("/* ").and_then(|rest| rest.split_once(" */")).map_or("statement", |(name, _)| name)
}
