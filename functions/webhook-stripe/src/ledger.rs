//! Stripe's events, kept and applied.
//!
//! An event whose tenant is known is written and applied in one transaction. One whose tenant isn't waits for the ids it
//! names. Whoever makes an id known looks for waiting events after its commit, and whoever waits looks for an owner after
//! its own, so that one of two that happen at once always sees the other.

use common::license_key::KeyHasher;
use common::postgres::{Query, TenantTx};
use common::{Db, Problem, Setup};
use protocol::id::TenantId;
use protocol::problem::Code;
use seats::Seats;
use serde::Serialize;
use stripe::api::Api;
use stripe::event::{Event, Meaning, News, snapshot};
use stripe::facts::Snapshot;
use uuid::Uuid;

use crate::change::{Change, Changed};
use crate::queries;

/// How often an event may be overtaken (its customer got an owner meanwhile, Stripe had to be asked) before it is given up
/// for now.
const ATTEMPTS: usize = 5;

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It had its effect now.
    Applied,
    /// It was kept before.
    Known,
    /// It is kept until what it belongs to is known.
    Waiting,
    /// It is kept with its error.
    Failed,
    /// It is of no kind, or not of the mode, that is ours.
    Ignored,
}

/// Where events are kept, and what they change.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub(crate) db: Db,
    pub(crate) seats: Seats,
    pub(crate) hasher: KeyHasher,
    api: Option<Api>,
}

/// Whose an event is.
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

/// An event on its way into the ledger.
struct Entry<'a> {
    event: &'a Event,
    meaning: Meaning,
    body: &'a [u8],
    /// It is in the ledger already, waiting or failed.
    kept: bool,
}

/// What a try to apply came to.
enum Tried {
    Applied(Changed),
    /// Somebody else applied it.
    Known,
    /// The customer has another owner by now.
    Moved,
    /// Stripe has to be asked about this subscription.
    Ask(String),
    /// Nothing known says whose, or which subscription's, it is.
    Homeless,
    /// It can't be applied.
    Failed(String),
}

impl Ledger {
    /// Asks for what it needs.
    pub fn ask(setup: &mut Setup) -> Option<Self> {
        let (db, seats, hasher, api) = (setup.postgres(), Seats::ask(setup), KeyHasher::ask(setup), Api::ask(setup));
        Some(Self { db: db?, seats: seats?, hasher: hasher?, api: api? })
    }

    /// Takes an event whose signature was checked. It is durable when this succeeds.
    ///
    /// # Errors
    /// `503` when it could not be kept.
    pub async fn receive(&self, event: &Event, body: &[u8]) -> Result<Outcome, Problem> {
        self.take(event, body, false).await
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

    /// Compares with Stripe what events alone could not decide; answers the ids of the events that made it necessary.
    ///
    /// # Errors
    /// When Postgres doesn't answer.
    pub async fn recheck(&self, only: Option<&str>) -> Result<Vec<(String, Outcome)>, Problem> {
        let mut outcomes = Vec::new();
        if self.api.is_none() {
            return Ok(outcomes);
        }
        for row in self.db.outside_tenants((queries::EVENTS_RECHECK, &[&only])).await? {
            let (id, body, subscription): (String, Vec<u8>, String) = (row.get(0), row.get(1), row.get(2));
            let (Ok(event), Some(asked)) = (Event::parse(&body), self.ask_stripe(&subscription).await) else {
                outcomes.push((id, Outcome::Waiting));
                continue;
            };
            outcomes.push((id, self.compare(&event, &subscription, asked).await?));
        }
        Ok(outcomes)
    }

    async fn compare(&self, event: &Event, subscription: &str, asked: Snapshot) -> Result<Outcome, Problem> {
        let Some(owner) = self.owner(event.livemode, &[subscription.to_owned()]).await? else {
            return Ok(Outcome::Failed);
        };
        let mut tx = self.db.tenant("stripe_compare", owner.tenant).await?;
        let compared: Query<'_> = (queries::EVENT_RECHECK, &[&event.id, &None::<&str>]);
        let Some(mut change) = Change::load(&mut tx, compared, event, &owner).await? else { return Ok(Outcome::Known) };
        change.learn_answer(subscription, asked);
        match change.finish(self, tx).await? {
            Ok(changed) => {
                changed.tell(self).await;
                Ok(Outcome::Applied)
            }
            Err(_) => Ok(Outcome::Failed),
        }
    }

    async fn take(&self, event: &Event, body: &[u8], kept: bool) -> Result<Outcome, Problem> {
        let meaning = match event.meaning() {
            Ok(Some(meaning)) => meaning,
            Ok(None) => return Ok(Outcome::Ignored),
            Err(malformed) => return self.keep_failed(event, body, &malformed.to_string()).await,
        };
        if let Some(mode) = self.api.as_ref().and_then(Api::livemode).filter(|mode| *mode != event.livemode) {
            let error = format!("This deployment takes {} events only.", if mode { "live" } else { "test" });
            self.keep(event, body, "ignored", &[], Some(&error)).await?;
            return Ok(Outcome::Ignored);
        }
        let (outcome, mut news) = self.settle(&Entry { event, meaning, body, kept }).await?;
        // What this event made known may be what others wait for; and what those make known, in turn.
        while !news.is_empty() {
            let waiting = self.db.outside_tenants((queries::EVENTS_WAITING, &[&news])).await?;
            news.clear();
            for row in waiting {
                let body: Vec<u8> = row.get(1);
                let Ok(event) = Event::parse(&body) else { continue };
                let Ok(Some(meaning)) = event.meaning() else { continue };
                let entry = Entry { event: &event, meaning, body: &body, kept: true };
                // This event is durable: what fails now is tried again by the sweep.
                if let Ok((_, more)) = self.settle(&entry).await {
                    news.extend(more);
                }
            }
        }
        Ok(outcome)
    }

    /// Applies an event or keeps it; answers also which ids it made known.
    async fn settle(&self, entry: &Entry<'_>) -> Result<(Outcome, Vec<String>), Problem> {
        let mut entry = Entry { meaning: entry.meaning.clone(), ..*entry };
        let (mut asked, mut has_asked_payment, mut has_waited) = (None, false, false);
        for _ in 0..ATTEMPTS {
            let tried = match self.owner_of(&entry).await? {
                Some(owner) => self.try_apply(&entry, &owner, &mut asked).await,
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
                    return Ok((Outcome::Applied, if changed.is_news { entry.meaning.names() } else { Vec::new() }));
                }
                Ok(Tried::Known) => return Ok((self.known(entry.event).await?, Vec::new())),
                Ok(Tried::Moved) => {}
                Ok(Tried::Ask(subscription)) => {
                    let answer = self.ask_stripe(&subscription).await;
                    asked = Some((subscription, answer));
                }
                Ok(Tried::Homeless) if !has_asked_payment && self.api.is_some() => {
                    has_asked_payment = true;
                    let subscription = self.ask_stripe_for_payment(&entry.meaning).await;
                    entry.meaning.subscription = entry.meaning.subscription.take().or(subscription);
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

    /// An event that is in the ledger already.
    async fn known(&self, event: &Event) -> Result<Outcome, Problem> {
        let rows = self.db.outside_tenants((queries::EVENT_STATE, &[&event.id])).await?;
        Ok(match rows.first().map(|row| row.get::<_, &str>(0)) {
            Some("waiting") => Outcome::Waiting,
            Some("failed") => Outcome::Failed,
            _ => Outcome::Known,
        })
    }

    /// Whose the event is; a purchase makes an owner where there is none.
    async fn owner_of(&self, entry: &Entry<'_>) -> Result<Option<Owner>, Problem> {
        let meaning = &entry.meaning;
        if let Some(mut owner) = self.owner(entry.event.livemode, &meaning.names()).await? {
            owner.subscription = meaning.subscription.clone().or(owner.subscription);
            return Ok(Some(owner));
        }
        let (News::Checkout { tenant, .. }, Some(customer)) = (&meaning.news, &meaning.customer) else {
            return Ok(None);
        };
        // Only metadata is believed: whoever opens a Payment Link can set the client_reference_id.
        let named = tenant.as_deref().and_then(|t| t.parse::<Uuid>().ok()).map(TenantId::from_uuid);
        let known = match named {
            Some(tenant) => {
                let tx = self.db.tenant("tenant", tenant).await?;
                let [rows] = tx.finish([(queries::TENANT, &[])]).await?;
                rows.first().map(|_| tenant)
            }
            None => None,
        };
        Ok(Some(Owner {
            tenant: known.unwrap_or_else(TenantId::new),
            customer: customer.clone(),
            subscription: meaning.subscription.clone(),
            is_new_tenant: known.is_none(),
            is_new_customer: true,
        }))
    }

    async fn owner(&self, livemode: bool, names: &[String]) -> Result<Option<Owner>, Problem> {
        let rows = self.db.outside_tenants((queries::OWNER, &[&names, &livemode])).await?;
        Ok(rows.first().map(|row| Owner {
            tenant: TenantId::from_uuid(row.get(0)),
            customer: row.get(1),
            subscription: row.get(2),
            is_new_tenant: false,
            is_new_customer: false,
        }))
    }

    /// One transaction: the event, and what it changes.
    async fn try_apply(
        &self,
        entry: &Entry<'_>,
        owner: &Owner,
        asked: &mut Option<(String, Option<Snapshot>)>,
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
            let decided = change.learn(&subscription, &entry.meaning);
            match asked {
                Some((about, Some(answer))) if *about == subscription => {
                    change.learn_answer(&subscription, answer.clone());
                }
                None if self.api.is_some() && (!decided || change.needs_stripe(&subscription)) => {
                    return Ok(Tried::Ask(subscription));
                }
                // Nobody to ask, or no answer: the rule of order stands, until there is one.
                _ if !decided => change.recheck(&subscription),
                _ => {}
            }
        } else {
            return Ok(Tried::Homeless);
        }
        Ok(change.finish(self, tx).await?.map_or_else(Tried::Failed, Tried::Applied))
    }

    /// Whether somebody made this customer known while we waited for the lock.
    async fn has_owner(&self, tx: &mut TenantTx<'static>, event: &Event, owner: &Owner) -> Result<bool, Problem> {
        let names = [owner.customer.as_str()];
        let [rows] = tx.run([(queries::OWNER, &[&&names[..], &event.livemode])]).await?;
        Ok(!rows.is_empty())
    }

    /// The subscription that a refunded or disputed payment was for.
    async fn ask_stripe_for_payment(&self, meaning: &Meaning) -> Option<String> {
        if !matches!(meaning.news, News::Refund { .. } | News::Dispute { .. }) {
            return None;
        }
        let of_kind = |prefix: &str| meaning.references.iter().find(|id| id.starts_with(prefix)).map(String::as_str);
        let charge = of_kind("ch_").or_else(|| of_kind("py_"));
        let answer = self.api.as_ref()?.subscription_of_payment(charge, of_kind("pi_")).await;
        answer.inspect_err(|error| tracing::warn!(%error, "Stripe could not be asked")).ok()?
    }

    /// A subscription as Stripe has it now; `None` when it doesn't answer, or has none.
    async fn ask_stripe(&self, subscription: &str) -> Option<Snapshot> {
        let answer = self.api.as_ref()?.subscription(subscription).await;
        match answer {
            Ok(value) => snapshot(&value?).ok(),
            Err(error) => {
                tracing::warn!(subscription, %error, "Stripe could not be asked");
                None
            }
        }
    }

    async fn keep_failed(&self, event: &Event, body: &[u8], error: &str) -> Result<Outcome, Problem> {
        self.keep(event, body, "failed", &[], Some(error)).await?;
        tracing::warn!(event = event.id, error, "a Stripe event could not be applied");
        Ok(Outcome::Failed)
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
