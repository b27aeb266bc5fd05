//! Effects of an event, written in its transaction: subscription, license, audit log, outbox.

mod effects;

use std::collections::HashMap;

use common::outbox::About;
use common::postgres::{Query, TenantTx};
use common::{LogEvent, Problem};
use protocol::id::{LicenseId, TenantId};
use protocol::wire::Tier;
use seats::Terms;
use stripe::event::{Contact, Event, InvoiceNews, Meaning, News};
use stripe::facts::{Catalogue, Facts, Snapshot, State};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::ledger::{Ledger, Owner};
use crate::queries::{self, Kept, License};

/// Cause of a change: an event of Stripe's, or an operator.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cause<'a> {
    pub(crate) id: &'a str,
    pub(crate) kind: &'a str,
    /// In seconds since 1970.
    pub(crate) at: i64,
    pub(crate) livemode: bool,
    /// As the audit log has it.
    pub(crate) actor: &'a str,
}

impl<'a> From<&'a Event> for Cause<'a> {
    fn from(event: &'a Event) -> Self {
        Self { id: &event.id, kind: &event.kind, at: event.created, livemode: event.livemode, actor: "stripe" }
    }
}

/// The changes that an event makes to the known state.
pub(crate) struct Change<'a> {
    cause: Cause<'a>,
    owner: &'a Owner,
    subscriptions: Vec<Working>,
    email: Option<String>,
    deleted: bool,
    contact: Option<Contact>,
    catalogue: Catalogue,
    tiers: HashMap<String, Tier>,
    writes: Writes,
    /// Reported once the change is committed.
    turns: Vec<Turn>,
}

/// The beginning or the end of a license.
enum Turn {
    Created(License),
    Stopped(License),
}

/// A subscription while an event is applied to it.
pub(crate) struct Working {
    id: String,
    pub(crate) facts: Facts,
    pub(crate) license: Option<License>,
    is_touched: bool,
    is_new: bool,
    references: Vec<String>,
    /// Mails that follow from the event alone, beside the license's change.
    notes: Vec<(String, About)>,
    /// The charge or dispute by which the event takes money back.
    taking: Option<String>,
    /// Prices that the catalogue lacked before.
    unknown_before: Vec<String>,
}

/// A committed change.
pub(crate) struct Changed {
    tenant: TenantId,
    /// Licenses whose terms Redis has to receive, each with its entry in the outbox.
    licenses: Vec<(LicenseId, Uuid, Terms)>,
    /// True if ids became known that other events may wait for.
    pub(crate) is_news: bool,
}

/// Statements with what they are about.
#[derive(Default)]
struct Writes(Vec<(&'static str, Vec<Box<dyn ToSql + Sync + Send>>)>);

macro_rules! write {
    ($writes:expr, $sql:expr, $($value:expr),*) => {
        $writes.0.push(($sql, vec![$(Box::new($value) as Box<dyn ToSql + Sync + Send>),*]))
    };
}
use write;

impl<'a> Change<'a> {
    /// Reads the known state of the customer, after `first`: the event's own row. `None` when that statement returns no row.
    pub(crate) async fn load(
        tx: &mut TenantTx<'static>,
        first: Query<'_>,
        cause: impl Into<Cause<'a>>,
        owner: &'a Owner,
    ) -> Result<Option<Self>, Problem> {
        let customer = &owner.customer;
        let [_, entered, subscriptions, customers, prices] = tx
            .run([
                (queries::CUSTOMER_LOCK, &[customer]),
                first,
                (queries::SUBSCRIPTIONS, &[customer]),
                (queries::CUSTOMER, &[customer]),
                (queries::CATALOGUE, &[]),
            ])
            .await?;
        if entered.is_empty() {
            return Ok(None);
        }
        let kept: Result<Vec<Kept>, _> = subscriptions.iter().map(Kept::from_row).collect();
        let kept = kept.map_err(Problem::internal_error)?;
        let tier = |row: &Row| Some((row.get(1), row.get::<_, &str>(4).parse().ok()?));
        let catalogue = queries::catalogue(&prices);
        Ok(Some(Self {
            cause: cause.into(),
            owner,
            subscriptions: kept.into_iter().map(|kept| Working::from_kept(kept, &catalogue)).collect(),
            email: customers.first().and_then(|row| row.get(0)),
            deleted: customers.first().is_some_and(|row| row.get(1)),
            contact: None,
            catalogue,
            tiers: prices.iter().filter_map(tier).collect(),
            writes: Writes::default(),
            turns: Vec::new(),
        }))
    }

    /// Which subscription the event is about: the one that it names, or the customer's only one.
    pub(crate) fn subscription(&self) -> Option<String> {
        self.owner.subscription.clone().or_else(|| match self.subscriptions.as_slice() {
            [only] => Some(only.id.clone()),
            _ => None,
        })
    }

    /// Learns what the event says of the customer.
    pub(crate) fn learn_customer(&mut self, contact: &Contact, deleted: bool) {
        self.email = contact.email.clone().or(self.email.take());
        self.contact = Some(contact.clone());
        if deleted && !self.deleted {
            self.deleted = true;
            self.subscriptions.iter_mut().for_each(|s| s.is_touched = true);
        }
    }

    /// Merges what the event says of a subscription, and the invoice that Stripe names for its payment. Returns false if only a
    /// guess decides which state is the newest.
    pub(crate) fn learn(&mut self, subscription: &str, meaning: &Meaning, paid: Option<&InvoiceNews>) -> bool {
        if let News::Checkout { contact, .. } = &meaning.news {
            self.learn_customer(contact, false);
        }
        let at = self.cause.at;
        let is_guess = self.owner.subscription.is_none();
        let known = self.working(subscription);
        // References that are only assumed to be the subscription's must not stand in the way of its invoice.
        if !is_guess {
            known.references.clone_from(&meaning.references);
        }
        match &meaning.news {
            News::Subscription { snapshot, trial_will_end: true, .. } => {
                let end =
                    snapshot.trial_end.map(|at| (format!("trial:{subscription}:{at}"), About::TrialEnding { at }));
                known.notes.extend(end);
            }
            News::Invoice { id, failure: Some(failure), .. } => {
                let once = format!("{}:{id}", if failure.action_required { "action" } else { "failed" });
                let (action_required, url) = (failure.action_required, failure.url.clone());
                known.notes.push((once, About::PaymentFailed { action_required, url }));
            }
            News::Refund { charge: id, .. } | News::Dispute { dispute: id, .. } => known.taking = Some(id.clone()),
            _ => {}
        }
        let before = known.facts.state();
        let decided = known.facts.learn(at, &meaning.news, &meaning.references);
        if let Some(paid) = paid {
            known.learn_invoice(at, paid);
        }
        if decided && known.facts.state() != before {
            write!(self.writes, queries::EVENTS_COMPARED, subscription.to_owned());
        }
        decided
    }

    /// Checks whether the event takes money back while no known invoice says what the money paid.
    pub(crate) fn lacks_invoice(&mut self, subscription: &str) -> bool {
        let known = self.working(subscription);
        known.taking.as_ref().is_some_and(|id| known.facts.lacks_invoice_of(id))
    }

    /// Merges Stripe's answer.
    pub(crate) fn learn_answer(&mut self, subscription: &str, answer: Snapshot) {
        let at = self.cause.at;
        self.working(subscription).facts.learn_answer(at, answer);
        write!(self.writes, queries::EVENTS_COMPARED, subscription.to_owned());
    }

    /// The newest state that is known of a subscription.
    pub(crate) fn state_of(&self, subscription: &str) -> State {
        let known = self.subscriptions.iter().find(|s| s.id == subscription);
        known.map(|s| s.facts.state()).unwrap_or_default()
    }

    /// Returns true if the events so far don't give the whole state.
    pub(crate) fn needs_stripe(&mut self, subscription: &str) -> bool {
        let facts = &self.working(subscription).facts;
        !facts.has_snapshot() || facts.lacks_items()
    }

    /// Leaves it to be compared with Stripe later.
    pub(crate) fn recheck(&mut self, subscription: &str) {
        write!(self.writes, queries::EVENT_RECHECK, self.cause.id.to_owned(), Some(subscription.to_owned()));
    }

    /// Lifts what refunds and disputes hold back of a subscription's license; answers their ids.
    pub(crate) fn lift(&mut self, subscription: &str) -> Vec<String> {
        let catalogue = std::mem::take(&mut self.catalogue);
        let lifted = self.working(subscription).facts.lift(&catalogue);
        self.catalogue = catalogue;
        lifted
    }

    pub(crate) fn working(&mut self, subscription: &str) -> &mut Working {
        let place = self.subscriptions.iter().position(|s| s.id == subscription).unwrap_or_else(|| {
            self.subscriptions.push(Working::new(subscription));
            self.subscriptions.len() - 1
        });
        let working = &mut self.subscriptions[place];
        working.is_touched = true;
        working
    }

    /// Refunds and disputes go to the subscription of their invoice.
    fn settle_claims(&mut self) {
        for place in 0..self.subscriptions.len() {
            let (before, rest) = self.subscriptions.split_at_mut(place);
            let Some((one, after)) = rest.split_first_mut() else { return };
            for other in before.iter_mut().chain(after).filter(|_| one.is_touched) {
                other.is_touched |= one.facts.claim(&mut other.facts);
            }
        }
    }

    /// Writes everything and commits. Inside: why a license can't follow; then nothing was written.
    pub(crate) async fn finish(
        mut self,
        ledger: &Ledger,
        tx: TenantTx<'static>,
    ) -> Result<Result<Changed, String>, Problem> {
        if self.owner.is_new_tenant {
            self.write_tenant();
        }
        if self.owner.is_new_customer || self.contact.is_some() {
            self.write_customer();
        }
        let mut changed =
            Changed { tenant: self.owner.tenant, licenses: Vec::new(), is_news: self.owner.is_new_customer };
        self.settle_claims();
        let mut told = Vec::new();
        for mut subscription in std::mem::take(&mut self.subscriptions).into_iter().filter(|s| s.is_touched) {
            match self.write_license(ledger, &mut subscription) {
                Ok(Some(change)) => told.push(change),
                Ok(None) => {}
                Err(unfit) => return Ok(Err(unfit)),
            }
            changed.is_news |= subscription.is_new || !subscription.references.is_empty();
            self.write_subscription(&subscription);
        }
        let rows = self.writes.finish(tx).await?;
        self.turns.iter().for_each(Turn::tell);
        for (license, outbox, statement) in told {
            if let Some(row) = rows[statement].first() {
                changed.licenses.push((LicenseId::from_uuid(license), outbox, Terms::from_row(row)));
            }
        }
        Ok(Ok(changed))
    }
}

impl Turn {
    fn tell(&self) {
        let by = "stripe";
        match self {
            Self::Created(License { id, plan, seats, .. }) => {
                LogEvent::LicenseCreated { license: *id, plan, by, seats: u64::from(seats.unsigned_abs()) }.emit();
            }
            Self::Stopped(License { id, standing, .. }) => {
                LogEvent::LicenseStopped { license: *id, reason: standing, by }.emit();
            }
        }
    }
}

impl Working {
    fn new(id: &str) -> Self {
        Self::from_parts(id.to_owned(), Facts::default(), None, true)
    }

    fn from_kept(kept: Kept, catalogue: &Catalogue) -> Self {
        let unknown_before = kept.facts.unknown_prices(catalogue).map(str::to_owned).collect();
        Self { unknown_before, ..Self::from_parts(kept.id, kept.facts, kept.license, false) }
    }

    fn from_parts(id: String, facts: Facts, license: Option<License>, is_new: bool) -> Self {
        Self {
            id,
            facts,
            license,
            is_touched: false,
            is_new,
            references: Vec::new(),
            notes: Vec::new(),
            taking: None,
            unknown_before: Vec::new(),
        }
    }

    /// Learns an invoice, and that what it names belongs to the subscription.
    pub(crate) fn learn_invoice(&mut self, at: i64, news: &InvoiceNews) {
        self.facts.learn_invoice(at, &news.id, news.invoice.clone());
        self.references.push(news.id.clone());
        self.references.extend(news.payments.iter().cloned());
    }
}

impl Writes {
    async fn finish(&self, tx: TenantTx<'static>) -> Result<Vec<Vec<Row>>, Problem> {
        let values: Vec<Vec<&(dyn ToSql + Sync)>> = self
            .0
            .iter()
            .map(|(_, values)| values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect())
            .collect();
        let queries: Vec<Query<'_>> = self.0.iter().zip(&values).map(|((sql, _), v)| (*sql, v.as_slice())).collect();
        tx.finish_all(&queries).await
    }
}

impl Changed {
    /// Updates the license's terms in Redis. Where it doesn't answer, the outbox does it later.
    pub(crate) async fn tell(&self, ledger: &Ledger) {
        for (license, outbox, terms) in &self.licenses {
            let told = async {
                ledger.seats.set_terms(*license, terms).await?;
                let tx = ledger.db.tenant("outbox_done", self.tenant).await?;
                tx.finish([(queries::OUTBOX_DONE, &[outbox])]).await.map(drop)
            };
            if let Err(problem) = told.await {
                let cause = problem.internal().unwrap_or_default();
                tracing::warn!(%license, cause, "Redis is told of the license's change by the outbox");
            }
        }
    }
}
