//! Compares subscriptions with Stripe whose state events alone could not decide.

use common::Problem;
use common::postgres::Query;
use protocol::problem::Code;
use stripe::event::Event;

use super::stripe_lookup::{Lookup, StripeLookup};
use super::{EventStore, Outcome};
use crate::customer_update::CustomerUpdate;
use crate::customer_update::commit::CommitOutcome;
use crate::owner::Owner;
use crate::queries;

impl EventStore {
    /// Compares the subscriptions of marked events with Stripe; returns the ids of these events and the outcomes.
    ///
    /// # Errors
    /// When Postgres doesn't answer.
    pub async fn recheck(&self, only: Option<&str>) -> Result<Vec<(String, Outcome)>, Problem> {
        let mut outcomes = Vec::new();
        if self.api.is_none() {
            return Ok(outcomes);
        }
        let mut lookup = StripeLookup::new(self.api.as_ref());
        for row in self.db.outside_tenants((queries::EVENTS_RECHECK, &[&only])).await? {
            let (id, body, subscription): (String, Vec<u8>, String) = (row.get(0), row.get(1), row.get(2));
            let outcome = match Event::parse(&body) {
                Ok(event) => self.compare(&event, &subscription, &mut lookup).await,
                Err(_) => Ok(Outcome::Failed),
            };
            match outcome {
                // One that can't be compared must not prevent the comparison of those behind it.
                Err(problem) if problem.code() == Code::Internal => outcomes.push((id, Outcome::Failed)),
                outcome => outcomes.push((id, outcome?)),
            }
        }
        Ok(outcomes)
    }

    async fn compare(
        &self,
        event: &Event,
        subscription: &str,
        lookup: &mut StripeLookup<'_>,
    ) -> Result<Outcome, Problem> {
        if !lookup.is_available() {
            return Ok(Outcome::Waiting);
        }
        let Some(owner) = Owner::of_subscription(&self.db, subscription, event.livemode).await? else {
            return Ok(Outcome::Failed);
        };
        let unmarked: Query<'_> = (queries::EVENT_RECHECK, &[&event.id, &None::<&str>]);
        let mut tx = self.db.tenant("stripe_known", owner.tenant).await?;
        let Some(before) = CustomerUpdate::load(&mut tx, unmarked, event, &owner).await? else {
            return Ok(Outcome::Known);
        };
        drop(tx);
        let snapshot = match lookup.subscription(subscription).await {
            Lookup::Found(snapshot) => snapshot,
            Lookup::Missing => {
                self.db.outside_tenants(unmarked).await?;
                return Ok(Outcome::Known);
            }
            Lookup::Unavailable => return Ok(Outcome::Waiting),
        };
        let mut tx = self.db.tenant("stripe_compare", owner.tenant).await?;
        let Some(mut update) = CustomerUpdate::load(&mut tx, unmarked, event, &owner).await? else {
            return Ok(Outcome::Known);
        };
        if update.state_of(subscription) != before.state_of(subscription) {
            return Ok(Outcome::Waiting);
        }
        update.merge_fetched(subscription, snapshot);
        match update.commit(&self.hasher, tx).await? {
            CommitOutcome::Committed(update) => {
                update.publish(&self.db, &self.seats).await;
                Ok(Outcome::Applied)
            }
            CommitOutcome::Rejected(_) => Ok(Outcome::Failed),
        }
    }
}
