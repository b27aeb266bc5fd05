//! Acquires seats: a session from grant to row to answer.

use common::postgres::Query;
use common::{Problem, TenantTx};
use protocol::id::{HardwareId, InstanceId, LicenseId, SessionId, TenantId, UserId};
use protocol::wire::EndedReason;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::gone::Columns;
use crate::restore::RestoreWait;
use crate::{AcquireOutcome, ConfirmOutcome, Grant, Seats, Terms, queries};

/// Maximum number of times that a grant may be overtaken (by a restore, a change of the license, an eviction) before the answer
/// is `503`.
const ATTEMPTS: usize = 5;

/// A request for a seat.
#[derive(Debug)]
pub struct NewSession<'a> {
    /// The license's tenant.
    pub tenant: TenantId,
    /// The license.
    pub license: LicenseId,
    /// One subject on one device; has one seat however often it asks.
    pub holder: &'a str,
    /// The user, when it is one.
    pub user: Option<UserId>,
    /// The device.
    pub hardware: &'a HardwareId,
    /// The device's name, for operators.
    pub hostname: Option<&'a str>,
    /// The client's version, for operators.
    pub version: Option<&'a str>,
    /// Where the holder may have one seat of all the tenant's licenses: sessions of the holder that hold no seat any more,
    /// whose rows are closed with the opening of this one. `None`: other licenses do not matter.
    pub seatless: Option<&'a [Uuid]>,
    /// The instance among those that share the holder's session; [`crate::UNNAMED`] where none is named.
    pub instance: InstanceId,
}

/// Outcome of writing a grant's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenOutcome {
    /// The row is there and open, and the rows of `gone` are closed.
    Open,
    /// The fence fell: the license was restored or changed since the grant. Nothing was written.
    Overtaken,
    /// The session had been closed. Nothing was written.
    Closed,
    /// By the rows, the seat or the holder has another session, or the license is full: Redis is out of date. Nothing was
    /// written.
    Contradicted,
    /// The whole installation has as many open sessions as it may have: this number. No session was written, and the grant was
    /// given back.
    InstallationFull(u32),
    /// The holder has an open session of another license. No session was written, and the grant was given back.
    Elsewhere,
}

impl OpenOutcome {
    /// Reads the rows of [`queries::SESSION_IS_OPEN`].
    pub(crate) fn from_rows(rows: &[Row]) -> Self {
        let Some(row) = rows.first() else { return Self::Overtaken };
        match row.get(0) {
            Some(true) => Self::Open,
            Some(false) => Self::Closed,
            None => Self::Contradicted,
        }
    }
}

impl Seats {
    /// Acquires a seat: grant, row, and between the row and the answer a confirmation.
    ///
    /// The caller gets `AcquireOutcome::Seat` only when the row is committed and the seat is held after that.
    ///
    /// # Errors
    /// `503` when Redis or Postgres don't answer, or the grant was overtaken too often.
    pub async fn acquire(&self, terms: &Terms, request: &NewSession<'_>) -> Result<AcquireOutcome, Problem> {
        let mut wait = RestoreWait::new();
        let mut terms = terms.clone();
        let mut attempts = 0;
        let mut next_free_ms = None;
        while attempts < ATTEMPTS {
            let grant = match self
                .acquire_in_redis(request.license, request.holder, SessionId::new(), request.instance, &terms)
                .await?
            {
                AcquireOutcome::Cold => {
                    self.restore(request.tenant, request.license, &mut wait).await?;
                    continue;
                }
                AcquireOutcome::Behind { generation, revision, gone } => {
                    wait.remaining()?;
                    self.expire(request.tenant, request.license, (generation, revision), &gone).await?;
                    continue;
                }
                AcquireOutcome::Seat(grant) => grant,
                refused => return Ok(refused),
            };
            attempts += 1;
            match self.open(request, &grant).await? {
                OpenOutcome::Open => {}
                OpenOutcome::Elsewhere => return Ok(AcquireOutcome::Elsewhere),
                // The grant is left in Redis: another request of this holder may have committed it just before the fence
                // fell. After a restore it is gone; after a change of the license the next attempt finds it again.
                OpenOutcome::Overtaken => {
                    terms = self.read_terms(request.tenant, request.license).await?;
                    continue;
                }
                // The seat outlived its session's row, as after a release that a restore overtook.
                OpenOutcome::Closed => {
                    self.release_in_redis(request.license, &[grant.session]).await?;
                    continue;
                }
                OpenOutcome::Contradicted => {
                    self.restore(request.tenant, request.license, &mut wait).await?;
                    terms = self.read_terms(request.tenant, request.license).await?;
                    continue;
                }
                OpenOutcome::InstallationFull(in_use) => {
                    if let Some(wait_ms) = next_free_ms {
                        let users = self.installation.as_ref().map_or(0, |installation| installation.users);
                        return Ok(AcquireOutcome::InstallationFull { users, in_use, wait_ms });
                    }
                    next_free_ms = Some(self.expire_all(&mut wait).await?);
                    continue;
                }
            }
            if let Some(taken) = self.confirmed(request, grant, &mut wait).await? {
                return Ok(taken);
            }
        }
        Err(Problem::unavailable("seats", "the grant was overtaken again and again"))
    }

    /// Confirms a grant whose row is written. `None`: the seat was lost meanwhile, its row is closed, and it is worth another try.
    async fn confirmed(
        &self,
        request: &NewSession<'_>,
        grant: Grant,
        wait: &mut RestoreWait,
    ) -> Result<Option<AcquireOutcome>, Problem> {
        loop {
            match self.confirm(request.license, &grant).await? {
                ConfirmOutcome::Held(expires_ms) => {
                    return Ok(Some(AcquireOutcome::Seat(Grant { expires_ms, ..grant })));
                }
                // The row is committed, so that the restore brings it back.
                ConfirmOutcome::Cold => self.restore(request.tenant, request.license, wait).await?,
                ConfirmOutcome::Inactive(state) => return Ok(Some(AcquireOutcome::Inactive(state))),
                ConfirmOutcome::Lost => {
                    self.close(request.tenant, request.license, grant.session, EndedReason::Expired).await?;
                    return Ok(None);
                }
            }
        }
    }

    /// Writes the row of a grant and closes those of the sessions it replaces, in one transaction and one round trip.
    ///
    /// # Errors
    /// `503` when Postgres doesn't answer: the row may be there, and the holder's next acquire finds it.
    pub async fn open(&self, request: &NewSession<'_>, grant: &Grant) -> Result<OpenOutcome, Problem> {
        let license = request.license.as_uuid();
        let columns = Columns::of(&grant.gone);
        let expire = columns.parameters(&license, &grant.generation, &grant.revision);
        let _opening = self.lock_opening().await;
        let mut tx = self.db.tenant("session_open", request.tenant).await?;
        if let Some(in_use) = self.open_sessions_if_full(&mut tx, license, grant, &expire).await? {
            // Before the lock is released: a moment later another request of this holder may open it, and get it confirmed.
            self.release_in_redis(request.license, &[grant.session]).await?;
            tx.commit().await?;
            return Ok(OpenOutcome::InstallationFull(in_use));
        }
        if let Some(seatless) = request.seatless
            && self.is_elsewhere(&mut tx, request, grant, seatless).await?
        {
            self.release_in_redis(request.license, &[grant.session]).await?;
            tx.commit().await?;
            return Ok(OpenOutcome::Elsewhere);
        }
        let (session, instance) = (grant.session.as_uuid(), request.instance.as_uuid());
        let (user, hardware) = (request.user.map(|u| u.as_uuid()), request.hardware.as_str());
        let lock: Query<'_> = (queries::LOCK_SHARED, &[&license]);
        let join: Query<'_> = (queries::SESSION_JOIN, &[&session, &license, &instance]);
        let open: Query<'_> = (
            queries::SESSION_OPEN,
            &[
                &license,
                &session,
                &grant.generation,
                &grant.revision,
                &user,
                &request.holder,
                &hardware,
                &request.hostname,
                &request.version,
                &grant.number,
                &grant.seat,
                &instance,
            ],
        );
        let found: Query<'_> = (queries::SESSION_IS_OPEN, &[&license, &grant.generation, &grant.revision, &session]);
        let mut all = vec![lock, (queries::SESSIONS_EXPIRE, &expire[..]), open];
        // The first instance was written with the row.
        if !grant.new {
            all.push(join);
        }
        all.push(found);
        let answers = tx.finish_all(&all).await?;
        Ok(OpenOutcome::from_rows(answers.last().map_or(&[], Vec::as_slice)))
    }

    /// Closes the holder's rows without a seat, and returns true if the holder has an open session of another license. Until
    /// the transaction ends, no other request of the holder that asks this opens one.
    async fn is_elsewhere(
        &self,
        tx: &mut TenantTx<'_>,
        request: &NewSession<'_>,
        grant: &Grant,
        seatless: &[Uuid],
    ) -> Result<bool, Problem> {
        let [_, _, found] = tx
            .run([
                (queries::HOLDER_LOCK, &[&request.holder]),
                (queries::SESSIONS_SEATLESS, &[&seatless, &request.holder]),
                (queries::SESSION_ELSEWHERE, &[&request.license.as_uuid(), &request.holder, &grant.session.as_uuid()]),
            ])
            .await?;
        Ok(!found.is_empty())
    }

    /// Ends a session for good: its row first, then its seat, so that a crash between leaves at worst a seat that is unused
    /// until it expires. Ending an ended session changes nothing.
    ///
    /// # Errors
    /// `503` when Postgres or Redis don't answer; ending it again is safe.
    pub async fn close(
        &self,
        tenant: TenantId,
        license: LicenseId,
        session: SessionId,
        reason: EndedReason,
    ) -> Result<(), Problem> {
        let tx = self.db.tenant("session_close", tenant).await?;
        tx.finish([(queries::SESSION_CLOSE, &[&session.as_uuid(), &reason.as_str()])]).await?;
        self.release_in_redis(license, &[session]).await
    }

    /// Returns why a session holds no seat; `None` when the tenant has no such session of this license, or not of this subject.
    ///
    /// # Errors
    /// `503` when Postgres doesn't answer.
    pub async fn end_reason(
        &self,
        tenant: TenantId,
        license: LicenseId,
        session: SessionId,
        subject: Option<Uuid>,
    ) -> Result<Option<EndedReason>, Problem> {
        let tx = self.db.tenant("session_end", tenant).await?;
        let [rows] = tx
            .finish([(
                queries::SESSION_END,
                &[&session.as_uuid(), &license.as_uuid(), &subject.map(|s| s.to_string())],
            )])
            .await?;
        // A row that is still open belongs to a seat that was not passed on yet: its session expired, and nothing else ended
        // it.
        let reason = |word: Option<&str>| word.and_then(|w| w.parse().ok()).unwrap_or(EndedReason::Expired);
        Ok(rows.first().map(|row| reason(row.get(0))))
    }

    /// Returns true if a session that Redis doesn't know is open and was opened under a later generation than Redis has: a
    /// restore came so late that it filled a Redis which had been lost once more since.
    pub(crate) async fn overlooked(
        &self,
        tenant: TenantId,
        session: SessionId,
        generation: i64,
    ) -> Result<bool, Problem> {
        let tx = self.db.tenant("session_overlooked", tenant).await?;
        let [rows] = tx.finish([(queries::SESSION_OVERLOOKED, &[&session.as_uuid(), &generation])]).await?;
        Ok(!rows.is_empty())
    }

    async fn read_terms(&self, tenant: TenantId, license: LicenseId) -> Result<Terms, Problem> {
        let tx = self.db.tenant("seat_terms", tenant).await?;
        let [rows] = tx.finish([(queries::TERMS, &[&license.as_uuid()])]).await?;
        let row = rows.first().ok_or_else(|| Problem::not_found("license"))?;
        Ok(Terms::from_row(row))
    }
}
