//! A license in a deployment of its own, and the changes that operators make to it.

use std::sync::Arc;

use common::{Db, Problem};
use protocol::id::{HardwareId, InstanceId, LicenseId, SessionId, TenantId};
use protocol::wire::EndedReason;
use seats::release::LeaveRequest;
use seats::{AcquireOutcome, ConfirmOutcome, ExtendOutcome, Grant, LeaveOutcome, NewSession, Seats, Terms, UNNAMED};
use testing::World;
use tokio_postgres::Client;
use uuid::Uuid;

/// Time for which a seat is kept here, in milliseconds: long enough that nothing expires by itself during a test.
pub(crate) const TTL_MS: i64 = 600_000;

/// A license's keys in Redis.
pub(crate) const PARTS: [&str; 7] = ["terms", "live", "holders", "sessions", "gone", "places", "instances"];

pub(crate) struct Deployment {
    pub(crate) world: Arc<World>,
    pub(crate) seats: Seats,
    pub(crate) db: Db,
    pub(crate) sql: Arc<Client>,
    pub(crate) tenant: TenantId,
    pub(crate) license: LicenseId,
}

impl Deployment {
    pub(crate) async fn new(limit: i32) -> Self {
        Self::of(World::new().await, limit).await
    }

    pub(crate) async fn of(world: World, limit: i32) -> Self {
        let world = world.with("SEAT_TTL_SECONDS", (TTL_MS / 1000).to_string());
        let mut setup = world.setup("coditect_all");
        let (seats, db) = (Seats::from_setup(&mut setup).unwrap(), Db::from_setup(&mut setup).unwrap());
        let tenant = world.tenant("acme").await;
        let license = world.license(tenant, "TEAM", limit).await.id;
        let sql = world.db.connect("postgres").await;
        Self { world: Arc::new(world), seats, db, sql: Arc::new(sql), tenant, license }
    }

    /// A new license on the same servers.
    pub(crate) async fn another_license(&self, limit: i32) -> Self {
        let license = self.world.license(self.tenant, "TEAM", limit).await.id;
        let (world, sql) = (Arc::clone(&self.world), Arc::clone(&self.sql));
        Self { world, sql, seats: self.seats.clone(), db: self.db.clone(), tenant: self.tenant, license }
    }

    /// The license as an acquire reads it first.
    pub(crate) async fn terms(&self) -> Terms {
        let sql =
            "select seat_generation, revision, seats, license_state(state, standing, expires_at) as state, expires_at,
            database_identity() as database from licenses where id = $1";
        Terms::from_row(&self.sql.query_one(sql, &[&self.license.as_uuid()]).await.unwrap())
    }

    pub(crate) async fn acquire_in_redis(&self, holder: usize, terms: &Terms) -> Result<AcquireOutcome, Problem> {
        self.acquire_in_redis_as(holder, UNNAMED, terms).await
    }

    pub(crate) async fn acquire_in_redis_as(
        &self,
        holder: usize,
        instance: InstanceId,
        terms: &Terms,
    ) -> Result<AcquireOutcome, Problem> {
        self.seats.acquire_in_redis(self.license, &name(holder), SessionId::new(), instance, terms).await
    }

    pub(crate) async fn open(&self, holder: usize, grant: &Grant) -> seats::session::OpenOutcome {
        self.open_for(holder, UNNAMED, grant).await
    }

    pub(crate) async fn open_for(
        &self,
        holder: usize,
        instance: InstanceId,
        grant: &Grant,
    ) -> seats::session::OpenOutcome {
        let hardware = HardwareId::of(b"machine");
        self.seats.open(&self.ask(&name(holder), &hardware, instance), grant).await.unwrap()
    }

    /// The opening where the holder may have one seat of all licenses.
    pub(crate) async fn open_beside(
        &self,
        holder: usize,
        grant: &Grant,
        seatless: &[Uuid],
    ) -> seats::session::OpenOutcome {
        let (hardware, name) = (HardwareId::of(b"machine"), name(holder));
        let ask = NewSession { seatless: Some(seatless), ..self.ask(&name, &hardware, UNNAMED) };
        self.seats.open(&ask, grant).await.unwrap()
    }

    /// Acquires a seat.
    pub(crate) async fn acquire(&self, holder: usize) -> Result<AcquireOutcome, Problem> {
        self.acquire_as(holder, UNNAMED).await
    }

    pub(crate) async fn acquire_as(&self, holder: usize, instance: InstanceId) -> Result<AcquireOutcome, Problem> {
        let hardware = HardwareId::of(b"machine");
        self.seats.acquire(&self.terms().await, &self.ask(&name(holder), &hardware, instance)).await
    }

    /// Acquires a seat for a named instance, which must succeed.
    pub(crate) async fn share(&self, holder: usize, instance: InstanceId) -> Grant {
        match self.acquire_as(holder, instance).await.unwrap() {
            AcquireOutcome::Seat(grant) => grant,
            refused => panic!("{refused:?}"),
        }
    }

    /// Acquires a seat, which must succeed.
    pub(crate) async fn seat(&self, holder: usize) -> Grant {
        match self.acquire(holder).await.unwrap() {
            AcquireOutcome::Seat(grant) => grant,
            refused => panic!("{refused:?}"),
        }
    }

    pub(crate) async fn confirm(&self, grant: &Grant) -> Result<ConfirmOutcome, Problem> {
        self.seats.confirm(self.license, grant).await
    }

    pub(crate) async fn heartbeat(&self, session: SessionId) -> ExtendOutcome {
        self.heartbeat_of(session, UNNAMED).await
    }

    pub(crate) async fn heartbeat_of(&self, session: SessionId, instance: InstanceId) -> ExtendOutcome {
        self.seats.extend(self.tenant, self.license, session, None, instance).await.unwrap()
    }

    pub(crate) async fn is_live(&self, session: SessionId, instance: InstanceId) -> bool {
        matches!(self.heartbeat_of(session, instance).await, ExtendOutcome::Live(_))
    }

    pub(crate) fn leaving(&self, session: SessionId, instance: InstanceId) -> LeaveRequest {
        LeaveRequest { tenant: self.tenant, license: self.license, session, subject: None, instance }
    }

    /// Takes an instance out of its session: the first step of a release.
    pub(crate) async fn leave(&self, session: SessionId, instance: InstanceId) -> LeaveOutcome {
        self.seats.leave(&self.leaving(session, instance)).await.unwrap()
    }

    /// Releases a session.
    pub(crate) async fn release(&self, session: SessionId, instance: InstanceId) {
        assert!(self.seats.release(&self.leaving(session, instance)).await.unwrap());
    }

    /// Closes the row as `release` does, without freeing the seat.
    pub(crate) async fn close_row(&self, session: SessionId) {
        let sql = "update sessions set ended_at = now(), ended_reason = 'released' where id = $1 and ended_at is null";
        self.sql.execute(sql, &[&session.as_uuid()]).await.unwrap();
    }

    pub(crate) async fn release_in_redis(&self, session: SessionId) {
        self.seats.release_in_redis(self.license, &[session]).await.unwrap();
    }

    pub(crate) async fn end_session(&self, session: SessionId) {
        self.seats.close(self.tenant, self.license, session, EndedReason::Released).await.unwrap();
    }

    /// Changes seats or state as operators do; Redis is updated only with `set_terms`.
    pub(crate) async fn change(&self, seats: Option<i32>, state: Option<&str>, set_terms: bool) {
        let id = self.license.as_uuid();
        let mut tx = self.db.tenant("test_change", self.tenant).await.unwrap();
        tx.run([(seats::LICENSE_LOCK, &[&id])]).await.unwrap();
        // The functions' role may not change a license: the owner's connection does, while the lock is held.
        let change = "update licenses set seats = coalesce($2, seats), state = coalesce($3, state), revision = revision + 1,
            seat_generation = seat_generation + case when $3 in ('suspended', 'revoked') then 1 else 0 end where id = $1";
        self.sql.execute(change, &[&id, &seats, &state]).await.unwrap();
        if state.is_some_and(|s| s != "active") {
            let end =
                "update sessions set ended_at = now(), ended_reason = $2 where license_id = $1 and ended_at is null";
            self.sql.execute(end, &[&id, &state]).await.unwrap();
        }
        tx.commit().await.unwrap();
        if set_terms {
            self.seats.set_terms(self.license, &self.terms().await).await.unwrap();
        }
    }

    pub(crate) async fn age(&self, ms: i64) {
        self.world.redis.age_seats(self.license, ms).await;
    }

    /// A restore without sessions, read under an early generation, arrives.
    pub(crate) async fn late_restore(&self, generation: i64) {
        let script = concat!(include_str!("../../src/lua/prelude.lua"), include_str!("../../src/lua/restore.lua"));
        let mut command = vec!["EVAL".to_owned(), script.to_owned(), "12".to_owned()];
        command.extend(PARTS.map(|part| self.key(part)));
        command.extend((0..5).map(|n| self.key(&format!("nothing-{n}"))));
        let database = self.terms().await.database;
        command.extend([&generation.to_string(), "1", "2", "active", "", &database, "0", "0"].map(str::to_owned));
        self.world.redis.command(&command.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }

    /// One of the license's keys in Redis.
    pub(crate) fn key(&self, part: &str) -> String {
        format!("seat:{{{}}}:{part}", self.license)
    }

    pub(crate) async fn open_rows(&self) -> Vec<SessionId> {
        let sql = "select id from sessions where license_id = $1 and ended_at is null order by id";
        let rows = self.sql.query(sql, &[&self.license.as_uuid()]).await.unwrap();
        rows.iter().map(|row| SessionId::from_uuid(row.get(0))).collect()
    }

    /// The sessions that hold a seat now.
    pub(crate) async fn live(&self) -> Vec<SessionId> {
        let mut live: Vec<_> = self.seats.list(self.license).await.unwrap();
        live.retain(|(_, left)| *left > 0);
        let mut live: Vec<_> = live.into_iter().map(|(session, _)| session).collect();
        live.sort();
        live
    }

    fn ask<'a>(&self, holder: &'a str, hardware: &'a HardwareId, instance: InstanceId) -> NewSession<'a> {
        NewSession {
            tenant: self.tenant,
            license: self.license,
            holder,
            user: None,
            hardware,
            hostname: None,
            version: None,
            seatless: None,
            instance,
        }
    }
}

pub(crate) fn name(holder: usize) -> String {
    format!("subject/{holder}")
}
