//! The public keys that our own tokens are verified with.
//!
//! They live in Postgres, published by the functions that sign, so that a function that only verifies needs no right to
//! the signing key. They are read once, again after an hour, and when a token names a key that isn't known, but then at
//! most every few seconds: an invented `kid` costs nothing.

use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use protocol::token::KeySet;
use tokio::sync::Mutex;

use crate::postgres::Db;
use crate::problem::Problem;

/// How long keys are believed without looking again: as long as `jwks.json` may be cached.
const MAX_AGE: Duration = Duration::from_secs(3600);
/// How often an unknown key may make us look.
const UNKNOWN_KEY_PAUSE: Duration = Duration::from_secs(5);
/// How often a new process looks for the first key.
const FIRST_KEY_POLL: Duration = Duration::from_millis(200);

const KEYS_CURRENT: &str =
    "/* keys_current */ select kid, public_key_pem from signing_keys where retired_at is null order by created_at desc";
const KEY_PUBLISH: &str =
    "/* key_publish */ insert into signing_keys (kid, public_key_pem) values ($1, $2) on conflict (kid) do nothing";

/// A set of keys with its age.
#[derive(Debug, Clone)]
struct Loaded {
    keys: Arc<KeySet>,
    at: Instant,
    /// Grows with every load, so that what was verified with earlier keys can be told apart.
    version: u64,
}

/// The keys in force; clones share them.
#[derive(Debug, Clone)]
pub struct Keys {
    db: Db,
    loaded: Arc<RwLock<Option<Loaded>>>,
    /// When a token's unknown key last made us look; held by whoever is loading.
    loading: Arc<Mutex<Option<Instant>>>,
}

impl Keys {
    /// Keys that are read from `db` when they are first needed.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db, loaded: Arc::default(), loading: Arc::default() }
    }

    /// Reads the keys as soon as there are any, so that the first request, or an outage, doesn't find us without.
    pub async fn prepare(self) {
        while self.current().await.is_ok_and(|keys| keys.is_empty()) || self.peek().is_none() {
            tokio::time::sleep(FIRST_KEY_POLL).await;
            self.forget_empty();
        }
    }

    /// What is wrong with the keys, for `/ready`.
    ///
    /// # Errors
    /// A sentence for the log.
    pub async fn check(&self) -> Result<(), String> {
        let keys = self.current().await.map_err(|p| p.internal().unwrap_or_default().to_owned())?;
        if keys.is_empty() { Err("no signing key was published yet".to_owned()) } else { Ok(()) }
    }

    /// The keys, and the version of their set. Old ones serve while newer ones can't be read.
    ///
    /// # Errors
    /// `503` when no keys were ever read and Postgres doesn't answer.
    pub async fn current(&self) -> Result<Arc<KeySet>, Problem> {
        match self.peek() {
            Some(loaded) if loaded.at.elapsed() < MAX_AGE => Ok(loaded.keys),
            Some(loaded) => Ok(self.load(false).await.unwrap_or(loaded.keys)),
            None => self.load(false).await,
        }
    }

    /// The keys, looked for again because a token names one that isn't among `known`.
    ///
    /// # Errors
    /// `503` when Postgres doesn't answer.
    pub async fn beyond(&self) -> Result<Arc<KeySet>, Problem> {
        self.load(true).await
    }

    /// Which set of keys is in force: changes whenever they are read again.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.peek().map_or(0, |l| l.version)
    }

    /// Makes a signing key known to all who verify.
    ///
    /// # Errors
    /// `503` when Postgres doesn't answer.
    pub async fn publish(&self, kid: &str, pem: &str) -> Result<(), Problem> {
        self.db.outside_tenants((KEY_PUBLISH, &[&kid, &pem])).await.map(drop)
    }

    /// Key ids and PEMs in force, newest first, for `jwks.json`.
    ///
    /// # Errors
    /// `503` when Postgres doesn't answer.
    pub async fn list(&self) -> Result<Vec<(String, String)>, Problem> {
        let rows = self.db.outside_tenants((KEYS_CURRENT, &[])).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    fn peek(&self) -> Option<Loaded> {
        self.loaded.read().expect("nothing panics while it holds the lock").clone()
    }

    fn forget_empty(&self) {
        let mut loaded = self.loaded.write().expect("nothing panics while it holds the lock");
        if loaded.as_ref().is_some_and(|l| l.keys.is_empty()) {
            *loaded = None;
        }
    }

    /// Reads the keys, unless another caller just did: one reads, the others wait for it.
    async fn load(&self, unknown_key: bool) -> Result<Arc<KeySet>, Problem> {
        let mut looked = self.loading.lock().await;
        let before = self.peek();
        let fresh = if unknown_key {
            looked.is_some_and(|at| at.elapsed() < UNKNOWN_KEY_PAUSE)
        } else {
            before.as_ref().is_some_and(|l| l.at.elapsed() < MAX_AGE)
        };
        if let Some(loaded) = before.as_ref().filter(|_| fresh) {
            return Ok(Arc::clone(&loaded.keys));
        }
        if unknown_key {
            *looked = Some(Instant::now());
        }
        let mut keys = KeySet::new();
        for (kid, pem) in self.list().await? {
            keys.insert_pem(&kid, &pem)
                .map_err(|e| Problem::internal_error(format_args!("signing_keys {kid}: {e}")))?;
        }
        let keys = Arc::new(keys);
        let loaded =
            Loaded { keys: Arc::clone(&keys), at: Instant::now(), version: before.map_or(1, |l| l.version + 1) };
        *self.loaded.write().expect("nothing panics while it holds the lock") = Some(loaded);
        Ok(keys)
    }
}
