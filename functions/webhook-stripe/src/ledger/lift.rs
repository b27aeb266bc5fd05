//! An operator lifts what billing holds back.

use common::Problem;
use jiff::Timestamp;
use protocol::id::{LicenseId, TenantId};
use uuid::Uuid;

use super::{Ledger, Owner};
use crate::change::{Cause, Change};
use crate::queries;

/// Outcome of lifting a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lifted {
    /// These charges and disputes hold the license back no more, until Stripe's next fact about them.
    Holds(Vec<String>),
    /// No refund or dispute holds it back.
    Nothing,
    /// It follows no subscription.
    Unbilled,
    /// The license can't follow.
    Unfit(String),
}

impl Ledger {
    /// Lifts what refunds and disputes hold back of a license: facts, license, audit log and outbox in one transaction.
    ///
    /// # Errors
    /// When Postgres doesn't answer.
    pub async fn lift(&self, tenant: TenantId, license: LicenseId, actor: &str) -> Result<Lifted, Problem> {
        let mut tx = self.db.tenant("stripe_lift", tenant).await?;
        let [rows] = tx.run([(queries::SUBSCRIPTION_OF_LICENSE, &[&license.as_uuid()])]).await?;
        let Some(row) = rows.first() else { return Ok(Lifted::Unbilled) };
        let subscription: String = row.get(0);
        let owner = Owner::known(tenant, row.get(1), Some(subscription.clone()));
        let id = format!("lift_{}", Uuid::now_v7().simple());
        let at = Timestamp::now().as_second();
        let cause = Cause { id: &id, kind: "license resume --billing", at, livemode: row.get(2), actor };
        let loaded = Change::load(&mut tx, (queries::TENANT, &[]), cause, &owner).await?;
        let Some(mut change) = loaded else { return Ok(Lifted::Unbilled) };
        let lifted = change.lift(&subscription);
        if lifted.is_empty() {
            return Ok(Lifted::Nothing);
        }
        change.audit_lift(license, &lifted);
        match change.finish(self, tx).await? {
            Ok(changed) => {
                changed.tell(self).await;
                Ok(Lifted::Holds(lifted))
            }
            Err(unfit) => Ok(Lifted::Unfit(unfit)),
        }
    }
}
