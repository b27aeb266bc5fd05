//! Lifting of billing's holds by an operator.

use common::Problem;
use jiff::Timestamp;
use protocol::id::{LicenseId, TenantId};
use uuid::Uuid;

use super::EventStore;
use crate::customer_update::commit::CommitOutcome;
use crate::customer_update::{Cause, CustomerUpdate};
use crate::owner::Owner;
use crate::queries;

/// Outcome of lifting a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiftOutcome {
    /// These charges and disputes hold the license back no more, until Stripe's next fact about them.
    Lifted(Vec<String>),
    /// No refund or dispute holds it back.
    NoHold,
    /// It follows no subscription.
    NoSubscription,
    /// No license can be derived from the subscription's items.
    Rejected(String),
}

impl EventStore {
    /// Lifts the holds of refunds and disputes on a license: facts, license, audit log and outbox in one transaction.
    ///
    /// # Errors
    /// When Postgres doesn't answer.
    pub async fn lift(&self, tenant: TenantId, license: LicenseId, actor: &str) -> Result<LiftOutcome, Problem> {
        let mut tx = self.db.tenant("stripe_lift", tenant).await?;
        let [rows] = tx.run([(queries::SUBSCRIPTION_OF_LICENSE, &[&license.as_uuid()])]).await?;
        let Some(row) = rows.first() else { return Ok(LiftOutcome::NoSubscription) };
        let subscription: String = row.get(0);
        let owner = Owner::known(tenant, row.get(1), Some(subscription.clone()));
        let id = format!("lift_{}", Uuid::now_v7().simple());
        let at = Timestamp::now().as_second();
        let cause = Cause { id: &id, kind: "license resume --billing", at, livemode: row.get(2), actor };
        let loaded = CustomerUpdate::load(&mut tx, (queries::TENANT, &[]), cause, &owner).await?;
        let Some(mut update) = loaded else { return Ok(LiftOutcome::NoSubscription) };
        let lifted = update.lift(&subscription);
        if lifted.is_empty() {
            return Ok(LiftOutcome::NoHold);
        }
        update.audit_lift(license, &lifted);
        match update.commit(&self.hasher, tx).await? {
            CommitOutcome::Committed(update) => {
                update.publish(&self.db, &self.seats).await;
                Ok(LiftOutcome::Lifted(lifted))
            }
            CommitOutcome::Rejected(error) => Ok(LiftOutcome::Rejected(error)),
        }
    }
}
