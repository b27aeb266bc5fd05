//! Stripe's events, stored and applied.
//!
//! An event whose tenant is known is written and applied in one transaction. One whose tenant isn't waits for the ids it names.
//! The request that makes an id known looks for waiting events after its commit, and the one that waits looks for an owner
//! after its own, so that of two that happen at once one always sees the other.

pub mod lift;
mod owner;
mod recheck;
mod reconcile;
mod stripe_lookup;

use common::license_key::KeyHasher;
use common::postgres::Query;
use common::{Db, LogEvent, Problem, Setup, request};
use jiff::Timestamp;
use protocol::problem::Code;
use seats::Seats;
use serde::Serialize;
use stripe::api::Api;
use stripe::event::{Event, EventKind, ParsedEvent, ParsedInvoice, Unreadable};
use stripe::facts::KnownState;

pub(crate) use owner::Owner;
pub use reconcile::Difference;
use stripe_lookup::{FetchedSubscription, StripeLookup, is_about_payment};

use crate::customer_update::{CommittedUpdate, CustomerUpdate};
use crate::queries;

/// Maximum number of attempts to apply an event: another is made when its customer got an owner meanwhile, or after a request
/// to Stripe.
const ATTEMPTS: usize = 6;
/// Maximum number of times that an event's subscription is fetched from Stripe, while other events overtake the answers.
const FETCHES: usize = 3;

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

    fn emit(self, event: &Event) -> Self {
        let lag = Timestamp::now().as_millisecond() - event.created.saturating_mul(1000);
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of some years fit")]
        let lag_seconds = lag.max(0) as f64 / 1000.0;
        LogEvent::StripeEvent { kind: &event.kind, outcome: self.as_str(), lag_seconds }.emit();
        self
    }
}

/// The store of events, and the clients of what they update.
#[derive(Debug, Clone)]
pub struct EventStore {
    pub(crate) db: Db,
    pub(crate) seats: Seats,
    pub(crate) hasher: KeyHasher,
    api: Option<Api>,
}

/// An event that is to be applied or stored.
struct PendingEvent<'a> {
    event: &'a Event,
    parsed: ParsedEvent,
    /// The invoice of a refund or dispute, fetched from Stripe.
    invoice: Option<ParsedInvoice>,
    body: &'a [u8],
    /// True if the event is stored already, waiting or failed.
    is_stored: bool,
}

/// Result of an attempt to apply an event.
enum ApplyOutcome {
    Applied(CommittedUpdate),
    /// Another request applied it.
    Known,
    /// The customer has got an owner meanwhile.
    OwnerChanged,
    /// This subscription has to be fetched from Stripe. Its known state is this one.
    NeedsSubscription(String, KnownState),
    /// The invoice of the payment has to be fetched from Stripe.
    NeedsInvoice,
    /// No known id decides the tenant or the subscription.
    Unowned,
    /// The event can't be applied.
    Failed(String),
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

    /// Receives an event whose signature was verified. It is durable when this succeeds.
    ///
    /// # Errors
    /// `503` when it could not be stored.
    pub async fn receive(&self, event: &Event, body: &[u8]) -> Result<Outcome, Problem> {
        self.process_and_log(event, body, false).await
    }

    /// Stores a body with a valid signature that can't be read, or is a thin event.
    ///
    /// # Errors
    /// `503` when it could not be stored.
    pub async fn store_unreadable(&self, event: &Unreadable, body: &[u8]) -> Result<Outcome, Problem> {
        let (state, outcome) = if event.is_thin { ("ignored", Outcome::Ignored) } else { ("failed", Outcome::Failed) };
        tracing::warn!(event = event.id, error = event.reason, "a Stripe event could not be read");
        let row: Query<'_> = (
            queries::EVENT_KEEP,
            &[
                &event.id,
                &event.livemode,
                &event.kind,
                &event.created,
                &body,
                &state,
                &&[][..] as &&[&str],
                &Some(&event.reason),
            ],
        );
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
                Ok(event) => self.process_and_log(&event, &body, true).await?,
                Err(_) => Outcome::Failed,
            };
            outcomes.push((id, outcome));
        }
        Ok(outcomes)
    }

    async fn process_and_log(&self, event: &Event, body: &[u8], is_stored: bool) -> Result<Outcome, Problem> {
        self.process(event, body, is_stored).await.map(|outcome| outcome.emit(event))
    }

    async fn process(&self, event: &Event, body: &[u8], is_stored: bool) -> Result<Outcome, Problem> {
        let parsed = match event.parse_object() {
            Ok(Some(parsed)) => parsed,
            Ok(None) => return Ok(Outcome::Ignored),
            Err(malformed) => return self.store_failed(event, body, &malformed.to_string()).await,
        };
        if let Some(mode) = self.api.as_ref().and_then(Api::livemode).filter(|mode| *mode != event.livemode) {
            let error = format!("This deployment takes {} events only.", if mode { "live" } else { "test" });
            return self.store_ignored(event, body, &error).await;
        }
        let mut stripe_lookup = StripeLookup::new(self.api.as_ref());
        let pending = PendingEvent { event, parsed, invoice: None, body, is_stored };
        let (outcome, mut new_ids) = self.apply_or_store(pending, &mut stripe_lookup).await?;
        // Ids that this event made known may be those that others wait for; and in turn the ids that those make known.
        while !new_ids.is_empty() {
            new_ids = self.apply_waiting(&new_ids, &mut stripe_lookup).await?;
        }
        Ok(outcome)
    }

    /// Applies the events that wait for one of these ids; returns the ids that they made known.
    async fn apply_waiting(
        &self,
        ids: &[String],
        stripe_lookup: &mut StripeLookup<'_>,
    ) -> Result<Vec<String>, Problem> {
        let (mut new_ids, mut behind) = (Vec::new(), None::<String>);
        loop {
            let waiting = self.db.outside_tenants((queries::EVENTS_WAITING, &[&ids, &behind])).await?;
            let Some(last) = waiting.last() else { return Ok(new_ids) };
            behind = Some(last.get(0));
            for row in waiting {
                let body: Vec<u8> = row.get(1);
                let Ok(event) = Event::parse(&body) else { continue };
                let Ok(Some(parsed)) = event.parse_object() else { continue };
                let pending = PendingEvent { event: &event, parsed, invoice: None, body: &body, is_stored: true };
                // The event that it waited for is durable: one that fails now is retried by the sweep.
                if let Ok((outcome, ids)) = self.apply_or_store(pending, stripe_lookup).await {
                    outcome.emit(&event);
                    new_ids.extend(ids);
                }
            }
        }
    }

    /// Applies an event or stores it; returns also the ids that it made known.
    async fn apply_or_store(
        &self,
        mut pending: PendingEvent<'_>,
        stripe_lookup: &mut StripeLookup<'_>,
    ) -> Result<(Outcome, Vec<String>), Problem> {
        let (mut fetched, mut has_fetched_invoice, mut has_waited) = (Vec::new(), false, false);
        for _ in 0..ATTEMPTS {
            let owner = self.owner_of(&pending).await?;
            owner.iter().for_each(|owner| request::set_tenant(owner.tenant));
            let is_guess = owner.as_ref().is_none_or(|owner| owner.subscription.is_none());
            if is_guess && is_about_payment(&pending.parsed) && !has_fetched_invoice {
                has_fetched_invoice = true;
                if !pending.fetch_invoice(stripe_lookup).await {
                    return self.ignore_payment(&pending).await;
                }
                if pending.parsed.subscription.is_some() {
                    continue;
                }
            }
            let applied = match owner {
                Some(owner) => self.apply(&pending, &owner, &fetched, stripe_lookup, has_fetched_invoice).await,
                None => Ok(ApplyOutcome::Unowned),
            };
            match applied {
                // A mistake of ours or of the data: trying again at once doesn't help, an operator does.
                Err(problem) if problem.code() == Code::Internal => {
                    let error = problem.internal().unwrap_or_default();
                    return Ok((self.store_failed(pending.event, pending.body, error).await?, Vec::new()));
                }
                Err(problem) => return Err(problem),
                Ok(ApplyOutcome::Applied(update)) => {
                    update.publish(self).await;
                    return Ok((Outcome::Applied, if update.has_new_ids { pending.ids() } else { Vec::new() }));
                }
                Ok(ApplyOutcome::Known) => return Ok((self.stored_outcome(pending.event).await?, Vec::new())),
                Ok(ApplyOutcome::OwnerChanged) => {}
                Ok(ApplyOutcome::NeedsSubscription(subscription, known)) => {
                    let answer = stripe_lookup.subscription(&subscription).await;
                    fetched.push(FetchedSubscription { subscription, known, answer });
                }
                Ok(ApplyOutcome::NeedsInvoice) => {
                    has_fetched_invoice = true;
                    if !pending.fetch_invoice(stripe_lookup).await {
                        return self.ignore_payment(&pending).await;
                    }
                }
                Ok(ApplyOutcome::Unowned) => {
                    if has_waited {
                        return Ok((Outcome::Waiting, Vec::new()));
                    }
                    self.store(pending.event, pending.body, "waiting", &pending.parsed.ids(), None).await?;
                    (has_waited, pending.is_stored) = (true, true);
                }
                Ok(ApplyOutcome::Failed(error)) => {
                    return Ok((self.store_failed(pending.event, pending.body, &error).await?, Vec::new()));
                }
            }
        }
        Err(Problem::unavailable("stripe events", "the event was overtaken again and again"))
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

    async fn ignore_payment(&self, pending: &PendingEvent<'_>) -> Result<(Outcome, Vec<String>), Problem> {
        let error = "The payment was for no subscription.";
        Ok((self.store_ignored(pending.event, pending.body, error).await?, Vec::new()))
    }

    /// Applies an event in one transaction, with its effects.
    async fn apply(
        &self,
        pending: &PendingEvent<'_>,
        owner: &Owner,
        fetched: &[FetchedSubscription],
        stripe_lookup: &StripeLookup<'_>,
        has_fetched_invoice: bool,
    ) -> Result<ApplyOutcome, Problem> {
        let event = pending.event;
        let mut tx = self.db.tenant("stripe_apply", owner.tenant).await?;
        let stored: Query<'_> = (queries::EVENT_APPLY_KEPT, &[&event.id]);
        let new: Query<'_> =
            (queries::EVENT_APPLY, &[&event.id, &event.livemode, &event.kind, &event.created, &pending.body]);
        let first = if pending.is_stored { stored } else { new };
        let Some(mut update) = CustomerUpdate::load(&mut tx, first, event, owner).await? else {
            return Ok(ApplyOutcome::Known);
        };
        if owner.is_new_customer && self.has_owner(&mut tx, event, owner).await? {
            return Ok(ApplyOutcome::OwnerChanged);
        }
        if let EventKind::Customer { contact, deleted } = &pending.parsed.kind {
            update.merge_contact(contact, *deleted);
        } else if let Some(subscription) = update.subscription() {
            let known = update.state_of(&subscription);
            let is_certain = update.merge_event(&subscription, &pending.parsed, pending.invoice.as_ref());
            let is_certain = is_certain && !update.is_incomplete(&subscription);
            if !has_fetched_invoice && stripe_lookup.is_available() && update.lacks_invoice(&subscription) {
                return Ok(ApplyOutcome::NeedsInvoice);
            }
            match fetched.last().filter(|fetched| fetched.subscription == subscription) {
                Some(FetchedSubscription { answer: Ok(Some(snapshot)), known: then, .. }) if known == *then => {
                    update.merge_fetched(&subscription, snapshot.clone());
                }
                // Stripe has no such subscription: another request would give the same answer.
                Some(FetchedSubscription { answer: Ok(None), .. }) => {}
                _ if is_certain => {}
                _ if stripe_lookup.is_available() && fetched.len() < FETCHES => {
                    return Ok(ApplyOutcome::NeedsSubscription(subscription, known));
                }
                // Stripe is not available: the rule of order decides, until the subscription is compared with Stripe.
                _ => update.mark_for_recheck(&subscription),
            }
        } else {
            return Ok(ApplyOutcome::Unowned);
        }
        Ok(update.finish(self, tx).await?.map_or_else(ApplyOutcome::Failed, ApplyOutcome::Applied))
    }

    async fn store_failed(&self, event: &Event, body: &[u8], error: &str) -> Result<Outcome, Problem> {
        self.store(event, body, "failed", &[], Some(error)).await?;
        tracing::warn!(event = event.id, error, "a Stripe event could not be applied");
        Ok(Outcome::Failed)
    }

    async fn store_ignored(&self, event: &Event, body: &[u8], why: &str) -> Result<Outcome, Problem> {
        self.store(event, body, "ignored", &[], Some(why)).await?;
        Ok(Outcome::Ignored)
    }

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
}

impl PendingEvent<'_> {
    /// Returns every id that the event, or the invoice of its payment, names.
    fn ids(&self) -> Vec<String> {
        let fetched = self.invoice.iter().flat_map(|invoice| invoice.payments.iter().chain([&invoice.id]));
        self.parsed.ids().into_iter().chain(fetched.cloned()).collect()
    }

    /// Fetches the invoice of a refunded or disputed payment from Stripe. Returns false if it was for no subscription.
    async fn fetch_invoice(&mut self, stripe_lookup: &mut StripeLookup<'_>) -> bool {
        // Without an answer, the known state decides.
        let Ok(found) = stripe_lookup.invoice_of_payment(&self.parsed).await else { return true };
        let Some(subscription) = found.as_ref().and_then(|found| found.subscription.clone()) else { return false };
        self.parsed.subscription = Some(subscription);
        self.invoice = found;
        true
    }
}
