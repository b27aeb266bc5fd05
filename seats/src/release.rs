//! Releases sessions.
//!
//! An instance leaves its session in Redis; after the last one the session has expired there, and is joined no more.
//! Then its row is closed, unless the license was restored meanwhile, which brings the session back, perhaps for an
//! instance that has joined it since. Then the seat falls free.

use common::Problem;
use protocol::id::{InstanceId, LicenseId, SessionId, TenantId};
use uuid::Uuid;

use crate::restore::RestoreWait;
use crate::{LEAVE, LeaveOutcome, Seats, invocation, queries};

/// Request of an instance to release its session.
#[derive(Debug, Clone, Copy)]
pub struct LeaveRequest {
    /// The license's tenant.
    pub tenant: TenantId,
    /// The license.
    pub license: LicenseId,
    /// The session.
    pub session: SessionId,
    /// The session's required subject, unless the session itself asks.
    pub subject: Option<Uuid>,
    /// The instance among those that share it; [`crate::UNNAMED`] where none is named.
    pub instance: InstanceId,
}

/// Outcome of closing the row of a session that its last instance has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseOutcome {
    /// It is closed, now or since before.
    Closed,
    /// The license was restored since the last one left. Nothing was written.
    Overtaken,
    /// The subject has no such session.
    Missing,
}

impl Seats {
    /// Releases a session for one of its instances. Returns true if the subject has such a session, ended or not.
    ///
    /// # Errors
    /// `503` when Postgres or Redis don't answer; releasing it again is safe.
    pub async fn release(&self, request: &LeaveRequest) -> Result<bool, Problem> {
        let mut wait = RestoreWait::new();
        loop {
            let generation = match self.leave(request).await? {
                LeaveOutcome::Cold => {
                    self.restore(request.tenant, request.license, &mut wait).await?;
                    continue;
                }
                LeaveOutcome::Kept => return Ok(true),
                LeaveOutcome::Last(generation) | LeaveOutcome::Unknown(generation) => generation,
            };
            match self.close_released(request, generation).await? {
                CloseOutcome::Closed => {
                    self.release_in_redis(request.license, &[request.session]).await?;
                    return Ok(true);
                }
                CloseOutcome::Overtaken => self.restore(request.tenant, request.license, &mut wait).await?,
                CloseOutcome::Missing => return Ok(false),
            }
        }
    }

    /// Takes an instance away from the session that it shares: the first step of [`Seats::release`].
    ///
    /// # Errors
    /// `503` when Redis doesn't answer.
    pub async fn leave(&self, request: &LeaveRequest) -> Result<LeaveOutcome, Problem> {
        let mut script = invocation(&LEAVE, request.license);
        script.arg(request.session.to_string());
        script.arg(request.subject.map(|s| s.to_string()).unwrap_or_default()).arg(request.instance.to_string());
        LeaveOutcome::parse(&self.redis.run::<Vec<String>>("seat_leave", &script).await?)
    }

    /// Closes the row of a session that the last instance has left under a generation.
    ///
    /// # Errors
    /// `503` when Postgres doesn't answer.
    pub async fn close_released(&self, request: &LeaveRequest, generation: i64) -> Result<CloseOutcome, Problem> {
        let (session, license) = (request.session.as_uuid(), request.license.as_uuid());
        let subject = request.subject.map(|s| s.to_string());
        let tx = self.db.tenant("session_release", request.tenant).await?;
        let [_, rows] = tx
            .finish([
                (queries::LOCK_SHARED, &[&license]),
                (queries::SESSION_RELEASE, &[&session, &license, &subject, &generation]),
            ])
            .await?;
        Ok(match rows.first().map(|row| row.get(0)) {
            Some(true) => CloseOutcome::Closed,
            Some(false) => CloseOutcome::Overtaken,
            None => CloseOutcome::Missing,
        })
    }
}
