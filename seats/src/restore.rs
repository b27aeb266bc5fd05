//! Back from Postgres: what happens when Redis doesn't know a licence.
//!
//! One process restores, the others wait for it: a marker in Redis chooses the one. The marker only saves work; two
//! restores at once are harmless, because each takes the next generation under an exclusive lock and the script lets the
//! later one win.

use std::time::{Duration, Instant};

use common::{Fact, Problem};
use protocol::id::{LicenseId, SessionId, TenantId};
use rand::Rng as _;
use redis::Script;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{RESTORE, Seats, invocation, queries};

/// How long the chosen process has; then another one is chosen.
const MARKER_MS: u32 = 1500;
/// How long a request waits for a licence to be restored before it answers `503`.
const PATIENCE: Duration = Duration::from_millis(2500);
/// How long those who wait sleep between two looks, at most.
const POLL_MS: u64 = 20;

static MARK: std::sync::LazyLock<Script> =
    std::sync::LazyLock::new(|| Script::new("return redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1]) and 1 or 0"));
static UNMARK: std::sync::LazyLock<Script> =
    std::sync::LazyLock::new(|| Script::new("return redis.call('DEL', KEYS[1])"));

/// How much longer a request waits for a restore.
#[derive(Debug)]
pub struct Patience(Instant);

impl Patience {
    /// The patience of one request.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it starts now; a default would hide that")]
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Seats {
    /// Restores a licence, or waits a moment while another process does.
    ///
    /// # Errors
    /// `503` when it takes too long, or Postgres or Redis don't answer; `404` when the tenant has no such licence.
    pub async fn warm(&self, tenant: TenantId, license: LicenseId, patience: &mut Patience) -> Result<(), Problem> {
        if patience.0.elapsed() > PATIENCE {
            return Err(Problem::unavailable("redis", "a licence's seats were not restored in time"));
        }
        let marker = format!("seat:{{{license}}}:restoring");
        let chosen: u8 = self.redis.run("seat_restore_mark", MARK.prepare_invoke().key(&marker).arg(MARKER_MS)).await?;
        if chosen == 0 {
            let pause = rand::rng().random_range(1..=POLL_MS);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            return Ok(());
        }
        let restored = self.restore(tenant, license).await;
        let _: u8 = self.redis.run("seat_restore_unmark", UNMARK.prepare_invoke().key(&marker)).await?;
        restored
    }

    async fn restore(&self, tenant: TenantId, license: LicenseId) -> Result<(), Problem> {
        let started = Instant::now();
        let id = license.as_uuid();
        let tx = self.db.tenant("seats_restore", tenant).await?;
        let [_, licenses, sessions] = tx
            .finish([
                (queries::LOCK_EXCLUSIVE, &[&id]),
                (queries::GENERATION_NEXT, &[&id]),
                (queries::SESSIONS_OPEN, &[&id]),
            ])
            .await?;
        let Some(terms) = licenses.first() else { return Err(Problem::not_found("license")) };
        let script = self.restoration(license, terms, &sessions);
        let applied: u8 = self.redis.run("seat_restore", &script).await?;
        // Who was released or evicted meanwhile had nothing to free in Redis yet.
        let restored: Vec<Uuid> = sessions.iter().map(|row| row.get(0)).collect();
        let tx = self.db.tenant("seats_restored", tenant).await?;
        let [closed] = tx.finish([(queries::SESSIONS_CLOSED, &[&restored])]).await?;
        let closed: Vec<_> = closed.iter().map(|row| SessionId::from_uuid(row.get(0))).collect();
        self.free(license, &closed).await?;
        let fact = Fact::SeatsRestored {
            license: id,
            outcome: if applied == 1 { "applied" } else { "outdated" },
            sessions: sessions.len() as u64,
            seconds: started.elapsed().as_secs_f64(),
        };
        fact.tell();
        Ok(())
    }

    fn restoration(&self, license: LicenseId, terms: &Row, sessions: &[Row]) -> redis::ScriptInvocation<'static> {
        let mut script = invocation(&RESTORE, license);
        script.arg(self.ttl_ms());
        script
            .arg(terms.get::<_, i64>(0))
            .arg(terms.get::<_, i64>(1))
            .arg(terms.get::<_, i32>(2))
            .arg(terms.get::<_, &str>(3));
        for row in sessions {
            script.arg(row.get::<_, Uuid>(0).to_string()).arg(row.get::<_, &str>(1)).arg(row.get::<_, i64>(2));
        }
        script
    }
}
