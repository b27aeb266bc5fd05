//! Clients that hold seats of a license.

use protocol::id::{HardwareId, LicenseId, SessionId, TenantId};
use seats::{AcquireOutcome, ExtendOutcome, NewSession, Seats, Terms};
use tokio_postgres::Client;

use crate::ops_cli::OpsCli;

pub(crate) struct Clients {
    seats: Seats,
    sql: Client,
    tenant: TenantId,
    license: LicenseId,
}

impl Clients {
    pub(crate) async fn of(ops: &OpsCli, license: LicenseId) -> Self {
        let seats = Seats::from_setup(&mut ops.world.setup("coditect_all")).unwrap();
        let sql = ops.world.db.connect("postgres").await;
        let row = sql.query_one("select tenant_id from licenses where id = $1", &[&license.as_uuid()]).await.unwrap();
        Self { seats, sql, tenant: TenantId::from_uuid(row.get(0)), license }
    }

    /// Acquires a seat for a holder, as the function does it.
    pub(crate) async fn acquire(&self, holder: &str) -> AcquireOutcome {
        let sql =
            "select seat_generation, revision, seats, license_state(state, standing, expires_at) as state, expires_at,
            database_identity() as database from licenses where id = $1";
        let terms = Terms::from_row(&self.sql.query_one(sql, &[&self.license.as_uuid()]).await.unwrap());
        let ask = NewSession {
            tenant: self.tenant,
            license: self.license,
            holder,
            user: None,
            hardware: &HardwareId::of(holder.as_bytes()),
            hostname: Some(holder),
            version: None,
            seatless: None,
            instance: seats::UNNAMED,
        };
        self.seats.acquire(&terms, &ask).await.unwrap()
    }

    /// Acquires a seat, which must succeed.
    pub(crate) async fn seat(&self, holder: &str) -> SessionId {
        match self.acquire(holder).await {
            AcquireOutcome::Seat(grant) => grant.session,
            refused => panic!("{refused:?}"),
        }
    }

    pub(crate) async fn is_full(&self, holder: &str) -> bool {
        matches!(self.acquire(holder).await, AcquireOutcome::Full { .. })
    }

    /// Sends a heartbeat.
    pub(crate) async fn heartbeat(&self, session: SessionId) -> ExtendOutcome {
        self.seats.extend(self.tenant, self.license, session, None, seats::UNNAMED).await.unwrap()
    }

    pub(crate) async fn is_live(&self, session: SessionId) -> bool {
        matches!(self.heartbeat(session).await, ExtendOutcome::Live(_))
    }

    /// Returns the reason why a session's row has ended; `None` while it is open.
    pub(crate) async fn ended(&self, session: SessionId) -> Option<String> {
        let sql = "select ended_reason from sessions where id = $1 and (ended_at is null) = (ended_reason is null)";
        self.sql.query_one(sql, &[&session.as_uuid()]).await.unwrap().get(0)
    }
}
