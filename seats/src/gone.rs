//! The rows of sessions that have lost their seats.

use common::Problem;
use protocol::id::{LicenseId, SessionId, TenantId};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::{Gone, Seats, queries};

/// The sessions that lost their seats, as a statement takes them.
pub(crate) struct Columns<'a> {
    sessions: Vec<Uuid>,
    holders: Vec<&'a str>,
    numbers: Vec<i64>,
}

impl<'a> Columns<'a> {
    pub(crate) fn of(gone: &'a [Gone]) -> Self {
        Self {
            sessions: gone.iter().map(|g| g.session.as_uuid()).collect(),
            holders: gone.iter().map(|g| g.holder.as_str()).collect(),
            numbers: gone.iter().map(|g| g.number).collect(),
        }
    }

    /// The parameters of [`queries::SESSIONS_EXPIRE`].
    pub(crate) fn parameters<'b>(
        &'b self,
        license: &'b Uuid,
        generation: &'b i64,
        revision: &'b i64,
    ) -> [&'b (dyn ToSql + Sync); 6] {
        [license, &self.sessions, generation, revision, &self.holders, &self.numbers]
    }
}

impl Seats {
    /// Closes the rows of sessions that lost their seats under a generation and a revision, and lets Redis forget them. Under
    /// later ones nothing is closed, and they are handed to the next who asks.
    pub(crate) async fn expire(
        &self,
        tenant: TenantId,
        license: LicenseId,
        (generation, revision): (i64, i64),
        gone: &[Gone],
    ) -> Result<(), Problem> {
        let Some(first) = gone.first() else { return Ok(()) };
        let (id, columns) = (license.as_uuid(), Columns::of(gone));
        let tx = self.db.tenant("sessions_expire", tenant).await?;
        let [_, _, fence] = tx
            .finish([
                (queries::LOCK_SHARED, &[&id]),
                (queries::SESSIONS_EXPIRE, &columns.parameters(&id, &generation, &revision)),
                (queries::SESSION_IS_OPEN, &[&id, &generation, &revision, &first.session.as_uuid()]),
            ])
            .await?;
        if fence.is_empty() {
            return Ok(());
        }
        self.release_in_redis(license, &gone.iter().map(|g| g.session).collect::<Vec<SessionId>>()).await
    }
}
