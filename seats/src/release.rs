//! A session that is given back.
//!
//! An instance leaves its session in Redis; after the last one the session has expired there, and is joined no more.
//! Then its row is closed, unless the license was restored meanwhile, which brings the session back, perhaps for an
//! instance that has joined it since. Then the seat falls free.

use common::Problem;
use protocol::id::{InstanceId, LicenseId, SessionId, TenantId};
use uuid::Uuid;

use crate::restore::Patience;
use crate::{LEAVE, Left, Seats, invocation, queries};

/// Request of an instance to give back its session.
#[derive(Debug, Clone, Copy)]
pub struct Leaving {
    /// The license's tenant.
    pub tenant: TenantId,
    /// The license.
    pub license: LicenseId,
    /// The session.
    pub session: SessionId,
    /// The session's required subject, unless the session itself asks.
    pub subject: Option<Uuid>,
    /// Which of those that share it; [`crate::UNNAMED`] where that is not said.
    pub instance: InstanceId,
}

/// Outcome of closing the row of a session that its last instance has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// It is closed, now or since before.
    Closed,
    /// The license was restored since the last one left. Nothing was written.
    Overtaken,
    /// The subject has no such session.
    Missing,
}

impl Seats {
    /// Gives a session back for one of its instances. The answer is whether the subject has such a session, ended or not.
    ///
    /// # Errors
    /// `503` when Postgres or Redis don't answer; giving it back again is safe.
    pub async fn release(&self, leaving: &Leaving) -> Result<bool, Problem> {
        let mut patience = Patience::new();
        loop {
            let generation = match self.leave(leaving).await? {
                Left::Cold => {
                    self.warm(leaving.tenant, leaving.license, &mut patience).await?;
                    continue;
                }
                Left::Kept => return Ok(true),
                Left::Last(generation) | Left::Unknown(generation) => generation,
            };
            match self.close_left(leaving, generation).await? {
                Closed::Closed => {
                    self.free(leaving.license, &[leaving.session]).await?;
                    return Ok(true);
                }
                Closed::Overtaken => self.warm(leaving.tenant, leaving.license, &mut patience).await?,
                Closed::Missing => return Ok(false),
            }
        }
    }

    /// Takes an instance away from the session that it shares: the first step of [`Seats::release`].
    ///
    /// # Errors
    /// `503` when Redis doesn't answer.
    pub async fn leave(&self, leaving: &Leaving) -> Result<Left, Problem> {
        let mut script = invocation(&LEAVE, leaving.license);
        script.arg(leaving.session.to_string());
        script.arg(leaving.subject.map(|s| s.to_string()).unwrap_or_default()).arg(leaving.instance.to_string());
        Left::parse(&self.redis.run::<Vec<String>>("seat_leave", &script).await?)
    }

    /// Closes the row of a session that the last instance has left under a generation.
    ///
    /// # Errors
    /// `503` when Postgres doesn't answer.
    pub async fn close_left(&self, leaving: &Leaving, generation: i64) -> Result<Closed, Problem> {
        let (session, license) = (leaving.session.as_uuid(), leaving.license.as_uuid());
        let subject = leaving.subject.map(|s| s.to_string());
        let tx = self.db.tenant("session_release", leaving.tenant).await?;
        let [_, rows] = tx
            .finish([
                (queries::LOCK_SHARED, &[&license]),
                (queries::SESSION_RELEASE, &[&session, &license, &subject, &generation]),
            ])
            .await?;
        Ok(match rows.first().map(|row| row.get(0)) {
            Some(true) => Closed::Closed,
            Some(false) => Closed::Overtaken,
            None => Closed::Missing,
        })
    }
}
