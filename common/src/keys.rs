//! The public keys that our own tokens are verified with.
//!
//! They are stored in Postgres, published by the functions that sign, so that a function that only verifies needs no right
//! to the signing key. They are read once, again after an hour in the background, and when a token names a key that isn't
//! known, but then at most every few seconds: an invented `kid` costs nothing. Known keys stay in use however long Postgres
//! is unavailable.

use std::sync::Arc;
use std::time::Duration;

use protocol::token::KeySet;

use crate::postgres::Db;
use crate::problem::Problem;
use crate::refreshed::{RefreshIntervals, Refreshed};

/// Refresh intervals: keys are used without a refresh as long as `jwks.json` may be cached; the pause bounds the cost of
/// unknown keys.
const REFRESH: RefreshIntervals =
    RefreshIntervals { max_age: Duration::from_secs(3600), pause: Duration::from_secs(5) };
/// Interval at which a new process polls for the first key.
const FIRST_KEY_INTERVAL: Duration = Duration::from_millis(200);

const KEYS_CURRENT: &str =
    "/* keys_current */ select kid, public_key_pem from signing_keys where retired_at is null order by created_at desc";
const KEY_PUBLISH: &str =
    "/* key_publish */ insert into signing_keys (kid, public_key_pem) values ($1, $2) on conflict (kid) do nothing";

/// The keys in force; clones share them.
#[derive(Debug, Clone)]
pub struct Keys {
    db: Db,
    loaded: Refreshed<KeySet>,
}

impl Keys {
    /// Returns keys that are read from `db` when they are first needed.
    #[must_use]
    pub fn new(db: Db) -> Self {
        let source = db.clone();
        let loaded = Refreshed::new("signing_keys", REFRESH, move || load(source.clone()));
        Self { db, loaded }
    }

    /// Polls until there are keys, so that the process has them before the first request, or an outage.
    pub async fn prepare(self) {
        while !self.loaded.reload().await.is_ok_and(|known| !known.value.is_empty()) {
            tokio::time::sleep(FIRST_KEY_INTERVAL).await;
        }
    }

    /// Checks that there are keys, for `/ready`.
    ///
    /// # Errors
    /// A sentence for the log.
    pub async fn check(&self) -> Result<(), String> {
        let keys = self.current().await.map_err(|p| p.internal().unwrap_or_default().to_owned())?;
        if keys.is_empty() { Err("no signing key was published yet".to_owned()) } else { Ok(()) }
    }

    /// Returns the keys. Old ones stay in use while newer ones can't be read.
    ///
    /// # Errors
    /// `503` when no keys were ever read and Postgres doesn't answer.
    pub async fn current(&self) -> Result<Arc<KeySet>, Problem> {
        self.loaded.current().await.map(|known| known.value)
    }

    /// Returns the keys, read again because a token names an unknown one, unless that was done within the pause.
    ///
    /// # Errors
    /// `503` when Postgres doesn't answer.
    pub async fn newer(&self) -> Result<Arc<KeySet>, Problem> {
        self.loaded.newer().await.map(|known| known.value)
    }

    /// Returns the version of the key set, which changes whenever the keys are read again; starts that when they are too old.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.loaded.known().map_or(0, |known| known.version)
    }

    /// Publishes a signing key to all functions, so that they can verify its tokens.
    ///
    /// # Errors
    /// `503` when Postgres doesn't answer.
    pub async fn publish(&self, kid: &str, pem: &str) -> Result<(), Problem> {
        self.db.outside_tenants((KEY_PUBLISH, &[&kid, &pem])).await.map(drop)
    }

    /// Returns the ids and PEMs of the keys in force, newest first, for `jwks.json`.
    ///
    /// # Errors
    /// `503` when Postgres doesn't answer.
    pub async fn list(&self) -> Result<Vec<(String, String)>, Problem> {
        list(&self.db).await
    }
}

async fn list(db: &Db) -> Result<Vec<(String, String)>, Problem> {
    let rows = db.outside_tenants((KEYS_CURRENT, &[])).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

async fn load(db: Db) -> Result<KeySet, Problem> {
    let mut keys = KeySet::new();
    for (kid, pem) in list(&db).await? {
        keys.insert_pem(&kid, &pem).map_err(|e| Problem::internal_error(format_args!("signing_keys {kid}: {e}")))?;
    }
    Ok(keys)
}
