//! Code that every function needs, and only that.
//!
//! - [`config`]: environment variables, read once, every mistake reported together.
//! - [`ca_certificates`]: the certificate authorities of Postgres and Redis.
//! - [`serve`]: a process around a function's routes: listening, limits, readiness, shutdown.
//! - `lambda`: the same process under AWS Lambda's runtime API, with the feature `lambda`.
//! - [`logs`]: log lines in Cloud Logging's format.
//! - [`log_event`]: events that operators count.
//! - [`metrics`]: metrics for Prometheus, where one process serves all functions.
//! - [`trace`]: traces, and spans for a collector.
//! - [`request`]: the request that is being answered.
//! - [`problem`]: the one error type.
//! - [`auth_rate_limit`]: the rate limit on failed attempts with license keys.
//! - [`body`]: JSON in, JSON out.
//! - [`query`]: the parameters of a query.
//! - [`caller`]: authentication of callers: access tokens, license tokens, OpenID Connect.
//! - [`keys`]: the public keys that our tokens are verified with.
//! - [`oidc`]: the ID tokens of configured issuers.
//! - [`license_key`]: the keyed hash under which a license key is found, and its seal.
//! - [`memory`]: the bytes that large requests and answers may take together.
//! - [`idempotency`]: requests that may be repeated under a key.
//! - [`other_license`]: another license of the tenant that can be used instead.
//! - [`outbox`]: messages that are written with their cause and delivered later.
//! - [`postgres`]: transactions of one tenant.
//! - `refreshed`: values that are read from elsewhere and refreshed.
//! - [`redis`]: scripts over multiplexed connections.
//! - [`openapi`]: the OpenAPI document.
//! - `probe`: a container's health check.

pub mod auth_rate_limit;
pub mod body;
pub mod ca_certificates;
pub mod caller;
pub mod config;
pub mod idempotency;
pub mod keys;
#[cfg(feature = "lambda")]
mod lambda;
pub mod license_key;
pub mod log_event;
pub mod logs;
pub mod memory;
pub mod metrics;
pub mod oidc;
pub mod openapi;
pub mod other_license;
pub mod outbox;
pub mod postgres;
mod probe;
pub mod problem;
pub mod query;
pub mod redis;
mod refreshed;
pub mod request;
pub mod serve;
pub mod trace;

pub use body::{Answer, Body};
pub use ca_certificates::CaCertificates;
pub use caller::{Caller, Callers, ClientAddress};
pub use config::Setup;
pub use log_event::LogEvent;
pub use postgres::{Db, TenantTx};
pub use problem::Problem;
pub use query::Query;
pub use serve::run;
