//! Restores licenses that Redis doesn't know from Postgres.
//!
//! One process restores, the others wait for it: a marker in Redis chooses the one. The marker only saves work; two
//! restores at once are harmless, because each takes the next generation under an exclusive lock, sets its sessions aside
//! under that generation, and the script that puts them in place lets the later one win. From the moment that the generation
//! has grown, no row is opened until that script has run, so that the rows can be read a page at a time.
//!
//! A restore goes on when the request that began it is given up. When it dies, what it has set aside is forgotten, and the
//! next one starts anew.

use std::time::{Duration, Instant};

use common::{LogEvent, Problem};
use protocol::id::{LicenseId, SessionId, TenantId};
use rand::Rng as _;
use redis::{Script, ScriptInvocation};
use tokio_postgres::Row;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::{KEYS, RESTORE, STAGE, Seats, Terms, UNNAMED, invocation, queries};

/// Time that the chosen process has for each page; then another one is chosen, before waiting requests give up.
const MARKER_TTL_MS: u32 = 1500;
/// Time for which the sessions set aside outlive the last page.
const STAGED_TTL_MS: u32 = 60_000;
/// Number of sessions read, and put into Redis, at once: few enough that no other request waits for them.
const PAGE_SESSIONS: usize = 1000;
/// Time for which a request waits for a license to be restored before it answers `503`.
const RESTORE_TIMEOUT: Duration = Duration::from_millis(2500);
/// Time that waiting requests sleep between two looks: at first, and in a long restore.
const POLL_MS: std::ops::RangeInclusive<u64> = 20..=320;

static MARK: std::sync::LazyLock<Script> =
    std::sync::LazyLock::new(|| Script::new("return redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1]) and 1 or 0"));
static UNMARK: std::sync::LazyLock<Script> =
    std::sync::LazyLock::new(|| Script::new("return redis.call('DEL', KEYS[1])"));

/// Remaining time for which a request waits for a restore.
#[derive(Debug)]
pub struct RestoreWait {
    since: Instant,
    pause_ms: u64,
}

impl RestoreWait {
    /// Starts the waiting time of a request.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it starts now; a default would hide that")]
    pub fn new() -> Self {
        Self { since: Instant::now(), pause_ms: *POLL_MS.start() }
    }

    /// Returns the time that is left.
    ///
    /// # Errors
    /// `503` when nothing is.
    pub(crate) fn remaining(&self) -> Result<Duration, Problem> {
        let left = RESTORE_TIMEOUT.checked_sub(self.since.elapsed());
        left.ok_or_else(|| Problem::unavailable("redis", "a license's seats were not restored in time"))
    }

    /// Waits a moment, longer each time, so that requests that wait for a large license cause no load of their own.
    async fn pause(&mut self) {
        let pause = rand::rng().random_range(1..=self.pause_ms);
        self.pause_ms = (self.pause_ms * 2).min(*POLL_MS.end());
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

impl Seats {
    /// Restores a license, or waits a moment while another process does.
    ///
    /// # Errors
    /// `503` when it takes too long, or Postgres or Redis don't answer; `404` when the tenant has no such license.
    pub async fn restore(&self, tenant: TenantId, license: LicenseId, wait: &mut RestoreWait) -> Result<(), Problem> {
        let left = wait.remaining()?;
        let marker = marker(license);
        let chosen: u8 =
            self.redis.run("seat_restore_mark", MARK.prepare_invoke().key(&marker).arg(MARKER_TTL_MS)).await?;
        if chosen == 0 {
            wait.pause().await;
            return Ok(());
        }
        let seats = self.clone();
        let restoring = async move {
            let restored = seats.restore_from_postgres(tenant, license).await;
            let _: u8 = seats.redis.run("seat_restore_unmark", UNMARK.prepare_invoke().key(&marker)).await?;
            restored
        };
        let restoring = tokio::spawn(restoring.in_current_span());
        match tokio::time::timeout(left, restoring).await {
            Ok(restored) => restored.map_err(Problem::internal_error)?,
            Err(_) => wait.remaining().map(drop),
        }
    }

    async fn restore_from_postgres(&self, tenant: TenantId, license: LicenseId) -> Result<(), Problem> {
        let started = Instant::now();
        let id = license.as_uuid();
        let tx = self.db.tenant("seats_restore", tenant).await?;
        let page = i64::try_from(PAGE_SESSIONS).map_err(Problem::internal_error)?;
        let [_, licenses, mut rows] = tx
            .finish([
                (queries::LOCK_EXCLUSIVE, &[&id]),
                (queries::GENERATION_NEXT, &[&id]),
                (queries::SESSIONS_OPEN, &[&id, &"", &page]),
            ])
            .await?;
        let terms = Terms::from_row(licenses.first().ok_or_else(|| Problem::not_found("license"))?);
        let mut sessions: Vec<Uuid> = Vec::new();
        let mut grants = 0_i64;
        while let Some(last) = rows.last() {
            let last: String = last.get("holder");
            grants = rows.iter().map(|row| row.get("grant_number")).max().unwrap_or(0).max(grants);
            sessions.extend(rows.iter().map(|row| row.get::<_, Uuid>("id")));
            self.redis.run::<u32>("seat_stage", &self.stage(license, &terms, &rows)).await?;
            if rows.len() < PAGE_SESSIONS {
                break;
            }
            let tx = self.db.tenant("sessions_open", tenant).await?;
            [rows] = tx.finish([(queries::SESSIONS_OPEN, &[&id, &last, &page])]).await?;
        }
        let mut script = invocation(&RESTORE, license);
        for key in staging_keys(license, terms.generation) {
            script.key(key);
        }
        terms.write(&mut script);
        script.arg(sessions.len()).arg(grants);
        let applied: i8 = self.redis.run("seat_restore", &script).await?;
        self.release_closed(tenant, license, &sessions).await?;
        let event = LogEvent::SeatsRestored {
            license: id,
            outcome: if applied == 1 { "applied" } else { "outdated" },
            sessions: sessions.len() as u64,
            seconds: started.elapsed().as_secs_f64(),
        };
        event.emit();
        Ok(())
    }

    /// Frees the seats of sessions that were released or evicted since the restore read them: they had nothing to free in Redis
    /// yet.
    async fn release_closed(&self, tenant: TenantId, license: LicenseId, restored: &[Uuid]) -> Result<(), Problem> {
        for page in restored.chunks(PAGE_SESSIONS) {
            let tx = self.db.tenant("seats_restored", tenant).await?;
            let [closed] = tx.finish([(queries::SESSIONS_CLOSED, &[&page])]).await?;
            let closed: Vec<_> = closed.iter().map(|row| SessionId::from_uuid(row.get(0))).collect();
            self.release_in_redis(license, &closed).await?;
        }
        Ok(())
    }

    fn stage(&self, license: LicenseId, terms: &Terms, rows: &[Row]) -> ScriptInvocation<'static> {
        let mut script = STAGE.prepare_invoke();
        for key in staging_keys(license, terms.generation) {
            script.key(key);
        }
        script.key(marker(license));
        script.arg(self.ttl_ms()).arg(STAGED_TTL_MS).arg(MARKER_TTL_MS).arg(terms.ends_ms());
        for row in rows {
            let mut instances: Vec<Uuid> = row.get("instances");
            // The row was written by a release that had no instances.
            if instances.is_empty() {
                instances.push(UNNAMED.as_uuid());
            }
            let instances: Vec<String> = instances.iter().map(Uuid::to_string).collect();
            script.arg(row.get::<_, Uuid>("id").to_string()).arg(row.get::<_, &str>("holder"));
            script.arg(row.get::<_, i64>("grant_number")).arg(row.get::<_, Option<i32>>("seat").unwrap_or(0));
            script.arg(instances.join(","));
        }
        script
    }
}

fn marker(license: LicenseId) -> String {
    format!("seat:{{{license}}}:restoring")
}

/// Returns the keys under which a restore of a generation sets sessions aside.
fn staging_keys(license: LicenseId, generation: i64) -> impl Iterator<Item = String> {
    let parts = KEYS.into_iter().filter(|part| !matches!(*part, "terms" | "gone"));
    parts.map(move |part| format!("seat:{{{license}}}:{part}:{generation}"))
}
