//! Receipt of events, and another attempt to apply those that are stored.
//!
//! The request that makes an id known looks for waiting events after its commit, and the one that stores a waiting event looks
//! for its owner after that, so that of two that happen at once one always sees the other.

use common::Problem;
use common::postgres::Query;
use stripe::event::{Event, Unreadable};

use super::process::{PendingEvent, Storage};
use super::stripe_lookup::StripeLookup;
use super::{EventStore, Outcome};
use crate::queries;

impl EventStore {
    /// Receives an event whose signature was verified. It is durable when this succeeds.
    ///
    /// # Errors
    /// `503` when it could not be stored.
    pub async fn receive(&self, event: &Event, body: &[u8]) -> Result<Outcome, Problem> {
        Ok(self.process_with_waiting(event, body, Storage::New).await?.logged(event))
    }

    /// Stores a body with a valid signature that can't be read, or is a thin event.
    ///
    /// # Errors
    /// `503` when it could not be stored.
    pub async fn store_unreadable(&self, event: &Unreadable, body: &[u8]) -> Result<Outcome, Problem> {
        let (state, outcome) = if event.is_thin { ("ignored", Outcome::Ignored) } else { ("failed", Outcome::Failed) };
        let Unreadable { id, kind, created, livemode, reason, .. } = event;
        tracing::warn!(event = id, error = reason, "a Stripe event could not be read");
        let row: Query<'_> =
            (queries::EVENT_KEEP, &[id, livemode, kind, created, &body, &state, &&[][..] as &&[&str], &Some(reason)]);
        self.db.outside_tenants(row).await?;
        Ok(outcome)
    }

    /// Processes all events that are stored without being applied, or one of them, the oldest first; returns their ids and
    /// outcomes.
    ///
    /// # Errors
    /// When Postgres doesn't answer.
    pub async fn retry(&self, only: Option<&str>) -> Result<Vec<(String, Outcome)>, Problem> {
        let mut outcomes = Vec::new();
        for row in self.db.outside_tenants((queries::EVENTS_KEPT, &[&only])).await? {
            let (id, body): (String, Vec<u8>) = (row.get(0), row.get(1));
            let outcome = match Event::parse(&body) {
                Ok(event) => self.process_with_waiting(&event, &body, Storage::Stored).await?.logged(&event),
                Err(_) => Outcome::Failed,
            };
            outcomes.push((id, outcome));
        }
        Ok(outcomes)
    }

    /// Processes an event, and then those that waited for it.
    async fn process_with_waiting(&self, event: &Event, body: &[u8], storage: Storage) -> Result<Outcome, Problem> {
        let parsed = match event.parse_object() {
            Ok(Some(parsed)) => parsed,
            Ok(None) => return Ok(Outcome::Ignored),
            Err(malformed) => return self.store_failed(event, body, &malformed.to_string()).await,
        };
        if let Some(mode) = self.livemode().filter(|mode| *mode != event.livemode) {
            let reason = format!("This deployment takes {} events only.", if mode { "live" } else { "test" });
            return self.store_ignored(event, body, &reason).await;
        }
        let mut lookup = StripeLookup::new(self.api.as_ref());
        let mut pending = PendingEvent::new(event, body, parsed, storage);
        let outcome = self.process(&mut pending, &mut lookup).await?;
        let mut new_ids = pending.new_ids;
        // Others may wait for the ids that this event made known, and others again for those that they make known.
        while !new_ids.is_empty() {
            new_ids = self.process_waiting(&new_ids, &mut lookup).await?;
        }
        Ok(outcome)
    }

    /// Processes the events that wait for one of these ids; returns the ids that they made known.
    async fn process_waiting(&self, ids: &[String], lookup: &mut StripeLookup<'_>) -> Result<Vec<String>, Problem> {
        let (mut new_ids, mut behind) = (Vec::new(), None::<String>);
        loop {
            let waiting = self.db.outside_tenants((queries::EVENTS_WAITING, &[&ids, &behind])).await?;
            let Some(last) = waiting.last() else { return Ok(new_ids) };
            behind = Some(last.get(0));
            for row in waiting {
                let body: Vec<u8> = row.get(1);
                let Ok(event) = Event::parse(&body) else { continue };
                let Ok(Some(parsed)) = event.parse_object() else { continue };
                let mut pending = PendingEvent::new(&event, &body, parsed, Storage::Stored);
                // The event that it waited for is durable: one that fails now is retried by the sweep.
                if let Ok(outcome) = self.process(&mut pending, lookup).await {
                    outcome.logged(&event);
                    new_ids.extend(pending.new_ids);
                }
            }
        }
    }
}
