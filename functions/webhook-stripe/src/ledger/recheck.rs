//! Compares with Stripe, later, the subscriptions that events alone could not decide.

use common::Problem;
use common::postgres::Query;
use protocol::problem::Code;
use stripe::event::Event;

use super::oracle::Oracle;
use super::{Ledger, Outcome};
use crate::change::Change;
use crate::queries;

impl Ledger {
    /// Compares with Stripe what events alone could not decide; answers the ids of the events that made it necessary.
    ///
    /// # Errors
    /// When Postgres doesn't answer.
    pub async fn recheck(&self, only: Option<&str>) -> Result<Vec<(String, Outcome)>, Problem> {
        let mut outcomes = Vec::new();
        if self.api.is_none() {
            return Ok(outcomes);
        }
        let mut oracle = Oracle::new(self.api.as_ref());
        for row in self.db.outside_tenants((queries::EVENTS_RECHECK, &[&only])).await? {
            let (id, body, subscription): (String, Vec<u8>, String) = (row.get(0), row.get(1), row.get(2));
            let compared = match Event::parse(&body) {
                Ok(event) => self.compare(&event, &subscription, &mut oracle).await,
                Err(_) => Ok(Outcome::Failed),
            };
            match compared {
                // One that can't be compared must not keep those behind it.
                Err(problem) if problem.code() == Code::Internal => outcomes.push((id, Outcome::Failed)),
                compared => outcomes.push((id, compared?)),
            }
        }
        Ok(outcomes)
    }

    async fn compare(&self, event: &Event, subscription: &str, oracle: &mut Oracle<'_>) -> Result<Outcome, Problem> {
        if !oracle.can_be_asked() {
            return Ok(Outcome::Waiting);
        }
        let Some(owner) = self.owner(event.livemode, subscription).await? else {
            return Ok(Outcome::Failed);
        };
        let compared: Query<'_> = (queries::EVENT_RECHECK, &[&event.id, &None::<&str>]);
        let mut tx = self.db.tenant("stripe_known", owner.tenant).await?;
        let Some(before) = Change::load(&mut tx, compared, event, &owner).await? else { return Ok(Outcome::Known) };
        drop(tx);
        let answer = match oracle.subscription(subscription).await {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                self.db.outside_tenants(compared).await?;
                return Ok(Outcome::Known);
            }
            Err(_) => return Ok(Outcome::Waiting),
        };
        let mut tx = self.db.tenant("stripe_compare", owner.tenant).await?;
        let Some(mut change) = Change::load(&mut tx, compared, event, &owner).await? else { return Ok(Outcome::Known) };
        if change.state_of(subscription) != before.state_of(subscription) {
            return Ok(Outcome::Waiting);
        }
        change.learn_answer(subscription, answer);
        match change.finish(self, tx).await? {
            Ok(changed) => {
                changed.tell(self).await;
                Ok(Outcome::Applied)
            }
            Err(_) => Ok(Outcome::Failed),
        }
    }
}
