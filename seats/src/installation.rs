//! Limit of a whole installation, over all of its licenses together: where a license file states how many users it may serve.
//!
//! The open rows of `sessions` are counted, at the commit that adds one, under one lock: so the guarantees for a license
//! (`docs/seats.md`) hold for all of them, also after Redis was lost. An expired session is ended only when another holder
//! needs the place, and then its row is closed first.

use std::sync::Arc;
use std::time::Duration;

use common::{Problem, TenantTx};
use protocol::id::{LicenseId, TenantId};
use protocol::problem::Code;
use tokio::sync::{Mutex, MutexGuard};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::outcome::DropExpiredOutcome;
use crate::restore::RestoreWait;
use crate::session::OpenOutcome;
use crate::{DROP_EXPIRED, Grant, Seats, invocation, queries};

/// Limit of the sessions that may be open over all licenses.
#[derive(Debug, Clone)]
pub(crate) struct Installation {
    pub(crate) users: u32,
    /// Held by the opening of a session, so that within a process only one of them waits with a connection to Postgres.
    open_lock: Arc<Mutex<()>>,
}

impl Seats {
    /// Returns the seats with at most so many sessions open over all licenses. Holders above the limit keep their seats.
    #[must_use]
    pub fn within(self, users: u32) -> Self {
        Self { installation: Some(Installation { users, open_lock: Arc::default() }), ..self }
    }

    /// Waits until no other request of this process opens a session, where the installation has a limit.
    pub(crate) async fn lock_opening(&self) -> Option<MutexGuard<'_, ()>> {
        match &self.installation {
            Some(installation) => Some(installation.open_lock.lock().await),
            None => None,
        }
    }

    /// Returns the number of open sessions if the limit is reached and this session isn't among them. Until the transaction
    /// ends, no other session is opened. Where the fence fell, returns `None`: the grant is left to be found overtaken.
    pub(crate) async fn open_sessions_if_full(
        &self,
        tx: &mut TenantTx<'_>,
        license: Uuid,
        grant: &Grant,
        expire: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<u32>, Problem> {
        let Some(Installation { users, .. }) = self.installation else { return Ok(None) };
        let id = grant.session.as_uuid();
        let [_, _, _, found, open] = tx
            .run([
                (queries::LOCK_SHARED, &[&license]),
                (queries::INSTALLATION_LOCK, &[]),
                (queries::SESSIONS_EXPIRE, expire),
                (queries::SESSION_IS_OPEN, &[&license, &grant.generation, &grant.revision, &id]),
                (queries::INSTALLATION_OPEN, &[]),
            ])
            .await?;
        let session = OpenOutcome::from_rows(&found);
        let open = open.first().map_or(0, |row| u32::try_from(row.get::<_, i64>(0)).unwrap_or(u32::MAX));
        let needs_place = !matches!(session, OpenOutcome::Open | OpenOutcome::Overtaken);
        Ok((needs_place && open >= users).then_some(open))
    }

    /// Closes the rows of all expired sessions, and returns the milliseconds until the next one can expire.
    pub(crate) async fn expire_all(&self, wait: &mut RestoreWait) -> Result<u64, Problem> {
        let mut next = self.ttl;
        for row in self.db.outside_tenants((queries::INSTALLATION_LICENSES, &[])).await? {
            let (tenant, license) = (TenantId::from_uuid(row.get(0)), LicenseId::from_uuid(row.get(1)));
            match self.expire_license(tenant, license, wait).await {
                Ok(free) => next = free.map_or(next, |free| next.min(free)),
                // The license was deleted from the database while sessions held its seats; they count until they end.
                Err(problem) if problem.code() == Code::NotFound => {}
                Err(problem) => return Err(problem),
            }
        }
        Ok(u64::try_from(next.as_millis()).unwrap_or(u64::MAX))
    }

    /// Closes the rows of a license's expired sessions, and returns the time until the next seat can fall free.
    async fn expire_license(
        &self,
        tenant: TenantId,
        license: LicenseId,
        wait: &mut RestoreWait,
    ) -> Result<Option<Duration>, Problem> {
        loop {
            match DropExpiredOutcome::parse(
                &self.redis.run::<Vec<String>>("seat_silent", &invocation(&DROP_EXPIRED, license)).await?,
            )? {
                // The holders of its sessions are unknown too: all of them are live once more, until they expire again.
                DropExpiredOutcome::Cold => self.restore(tenant, license, wait).await?,
                DropExpiredOutcome::Dropped { generation, revision, wait_ms, gone } => {
                    wait.remaining()?;
                    self.expire(tenant, license, (generation, revision), &gone).await?;
                    // There may be more of them than are dropped at once.
                    if gone.is_empty() || wait_ms != Some(0) {
                        return Ok(wait_ms.map(Duration::from_millis));
                    }
                }
            }
        }
    }
}
