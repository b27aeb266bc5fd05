//! What every function needs, and only that.
//!
//! - [`config`]: environment variables, read once, every mistake reported together.
//! - [`serve`]: a process around a function's routes: listening, limits, readiness, shutdown.
//! - [`logs`]: log lines in Cloud Logging's format.
//! - [`problem`]: the one error type.
//! - [`body`]: JSON in, JSON out.
//! - [`query`]: the parameters of a query.
//! - [`caller`]: who is asking: access tokens, license tokens, OpenID Connect.
//! - [`keys`]: the public keys that our tokens are verified with.
//! - [`oidc`]: the ID tokens of configured issuers.
//! - [`license_key`]: the keyed hash under which a license key is found, and its seal.
//! - [`guesses`]: the rate limit on guessing license keys.
//! - [`idempotency`]: requests that may be repeated under a key.
//! - [`outbox`]: what is written with its cause and delivered later.
//! - [`postgres`]: transactions of one tenant.
//! - [`redis`]: scripts over multiplexed connections.
//! - [`openapi`]: the OpenAPI document.

pub mod body;
pub mod caller;
pub mod config;
pub mod guesses;
pub mod idempotency;
pub mod keys;
pub mod license_key;
pub mod logs;
pub mod oidc;
pub mod openapi;
pub mod outbox;
pub mod postgres;
pub mod problem;
pub mod query;
pub mod redis;
pub mod serve;

pub use body::{Answer, Body};
pub use caller::{Caller, Callers, ClientAddress};
pub use config::Setup;
pub use postgres::{Db, TenantTx};
pub use problem::Problem;
pub use query::Query;
pub use serve::run;
