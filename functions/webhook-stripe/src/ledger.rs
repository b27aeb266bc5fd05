//! Stripe's events, kept and applied.
//!
//! An event whose tenant is known is written and applied in one transaction. One whose tenant isn't waits for the ids it names.
//! The request that makes an id known looks for waiting events after its commit, and the one that waits looks for an owner
//! after its own, so that of two that happen at once one always sees the other.

pub mod lift;
mod oracle;
mod ownership;
mod recheck;
mod reconcile;

use common::license_key::KeyHasher;
use common::postgres::Query;
use common::{Db, LogEvent, Problem, Setup, request};
use jiff::Timestamp;
use protocol::id::TenantId;
use protocol::problem::Code;
use seats::Seats;
use serde::Serialize;
use stripe::api::Api;
use stripe::event::{Event, InvoiceNews, Meaning, News, Unreadable};
use stripe::facts::State;

use oracle::{Asked, Oracle, is_about_payment};
pub use reconcile::Compared;

use crate::change::{Change, Changed};
use crate::queries;

/// Maximum number of times that an event may be overtaken (its customer got an owner meanwhile, Stripe had to be asked) before
/// it is given up for now.
const ATTEMPTS: usize = 6;
/// Maximum number of times that Stripe is asked about an event's subscription while other events overtake the answers.
const ASKS: usize = 3;

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

    fn told_of(self, event: &Event) -> Self {
        let lag = Timestamp::now().as_millisecond() - event.created.saturating_mul(1000);
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of some years fit")]
        let lag_seconds = lag.max(0) as f64 / 1000.0;
        LogEvent::StripeEvent { kind: &event.kind, outcome: self.as_str(), lag_seconds }.emit();
        self
    }
}

/// The store of events, and the clients of what they change.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub(crate) db: Db,
    pub(crate) seats: Seats,
    pub(crate) hasher: KeyHasher,
    api: Option<Api>,
}

/// Owner of an event.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) tenant: TenantId,
    pub(crate) customer: String,
    pub(crate) subscription: Option<String>,
    /// The tenant doesn't exist yet.
    pub(crate) is_new_tenant: bool,
    /// The customer isn't known yet.
    pub(crate) is_new_customer: bool,
}

impl Owner {
    /// An owner whose tenant and customer are known.
    pub(crate) fn known(tenant: TenantId, customer: String, subscription: Option<String>) -> Self {
        Self { tenant, customer, subscription, is_new_tenant: false, is_new_customer: false }
    }
}

/// An event on its way into the ledger.
struct Entry<'a> {
    event: &'a Event,
    meaning: Meaning,
    /// The invoice that Stripe says a refund or dispute is of.
    paid: Option<InvoiceNews>,
    body: &'a [u8],
    /// True if the event is in the ledger already, waiting or failed.
    kept: bool,
}

/// Result of an attempt to apply an event.
enum Tried {
    Applied(Changed),
    /// Another request applied it.
    Known,
    /// The customer has another owner by now.
    Moved,
    /// Stripe has to be asked about this subscription, of which this state is known.
    Ask(String, State),
    /// Stripe has to be asked which invoice a payment was for.
    AskPayment,
    /// No known id decides the tenant or the subscription.
    Homeless,
    /// The event can't be applied.
    Failed(String),
}

impl Ledger {
    /// Makes the ledger from the configuration; `None` where that has mistakes.
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

    /// Takes an event whose signature was checked. It is durable when this succeeds.
    ///
    /// # Errors
    /// `503` when it could not be kept.
    pub async fn receive(&self, event: &Event, body: &[u8]) -> Result<Outcome, Problem> {
        self.take(event, body, false).await
    }

    /// Keeps a rightly signed body that can't be read, or is of a sort that never concerns us.
    ///
    /// # Errors
    /// `503` when it could not be kept.
    pub async fn keep_unreadable(&self, of: &Unreadable, body: &[u8]) -> Result<Outcome, Problem> {
        let (state, outcome) = if of.is_foreign { ("ignored", Outcome::Ignored) } else { ("failed", Outcome::Failed) };
        tracing::warn!(event = of.id, error = of.why, "a Stripe event could not be read");
        let row: Query<'_> = (
            queries::EVENT_KEEP,
            &[&of.id, &of.livemode, &of.kind, &of.created, &body, &state, &&[][..] as &&[&str], &Some(&of.why)],
        );
        self.db.outside_tenants(row).await?;
        Ok(outcome)
    }

    /// Tries all that is kept but not applied, or one of it, the oldest first; answers ids with what became of them.
    ///
    /// # Errors
    /// When Postgres doesn't answer.
    pub async fn retry(&self, only: Option<&str>) -> Result<Vec<(String, Outcome)>, Problem> {
        let mut outcomes = Vec::new();
        for row in self.db.outside_tenants((queries::EVENTS_KEPT, &[&only])).await? {
            let (id, body): (String, Vec<u8>) = (row.get(0), row.get(1));
            let outcome = match Event::parse(&body) {
                Ok(event) => self.take(&event, &body, true).await?,
                Err(_) => Outcome::Failed,
            };
            outcomes.push((id, outcome));
        }
        Ok(outcomes)
    }

    async fn take(&self, event: &Event, body: &[u8], kept: bool) -> Result<Outcome, Problem> {
        self.taken(event, body, kept).await.map(|outcome| outcome.told_of(event))
    }

    async fn taken(&self, event: &Event, body: &[u8], kept: bool) -> Result<Outcome, Problem> {
        let meaning = match event.meaning() {
            Ok(Some(meaning)) => meaning,
            Ok(None) => return Ok(Outcome::Ignored),
            Err(malformed) => return self.keep_failed(event, body, &malformed.to_string()).await,
        };
        if let Some(mode) = self.api.as_ref().and_then(Api::livemode).filter(|mode| *mode != event.livemode) {
            let error = format!("This deployment takes {} events only.", if mode { "live" } else { "test" });
            return self.keep_ignored(event, body, &error).await;
        }
        let mut oracle = Oracle::new(self.api.as_ref());
        let (outcome, mut news) = self.settle(Entry { event, meaning, paid: None, body, kept }, &mut oracle).await?;
        // Ids that this event made known may be those that others wait for; and in turn the ids that those make known.
        while !news.is_empty() {
            news = self.wake(&news, &mut oracle).await?;
        }
        Ok(outcome)
    }

    /// Applies the events that wait for one of these ids; returns the ids that they made known.
    async fn wake(&self, names: &[String], oracle: &mut Oracle<'_>) -> Result<Vec<String>, Problem> {
        let (mut news, mut behind) = (Vec::new(), None::<String>);
        loop {
            let waiting = self.db.outside_tenants((queries::EVENTS_WAITING, &[&names, &behind])).await?;
            let Some(last) = waiting.last() else { return Ok(news) };
            behind = Some(last.get(0));
            for row in waiting {
                let body: Vec<u8> = row.get(1);
                let Ok(event) = Event::parse(&body) else { continue };
                let Ok(Some(meaning)) = event.meaning() else { continue };
                let entry = Entry { event: &event, meaning, paid: None, body: &body, kept: true };
                // The event that woke it is durable: one that fails now is tried again by the sweep.
                if let Ok((outcome, more)) = self.settle(entry, oracle).await {
                    outcome.told_of(&event);
                    news.extend(more);
                }
            }
        }
    }

    /// Applies an event or keeps it; answers also which ids it made known.
    async fn settle(&self, mut entry: Entry<'_>, oracle: &mut Oracle<'_>) -> Result<(Outcome, Vec<String>), Problem> {
        let (mut asked, mut has_asked_payment, mut has_waited) = (Vec::new(), false, false);
        for _ in 0..ATTEMPTS {
            let owner = self.owner_of(&entry).await?;
            owner.iter().for_each(|owner| request::set_tenant(owner.tenant));
            let is_guess = owner.as_ref().is_none_or(|owner| owner.subscription.is_none());
            if is_guess && is_about_payment(&entry.meaning) && !has_asked_payment {
                has_asked_payment = true;
                if !entry.ask_payment(oracle).await {
                    return self.keep_payment_of_nothing(&entry).await;
                }
                if entry.meaning.subscription.is_some() {
                    continue;
                }
            }
            let tried = match owner {
                Some(owner) => self.try_apply(&entry, &owner, &asked, oracle, has_asked_payment).await,
                None => Ok(Tried::Homeless),
            };
            match tried {
                // A mistake of ours or of the data: trying again at once doesn't help, an operator does.
                Err(problem) if problem.code() == Code::Internal => {
                    let error = problem.internal().unwrap_or_default();
                    return Ok((self.keep_failed(entry.event, entry.body, error).await?, Vec::new()));
                }
                Err(problem) => return Err(problem),
                Ok(Tried::Applied(changed)) => {
                    changed.tell(self).await;
                    return Ok((Outcome::Applied, if changed.is_news { entry.names() } else { Vec::new() }));
                }
                Ok(Tried::Known) => return Ok((self.known(entry.event).await?, Vec::new())),
                Ok(Tried::Moved) => {}
                Ok(Tried::Ask(subscription, known)) => {
                    let answer = oracle.subscription(&subscription).await;
                    asked.push(Asked { subscription, known, answer });
                }
                Ok(Tried::AskPayment) => {
                    has_asked_payment = true;
                    if !entry.ask_payment(oracle).await {
                        return self.keep_payment_of_nothing(&entry).await;
                    }
                }
                Ok(Tried::Homeless) => {
                    if has_waited {
                        return Ok((Outcome::Waiting, Vec::new()));
                    }
                    self.keep(entry.event, entry.body, "waiting", &entry.meaning.names(), None).await?;
                    (has_waited, entry.kept) = (true, true);
                }
                Ok(Tried::Failed(error)) => {
                    return Ok((self.keep_failed(entry.event, entry.body, &error).await?, Vec::new()));
                }
            }
        }
        Err(Problem::unavailable("stripe events", "the event was overtaken again and again"))
    }

    /// Returns the outcome of an event that is in the ledger already.
    async fn known(&self, event: &Event) -> Result<Outcome, Problem> {
        let rows = self.db.outside_tenants((queries::EVENT_STATE, &[&event.id])).await?;
        Ok(match rows.first().map(|row| row.get::<_, &str>(0)) {
            Some("waiting") => Outcome::Waiting,
            Some("failed") => Outcome::Failed,
            _ => Outcome::Known,
        })
    }

    async fn keep_payment_of_nothing(&self, entry: &Entry<'_>) -> Result<(Outcome, Vec<String>), Problem> {
        let error = "The payment was for no subscription.";
        Ok((self.keep_ignored(entry.event, entry.body, error).await?, Vec::new()))
    }

    /// Applies an event in one transaction, with its effects.
    async fn try_apply(
        &self,
        entry: &Entry<'_>,
        owner: &Owner,
        asked: &[Asked],
        oracle: &Oracle<'_>,
        has_asked_payment: bool,
    ) -> Result<Tried, Problem> {
        let event = entry.event;
        let mut tx = self.db.tenant("stripe_apply", owner.tenant).await?;
        let kept: Query<'_> = (queries::EVENT_APPLY_KEPT, &[&event.id]);
        let new: Query<'_> =
            (queries::EVENT_APPLY, &[&event.id, &event.livemode, &event.kind, &event.created, &entry.body]);
        let Some(mut change) = Change::load(&mut tx, if entry.kept { kept } else { new }, event, owner).await? else {
            return Ok(Tried::Known);
        };
        if owner.is_new_customer && self.has_owner(&mut tx, event, owner).await? {
            return Ok(Tried::Moved);
        }
        if let News::Customer { contact, deleted } = &entry.meaning.news {
            change.learn_customer(contact, *deleted);
        } else if let Some(subscription) = change.subscription() {
            let known = change.state_of(&subscription);
            let decided = change.learn(&subscription, &entry.meaning, entry.paid.as_ref());
            let decided = decided && !change.needs_stripe(&subscription);
            if !has_asked_payment && oracle.can_be_asked() && change.lacks_invoice(&subscription) {
                return Ok(Tried::AskPayment);
            }
            match asked.last().filter(|asked| asked.subscription == subscription) {
                Some(Asked { answer: Ok(Some(answer)), known: then, .. }) if known == *then => {
                    change.learn_answer(&subscription, answer.clone());
                }
                // Stripe has no such subscription: asking again later would give no other answer.
                Some(Asked { answer: Ok(None), .. }) => {}
                _ if decided => {}
                _ if oracle.can_be_asked() && asked.len() < ASKS => {
                    return Ok(Tried::Ask(subscription, known));
                }
                // Stripe can't be asked, or gave no answer: the rule of order stands, until it answers.
                _ => change.recheck(&subscription),
            }
        } else {
            return Ok(Tried::Homeless);
        }
        Ok(change.finish(self, tx).await?.map_or_else(Tried::Failed, Tried::Applied))
    }

    async fn keep_failed(&self, event: &Event, body: &[u8], error: &str) -> Result<Outcome, Problem> {
        self.keep(event, body, "failed", &[], Some(error)).await?;
        tracing::warn!(event = event.id, error, "a Stripe event could not be applied");
        Ok(Outcome::Failed)
    }

    async fn keep_ignored(&self, event: &Event, body: &[u8], why: &str) -> Result<Outcome, Problem> {
        self.keep(event, body, "ignored", &[], Some(why)).await?;
        Ok(Outcome::Ignored)
    }

    async fn keep(
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

impl Entry<'_> {
    /// Every id that the event, or Stripe's answer about its payment, names.
    fn names(&self) -> Vec<String> {
        let paid = self.paid.iter().flat_map(|paid| paid.payments.iter().chain([&paid.id]));
        self.meaning.names().into_iter().chain(paid.cloned()).collect()
    }

    /// Asks Stripe for the subscription of a refunded or disputed payment. `false`: it was for none.
    async fn ask_payment(&mut self, oracle: &mut Oracle<'_>) -> bool {
        // Without an answer, the known state has to do.
        let Ok(found) = oracle.invoice_of_payment(&self.meaning).await else { return true };
        let Some(subscription) = found.as_ref().and_then(|found| found.subscription.clone()) else { return false };
        self.meaning.subscription = Some(subscription);
        self.paid = found;
        true
    }
}
