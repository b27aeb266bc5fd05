//! A whole installation, all of its licenses together: where a license file says how many users it may serve.
//!
//! What counts is the open rows of `sessions`, at the commit that adds one, under one lock: so what holds for a license
//! (`docs/seats.md`) holds for all of them, also after Redis was lost. Whoever has fallen silent is let go only when
//! somebody else needs the place, and then their row is closed first.

use std::sync::Arc;
use std::time::Duration;

use common::{Problem, TenantTx};
use protocol::id::{LicenseId, TenantId};
use protocol::problem::Code;
use tokio::sync::{Mutex, MutexGuard};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::outcome::Silent;
use crate::restore::Patience;
use crate::{Grant, SILENT, Seats, invocation, queries};

/// How many sessions may be open over all licenses.
#[derive(Debug, Clone)]
pub(crate) struct Installation {
    pub(crate) users: u32,
    /// Within a process, openings wait for their turn here, so that not each of them waits with a connection to Postgres.
    turn: Arc<Mutex<()>>,
}

impl Seats {
    /// The same, with no more than so many sessions open over all licenses. Holders that are above it keep their seats.
    #[must_use]
    pub fn within(self, users: u32) -> Self {
        Self { installation: Some(Installation { users, turn: Arc::default() }), ..self }
    }

    /// This process's turn to open a session, where one has to wait for it.
    pub(crate) async fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        match &self.installation {
            Some(installation) => Some(installation.turn.lock().await),
            None => None,
        }
    }

    /// How many sessions are open, when that is as many as may be and this one isn't among them. Until the transaction
    /// ends, nobody else opens one. Where the fence fell nothing is said: the grant is left to be found overtaken.
    pub(crate) async fn crowd(
        &self,
        tx: &mut TenantTx<'_>,
        license: Uuid,
        grant: &Grant,
        expire: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<u32>, Problem> {
        let Some(Installation { users, .. }) = self.installation else { return Ok(None) };
        let session = grant.session.as_uuid();
        let [_, _, _, found, open] = tx
            .run([
                (queries::LOCK_SHARED, &[&license]),
                (queries::INSTALLATION_LOCK, &[]),
                (queries::SESSIONS_EXPIRE, expire),
                (queries::SESSION_IS_OPEN, &[&license, &grant.generation, &grant.revision, &session]),
                (queries::INSTALLATION_OPEN, &[]),
            ])
            .await?;
        let Some(is_open) = found.first().map(|row| row.get::<_, Option<bool>>(0) == Some(true)) else {
            return Ok(None);
        };
        let open = open.first().map_or(0, |row| u32::try_from(row.get::<_, i64>(0)).unwrap_or(u32::MAX));
        Ok((!is_open && open >= users).then_some(open))
    }

    /// Closes the rows of all who have fallen silent, and answers in how many milliseconds the next one can.
    pub(crate) async fn reclaim(&self, patience: &mut Patience) -> Result<u64, Problem> {
        let mut next = self.ttl;
        for row in self.db.outside_tenants((queries::INSTALLATION_LICENSES, &[])).await? {
            let (tenant, license) = (TenantId::from_uuid(row.get(0)), LicenseId::from_uuid(row.get(1)));
            match self.reclaim_of(tenant, license, patience).await {
                Ok(wait) => next = wait.map_or(next, |wait| next.min(wait)),
                // Somebody took the license out of the database while people sat on it; they count until they go.
                Err(problem) if problem.code() == Code::NotFound => {}
                Err(problem) => return Err(problem),
            }
        }
        Ok(u64::try_from(next.as_millis()).unwrap_or(u64::MAX))
    }

    async fn reclaim_of(
        &self,
        tenant: TenantId,
        license: LicenseId,
        patience: &mut Patience,
    ) -> Result<Option<Duration>, Problem> {
        loop {
            match Silent::parse(&self.redis.run::<Vec<String>>("seat_silent", &invocation(&SILENT, license)).await?)? {
                // Unknown are also those who sat there: all of them live once more, until they are silent for as long.
                Silent::Cold => self.warm(tenant, license, patience).await?,
                Silent::Dropped { generation, revision, wait_ms, gone } => {
                    patience.check()?;
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
