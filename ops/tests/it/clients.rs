//! The other side of the counter: those who sit on a license's seats.

use protocol::id::{HardwareId, LicenseId, SessionId, TenantId};
use seats::{Extended, NewSession, Seats, Taken, Terms};
use tokio_postgres::Client;

use crate::desk::Desk;

pub(crate) struct Clients {
    seats: Seats,
    sql: Client,
    tenant: TenantId,
    license: LicenseId,
}

impl Clients {
    pub(crate) async fn of(desk: &Desk, license: LicenseId) -> Self {
        let seats = Seats::from_setup(&mut desk.world.setup("coditect_all")).unwrap();
        let sql = desk.world.db.connect("postgres").await;
        let row = sql.query_one("select tenant_id from licenses where id = $1", &[&license.as_uuid()]).await.unwrap();
        Self { seats, sql, tenant: TenantId::from_uuid(row.get(0)), license }
    }

    /// A whole acquire of a holder, as the function does it.
    pub(crate) async fn take(&self, holder: &str) -> Taken {
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
        self.seats.take(&terms, &ask).await.unwrap()
    }

    /// An acquire that must succeed.
    pub(crate) async fn seat(&self, holder: &str) -> SessionId {
        match self.take(holder).await {
            Taken::Seat(grant) => grant.session,
            refused => panic!("{refused:?}"),
        }
    }

    pub(crate) async fn is_full(&self, holder: &str) -> bool {
        matches!(self.take(holder).await, Taken::Full { .. })
    }

    /// A heartbeat.
    pub(crate) async fn beat(&self, session: SessionId) -> Extended {
        self.seats.extend(self.tenant, self.license, session, None, seats::UNNAMED).await.unwrap()
    }

    pub(crate) async fn lives(&self, session: SessionId) -> bool {
        matches!(self.beat(session).await, Extended::Live(_))
    }

    /// Why a session's row says that it ended; `None` while it is open.
    pub(crate) async fn ended(&self, session: SessionId) -> Option<String> {
        let sql = "select ended_reason from sessions where id = $1 and (ended_at is null) = (ended_reason is null)";
        self.sql.query_one(sql, &[&session.as_uuid()]).await.unwrap().get(0)
    }
}
