//! Redis: one script per request over multiplexed connections, on a single server or a cluster.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{ErrorKind, FromRedisValue, RedisError, ScriptInvocation};
use tokio::sync::OnceCell;
use tracing::Instrument as _;

use crate::ca_certificates::CaCertificates;
use crate::config::{self, Setup};
use crate::problem::Problem;
use crate::span;

/// Time limit of a connection or an answer. The scripts take microseconds; anything longer is an outage.
const TIMEOUT: Duration = Duration::from_millis(1000);
/// Number of multiplexed connections. One is bound by one core of Redis's I/O; a second one adds a fifth, a third nothing.
const CONNECTIONS: usize = 2;
/// Connections that `WAIT` may block, each for one request at a time.
const WAITING_CONNECTIONS: u32 = 8;

/// A handle to Redis; clones share its connections. Nothing is connected before the first use.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    replicas: u8,
    next: AtomicUsize,
    server: Server,
}

enum Server {
    Single { managers: [ConnectionManager; CONNECTIONS], waiting: bb8::Pool<Waiting> },
    Cluster { client: Box<ClusterClient>, connection: OnceCell<ClusterConnection> },
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}

impl Redis {
    /// Makes the handle to the configured Redis, which all of a process share; `None` where the configuration has mistakes.
    pub fn from_setup(setup: &mut Setup) -> Option<Self> {
        setup.shared(|setup| {
            let replicas = setup.defaulted(&config::REDIS_REPLICAS, config::number::<u8>);
            let ca_certificates = CaCertificates::from_setup(setup);
            let trusted = ca_certificates.clone().unwrap_or_default();
            let redis =
                setup.required(&config::REDIS_URL, |url| Self::connect(url, replicas.unwrap_or(0), &trusted))?;
            replicas.zip(ca_certificates)?;
            let pinged = redis.clone();
            setup.ready_when("redis", move || {
                let redis = pinged.clone();
                async move { redis.ping().await }
            });
            Some(redis)
        })
    }

    /// Makes a handle for a URL, or for several of a cluster's nodes separated by commas. Must be called within a runtime.
    ///
    /// # Errors
    /// A sentence, without the URL's secrets, when a URL is not one of Redis.
    pub fn connect(urls: &str, replicas: u8, ca_certificates: &CaCertificates) -> Result<Self, String> {
        let wrong = |_| "must be a redis://, rediss:// or unix:// URL".to_owned();
        let nodes: Vec<&str> = urls.split(',').map(str::trim).filter(|u| !u.is_empty()).collect();
        let server = if let [url] = nodes.as_slice() {
            let client = match ca_certificates.for_redis() {
                Some(certificates) if url.starts_with("rediss://") => redis::Client::build_with_tls(*url, certificates),
                _ => redis::Client::open(*url),
            };
            let client = client.map_err(wrong)?;
            let manager = || ConnectionManager::new_lazy_with_config(client.clone(), manager_config()).map_err(wrong);
            let waiting = bb8::Pool::builder()
                .max_size(WAITING_CONNECTIONS)
                .connection_timeout(TIMEOUT)
                .test_on_check_out(false)
                .build_unchecked(Waiting(client.clone()));
            Server::Single { managers: [manager()?, manager()?], waiting }
        } else {
            let is_encrypted = nodes.iter().all(|url| url.starts_with("rediss://"));
            let mut builder = ClusterClient::builder(nodes);
            if let Some(certificates) = ca_certificates.for_redis().filter(|_| is_encrypted) {
                builder = builder.certs(certificates);
            }
            let client = builder
                .connection_timeout(TIMEOUT)
                .response_timeout(TIMEOUT)
                .overall_response_timeout(Some(TIMEOUT * 2))
                .retries(2)
                .build()
                .map_err(wrong)?;
            Server::Cluster { client: Box::new(client), connection: OnceCell::new() }
        };
        Ok(Self(Arc::new(Inner { replicas, next: AtomicUsize::new(0), server })))
    }

    /// Runs a script by its hash; loads it when the server doesn't know it. `name` is its name in traces. If its connection
    /// breaks it is run once more on a new one, which is safe for every script, because the second run finds what the first did.
    ///
    /// # Errors
    /// `503` when Redis doesn't answer in time, `500` when the script fails.
    pub async fn run<T: FromRedisValue>(
        &self,
        name: &'static str,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, Problem> {
        // A second run uses the same connection manager: it is the one that has noticed the break.
        let place = self.0.next.fetch_add(1, Ordering::Relaxed) % CONNECTIONS;
        let invoke = async || match &self.0.server {
            Server::Single { managers, .. } => script.invoke_async(&mut managers[place].clone()).await,
            Server::Cluster { client, connection } => {
                script.invoke_async(&mut cluster(client, connection).await?).await
            }
        };
        let answer = async {
            match invoke().await {
                Err(e) if has_broken(&e) => invoke().await,
                answer => answer,
            }
        };
        in_time(name, answer).await
    }

    /// Returns once the configured number of replicas has everything that was written before, where there are any.
    ///
    /// `WAIT` counts the writes of its own connection, hence the small write to `key` in front of it, which goes to the
    /// node that has the slot.
    ///
    /// # Errors
    /// `503` when Redis doesn't answer in time, or too few replicas do.
    pub async fn replicated(&self, key: &str) -> Result<(), Problem> {
        if self.0.replicas == 0 {
            return Ok(());
        }
        let mut pipe = redis::pipe();
        pipe.cmd("SET").arg(key).arg(1).arg("PX").arg(60_000).ignore();
        pipe.cmd("WAIT").arg(self.0.replicas).arg(TIMEOUT.as_millis() as u64);
        let answer = async {
            match &self.0.server {
                Server::Single { waiting, .. } => {
                    let mut connection = waiting.get().await.map_err(|e| std::io::Error::other(e.to_string()))?;
                    match pipe.query_async(&mut *connection).await {
                        Err(e) if has_broken(&e) => pipe.query_async(&mut *connection).await,
                        answer => answer,
                    }
                }
                Server::Cluster { client, connection } => {
                    pipe.query_async(&mut cluster(client, connection).await?).await
                }
            }
        };
        let (reached,): (u8,) = in_time("replicated", answer).await?;
        if reached < self.0.replicas {
            return Err(Problem::unavailable(
                "redis",
                format_args!("{reached} of {} replicas have the grant", self.0.replicas),
            ));
        }
        Ok(())
    }

    /// Asks Redis whether it is there, for `/ready`.
    ///
    /// # Errors
    /// A description of the problem, for the log.
    pub async fn ping(&self) -> Result<(), String> {
        let script = redis::Script::new("return 1");
        let answer: Result<u8, _> = self.run("ping", &script.prepare_invoke()).await;
        answer.map(drop).map_err(|p| p.internal().unwrap_or_default().to_owned())
    }
}

async fn in_time<T>(name: &'static str, answer: impl Future<Output = Result<T, RedisError>>) -> Result<T, Problem> {
    let span = span!("script", otel.name = name, otel.kind = "client", db.system.name = "redis");
    match tokio::time::timeout(TIMEOUT * 2, answer).instrument(span).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(e)) if is_ours(&e) => Err(Problem::internal_error(format_args!("redis: {e}"))),
        Ok(Err(e)) => Err(Problem::unavailable("redis", e)),
        Err(_) => Err(Problem::unavailable("redis", "no answer in time")),
    }
}

/// Checks whether the connection was lost, such as by a restart of its server while it was idle.
fn has_broken(error: &RedisError) -> bool {
    error.is_connection_dropped() && !error.is_timeout()
}

/// Makes connections that `WAIT` may block. Each connects again by itself once it has broken.
#[derive(Debug)]
struct Waiting(redis::Client);

impl bb8::ManageConnection for Waiting {
    type Connection = ConnectionManager;
    type Error = RedisError;

    async fn connect(&self) -> Result<ConnectionManager, RedisError> {
        // Longer than `WAIT` blocks.
        ConnectionManager::new_lazy_with_config(
            self.0.clone(),
            manager_config().set_response_timeout(Some(TIMEOUT * 2)),
        )
    }

    async fn is_valid(&self, _: &mut ConnectionManager) -> Result<(), RedisError> {
        Ok(())
    }

    fn has_broken(&self, _: &mut ConnectionManager) -> bool {
        false
    }
}

/// Checks whether an error is a mistake of ours: a script that fails, or an answer of a wrong type. The rest is the server's
/// state.
fn is_ours(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::UnexpectedReturnType | ErrorKind::Parse)
        || (error.code() == Some("ERR") && error.detail().is_some_and(|d| d.contains("script")))
}

fn manager_config() -> ConnectionManagerConfig {
    ConnectionManagerConfig::new()
        .set_connection_timeout(Some(TIMEOUT))
        .set_response_timeout(Some(TIMEOUT))
        .set_number_of_retries(1)
        .set_min_delay(Duration::from_millis(20))
        .set_max_delay(Duration::from_millis(200))
}

async fn cluster(client: &ClusterClient, cell: &OnceCell<ClusterConnection>) -> Result<ClusterConnection, RedisError> {
    cell.get_or_try_init(|| client.get_async_connection()).await.cloned()
}
