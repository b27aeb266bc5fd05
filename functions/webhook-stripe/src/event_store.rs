//! The store of Stripe's events. Its requests are in the modules `receive`, `recheck`, `reconcile` and `lift`.
//!
//! An event whose tenant is known is stored and applied in one transaction (`process`). One whose tenant isn't known is stored
//! until one of the ids that it names is known.

pub mod lift;
mod process;
mod receive;
mod recheck;
pub mod reconcile;
mod stripe_lookup;

use common::license_key::KeyHasher;
use common::postgres::Query;
use common::{Db, LogEvent, Problem, Setup};
use jiff::Timestamp;
use seats::Seats;
use serde::Serialize;
use stripe::api::Api;
use stripe::event::Event;

use crate::queries;

/// Outcome of receiving an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The event was applied now.
    Applied,
    /// The event was kept before.
    Known,
    /// The event is kept until the tenant that it belongs to is known.
    Waiting,
    /// The event is kept with its error.
    Failed,
    /// The event is of a kind, or of a mode, that this deployment doesn't handle.
    Ignored,
}

impl Outcome {
    /// Returns the outcome's name in answers and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Known => "known",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::Ignored => "ignored",
        }
    }

    /// Logs an event with this outcome.
    fn logged(self, event: &Event) -> Self {
        let lag = Timestamp::now().as_millisecond() - event.created.saturating_mul(1000);
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of some years fit")]
        let lag_seconds = lag.max(0) as f64 / 1000.0;
        LogEvent::StripeEvent { kind: &event.kind, outcome: self.as_str(), lag_seconds }.emit();
        self
    }
}

/// The store of events, and the clients of what they change.
#[derive(Debug, Clone)]
pub struct EventStore {
    db: Db,
    seats: Seats,
    hasher: KeyHasher,
    api: Option<Api>,
}

impl EventStore {
    /// Makes the store from the configuration; `None` where that has mistakes.
    pub fn from_setup(setup: &mut Setup) -> Option<Self> {
        let (db, seats, hasher, api) =
            (Db::from_setup(setup), Seats::from_setup(setup), KeyHasher::from_setup(setup), Api::from_setup(setup));
        Some(Self { db: db?, seats: seats?, hasher: hasher?, api: api? })
    }

    /// Returns the mode of the key of Stripe's API: true for live mode. `None` without a key that shows it.
    #[must_use]
    pub fn livemode(&self) -> Option<bool> {
        self.api.as_ref()?.livemode()
    }

    /// Stores an event that can't be applied, for an operator.
    async fn store_failed(&self, event: &Event, body: &[u8], error: &str) -> Result<Outcome, Problem> {
        self.store(event, body, "failed", &[], Some(error)).await?;
        tracing::warn!(event = event.id, error, "a Stripe event could not be applied");
        Ok(Outcome::Failed)
    }

    /// Stores an event that is not applied by intention.
    async fn store_ignored(&self, event: &Event, body: &[u8], reason: &str) -> Result<Outcome, Problem> {
        self.store(event, body, "ignored", &[], Some(reason)).await?;
        Ok(Outcome::Ignored)
    }

    /// Stores an event that was not applied.
    async fn store(
        &self,
        event: &Event,
        body: &[u8],
        state: &str,
        waits_for: &[String],
        error: Option<&str>,
    ) -> Result<(), Problem> {
        let row: Query<'_> = (
            queries::EVENT_KEEP,
            &[&event.id, &event.livemode, &event.kind, &event.created, &body, &state, &waits_for, &error],
        );
        self.db.outside_tenants(row).await.map(drop)
    }

    /// Returns the outcome of an event that was stored before.
    async fn stored_outcome(&self, event: &Event) -> Result<Outcome, Problem> {
        let rows = self.db.outside_tenants((queries::EVENT_STATE, &[&event.id])).await?;
        Ok(match rows.first().map(|row| row.get::<_, &str>(0)) {
            Some("waiting") => Outcome::Waiting,
            Some("failed") => Outcome::Failed,
            _ => Outcome::Known,
        })
    }
}
