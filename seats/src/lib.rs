//! Floating seats: the sessions that hold a seat are counted in Redis, one script per verb, and recorded in Postgres.
//!
//! Redis is a cache. When it doesn't know a license (first use, eviction, a server that was lost), the license is restored from
//! its open session rows, under a new generation, before a request is answered. `docs/seats.md` has the guarantees and their
//! proofs; in short:
//!
//! - a client gets a seat only after its row is committed and then confirmed ([`Seats::acquire`]);
//! - the commit is fenced: it succeeds only under the generation and revision that the grant was made under, so that a
//!   restore, or a change of the license, never misses a grant that was on its way;
//! - a seat passes to another only in the transaction that closes its former session's row;
//! - release closes the row before the seat falls free.
//!
//! Modules: [`session`] acquires seats, [`release`] gives them back, [`restore`] fills Redis from Postgres, [`terms`] has a
//! license's rights, [`outcome`] the scripts' answers as types, `gone` closes the rows of sessions that lost their seat,
//! [`installation`] limits all licenses together, [`usage`] counts the seats of each plan that are taken.

mod gone;
pub mod installation;
pub mod outcome;
mod queries;
pub mod release;
pub mod restore;
pub mod session;
pub mod terms;
pub mod usage;

use std::sync::LazyLock;
use std::time::Duration;

use common::redis::Redis;
use common::{Db, Problem, Setup, config};
use protocol::id::{InstanceId, LicenseId, SessionId, TenantId};
use redis::{Script, ScriptInvocation};
use uuid::Uuid;

pub use outcome::{AcquireOutcome, ConfirmOutcome, ExtendOutcome, Gone, Grant, Kept, LeaveOutcome};
pub use session::NewSession;
pub use terms::Terms;

/// Statement that takes a license's lock (`$1`: its id), before a change of its seats, state or expiry, so that no session is
/// opened under the former values.
pub const LICENSE_LOCK: &str = queries::LOCK_EXCLUSIVE;

/// Id for all instances of a session that give no name.
pub const UNNAMED: InstanceId = InstanceId::from_uuid(Uuid::nil());

macro_rules! script {
    ($($file:literal)+) => {
        LazyLock::new(|| Script::new(concat!($(include_str!(concat!("lua/", $file))),+)))
    };
}
static ACQUIRE: LazyLock<Script> = script!("prelude.lua" "acquire.lua");
static CONFIRM: LazyLock<Script> = script!("prelude.lua" "confirm.lua");
/// The script of a heartbeat. `bench` runs it alone.
pub static EXTEND: LazyLock<Script> = script!("extend_fast_path.lua" "prelude.lua" "extend.lua");
static LEAVE: LazyLock<Script> = script!("prelude.lua" "leave.lua");
static RELEASE: LazyLock<Script> = script!("prelude.lua" "release.lua");
static SET_TERMS: LazyLock<Script> = script!("prelude.lua" "set_terms.lua");
static LIST: LazyLock<Script> = script!("prelude.lua" "list.lua");
static STAGE: LazyLock<Script> = script!("prelude.lua" "stage.lua");
static RESTORE: LazyLock<Script> = script!("prelude.lua" "restore.lua");
static DROP_EXPIRED: LazyLock<Script> = script!("prelude.lua" "drop_expired.lua");

/// A license's keys, in the order that all scripts take them.
pub const KEYS: [&str; 7] = ["terms", "live", "holders", "sessions", "gone", "places", "instances"];

/// The seats of all licenses.
#[derive(Debug, Clone)]
pub struct Seats {
    redis: Redis,
    db: Db,
    ttl: Duration,
    /// The limit that all licenses share, where there is one.
    installation: Option<installation::Installation>,
}

impl Seats {
    /// Makes the seats from the configuration; `None` where that has mistakes.
    pub fn from_setup(setup: &mut Setup) -> Option<Self> {
        let (redis, db) = (Redis::from_setup(setup), Db::from_setup(setup));
        let ttl = setup.defaulted(&config::SEAT_TTL_SECONDS, config::seconds);
        Some(Self { redis: redis?, db: db?, ttl: Duration::from_secs(ttl?.into()), installation: None })
    }

    /// Acquires a seat in Redis alone: the first step of [`Seats::acquire`].
    ///
    /// # Errors
    /// `503` when Redis doesn't answer.
    pub async fn acquire_in_redis(
        &self,
        license: LicenseId,
        holder: &str,
        session: SessionId,
        instance: InstanceId,
        terms: &Terms,
    ) -> Result<AcquireOutcome, Problem> {
        let mut script = invocation(&ACQUIRE, license);
        script.arg(holder).arg(session.to_string()).arg(instance.to_string()).arg(self.ttl_ms());
        terms.write(&mut script);
        AcquireOutcome::parse(&self.redis.run::<Vec<String>>("seat_acquire", &script).await?)
    }

    /// Confirms that a grant is still held, once its row is committed.
    ///
    /// # Errors
    /// `503` when Redis doesn't answer, or the configured replicas don't have the grant.
    pub async fn confirm(&self, license: LicenseId, grant: &Grant) -> Result<ConfirmOutcome, Problem> {
        let mut script = invocation(&CONFIRM, license);
        script.arg(grant.session.to_string());
        for gone in &grant.gone {
            script.arg(gone.session.to_string());
        }
        let confirmed = ConfirmOutcome::parse(&self.redis.run::<Vec<String>>("seat_confirm", &script).await?)?;
        self.redis.replicated(&format!("seat:{{{license}}}:replicated")).await?;
        Ok(confirmed)
    }

    /// Keeps a session's seat for one of its instances. A license that Redis doesn't know is restored first.
    ///
    /// # Errors
    /// `503` when Redis doesn't answer, or Postgres doesn't while a license has to be restored.
    pub async fn extend(
        &self,
        tenant: TenantId,
        license: LicenseId,
        session: SessionId,
        subject: Option<Uuid>,
        instance: InstanceId,
    ) -> Result<ExtendOutcome, Problem> {
        let mut script = invocation(&EXTEND, license);
        script.arg(session.to_string()).arg(self.ttl_ms());
        script.arg(subject.map(|s| s.to_string()).unwrap_or_default()).arg(instance.to_string());
        let mut wait = restore::RestoreWait::new();
        loop {
            match ExtendOutcome::parse(&self.redis.run::<Vec<String>>("seat_extend", &script).await?)? {
                ExtendOutcome::Cold => self.restore(tenant, license, &mut wait).await?,
                ExtendOutcome::Unknown(generation) if self.overlooked(tenant, session, generation).await? => {
                    self.restore(tenant, license, &mut wait).await?;
                }
                extended => return Ok(extended),
            }
        }
    }

    /// Releases the seats of sessions in Redis, whose rows were closed before: the last step of [`Seats::release`].
    ///
    /// # Errors
    /// `503` when Redis doesn't answer; the seats then fall free by themselves.
    pub async fn release_in_redis(&self, license: LicenseId, sessions: &[SessionId]) -> Result<(), Problem> {
        if sessions.is_empty() {
            return Ok(());
        }
        let mut script = invocation(&RELEASE, license);
        for session in sessions {
            script.arg(session.to_string());
        }
        self.redis.run::<u32>("seat_release", &script).await.map(drop)
    }

    /// Updates a license's limit and state in Redis. A change that ended sessions has raised the generation, so that a Redis
    /// that missed both it and later changes doesn't keep them.
    ///
    /// # Errors
    /// `503` when Redis doesn't answer; it then gets them at the next acquire.
    pub async fn set_terms(&self, license: LicenseId, terms: &Terms) -> Result<(), Problem> {
        let mut script = invocation(&SET_TERMS, license);
        terms.write(&mut script);
        self.redis.run::<u8>("seat_terms", &script).await.map(drop)
    }

    /// Lists the sessions that hold a seat, with the milliseconds that they have left; negative for those that can be passed
    /// on.
    ///
    /// # Errors
    /// `503` when Redis doesn't answer.
    pub async fn list(&self, license: LicenseId) -> Result<Vec<(SessionId, i64)>, Problem> {
        let rows: Vec<(String, i64)> = self.redis.run("seat_list", &invocation(&LIST, license)).await?;
        rows.into_iter().map(|(session, left)| Ok((outcome::session(&session)?, left))).collect()
    }

    fn ttl_ms(&self) -> u64 {
        u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX)
    }
}

/// An invocation with the license's keys; the braces make them one slot of a cluster.
fn invocation(script: &'static Script, license: LicenseId) -> ScriptInvocation<'static> {
    let mut invocation = script.prepare_invoke();
    for part in KEYS {
        invocation.key(format!("seat:{{{license}}}:{part}"));
    }
    invocation
}
