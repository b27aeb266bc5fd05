//! What follows from an event, written in its transaction: subscription, licence, audit log, outbox.

use std::collections::HashMap;

use common::Problem;
use common::outbox::{About, Mail, OUTBOX_ADD, SeatsChanged};
use common::postgres::{Query, TenantTx};
use protocol::id::{LicenseId, TenantId};
use protocol::key::{Brand, KeyType, LicenseKey};
use protocol::wire::Tier;
use seats::Terms;
use serde_json::json;
use stripe::event::{Contact, Event, Meaning, News};
use stripe::facts::{Catalogue, Facts, Outcome, Snapshot, Stage, Standing};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::ledger::{Ledger, Owner};
use crate::queries::{self, Kept, License};

/// What an event changes, from what was known.
pub(crate) struct Change<'a> {
    event: &'a Event,
    owner: &'a Owner,
    subscriptions: Vec<Working>,
    email: Option<String>,
    deleted: bool,
    contact: Option<Contact>,
    catalogue: Catalogue,
    tiers: HashMap<String, Tier>,
    writes: Writes,
}

/// A subscription while an event is applied to it.
struct Working {
    id: String,
    facts: Facts,
    license: Option<License>,
    is_touched: bool,
    is_new: bool,
    references: Vec<String>,
    /// What the event alone says, beside the licence's change.
    notes: Vec<(String, About)>,
}

/// What was committed.
pub(crate) struct Changed {
    tenant: TenantId,
    /// Licences whose seats Redis has to be told of, each with its entry in the outbox.
    licenses: Vec<(LicenseId, Uuid, Terms)>,
    /// Ids became known that other events may wait for.
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

impl<'a> Change<'a> {
    /// Reads what is known of the customer, after `first`: the event's own row. `None` when that finds nothing to do.
    pub(crate) async fn load(
        tx: &mut TenantTx<'static>,
        first: Query<'_>,
        event: &'a Event,
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
        Ok(Some(Self {
            event,
            owner,
            subscriptions: kept.into_iter().map(Working::from_kept).collect(),
            email: customers.first().and_then(|row| row.get(0)),
            deleted: customers.first().is_some_and(|row| row.get(1)),
            contact: None,
            catalogue: queries::catalogue(&prices),
            tiers: prices.iter().filter_map(tier).collect(),
            writes: Writes::default(),
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

    /// Learns what the event says of a subscription. `false`: only a guess tells whether it is the newest.
    pub(crate) fn learn(&mut self, subscription: &str, meaning: &Meaning) -> bool {
        if let News::Checkout { contact, .. } = &meaning.news {
            self.learn_customer(contact, false);
        }
        let at = self.event.created;
        let known = self.working(subscription);
        known.references.clone_from(&meaning.references);
        match &meaning.news {
            News::Checkout { paid, snapshot, .. } => {
                known.facts.learn_checkout(*paid);
                return snapshot.clone().is_none_or(|s| known.facts.learn_snapshot(at, Stage::Created, s));
            }
            News::Subscription { snapshot, stage, trial_will_end } => {
                if *trial_will_end && let Some(end) = snapshot.trial_end {
                    known.notes.push((format!("trial:{subscription}:{end}"), About::TrialEnding { at: end }));
                }
                return known.facts.learn_snapshot(at, *stage, snapshot.clone());
            }
            News::Payment { invoice, outcome, charged, url } => {
                if *outcome != Outcome::Paid {
                    let action_required = *outcome == Outcome::ActionRequired;
                    let once = format!("{}:{invoice}", if action_required { "action" } else { "failed" });
                    known.notes.push((once, About::PaymentFailed { action_required, url: url.clone() }));
                }
                known.facts.learn_payment(at, *outcome, *charged);
            }
            News::Refund { charge } => known.facts.learn_refund(at, charge),
            News::Dispute { dispute, state } => known.facts.learn_dispute(at, dispute, *state),
            News::Customer { .. } | News::Reference => {}
        }
        true
    }

    /// Learns what Stripe answered.
    pub(crate) fn learn_answer(&mut self, subscription: &str, answer: Snapshot) {
        let at = self.event.created;
        self.working(subscription).facts.learn_answer(at, answer);
    }

    /// Whether the events so far don't tell enough.
    pub(crate) fn needs_stripe(&mut self, subscription: &str) -> bool {
        let facts = &self.working(subscription).facts;
        !facts.has_snapshot() || facts.lacks_items()
    }

    /// Leaves it to be compared with Stripe later.
    pub(crate) fn recheck(&mut self, subscription: &str) {
        write!(self.writes, queries::EVENT_RECHECK, self.event.id.clone(), Some(subscription.to_owned()));
    }

    fn working(&mut self, subscription: &str) -> &mut Working {
        let place = self.subscriptions.iter().position(|s| s.id == subscription).unwrap_or_else(|| {
            self.subscriptions.push(Working::new(subscription));
            self.subscriptions.len() - 1
        });
        let working = &mut self.subscriptions[place];
        working.is_touched = true;
        working
    }

    /// Writes everything and commits. Inside: why a licence can't follow; then nothing was written.
    pub(crate) async fn finish(
        mut self,
        ledger: &Ledger,
        mut tx: TenantTx<'static>,
    ) -> Result<Result<Changed, String>, Problem> {
        if self.owner.is_new_tenant {
            let email = self.email.clone().unwrap_or_default();
            let [users] = tx.run([(queries::USERS_BY_EMAIL, &[&email])]).await?;
            self.write_tenant(users.is_empty());
        }
        if self.owner.is_new_customer || self.contact.is_some() {
            self.write_customer();
        }
        let mut changed =
            Changed { tenant: self.owner.tenant, licenses: Vec::new(), is_news: self.owner.is_new_customer };
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
        for (license, outbox, statement) in told {
            if let Some(row) = rows[statement].first() {
                changed.licenses.push((LicenseId::from_uuid(license), outbox, terms(row)));
            }
        }
        Ok(Ok(changed))
    }

    fn write_tenant(&mut self, is_free_address: bool) {
        let contact = self.contact.clone().unwrap_or_default();
        let name = contact.name.or_else(|| contact.email.clone()).unwrap_or_else(|| self.owner.customer.clone());
        write!(self.writes, queries::TENANT_INSERT, name.clone(), slug(&name, self.owner.tenant));
        // An address that is somebody's already would leave that person's sign-in between two tenants.
        if let Some(email) = contact.email.filter(|_| is_free_address) {
            write!(self.writes, queries::OWNER_INSERT, Uuid::now_v7(), email);
        }
    }

    fn write_customer(&mut self) {
        let contact = self.contact.clone().unwrap_or_default();
        let deleted_at = self.deleted.then_some(self.event.created);
        write!(
            self.writes,
            queries::CUSTOMER_WRITE,
            self.owner.customer.clone(),
            self.event.livemode,
            contact.email,
            contact.name,
            self.event.created,
            deleted_at
        );
    }

    fn write_subscription(&mut self, subscription: &Working) {
        let facts = serde_json::to_value(&subscription.facts).expect("facts are plain data");
        let status = subscription.facts.status().and_then(|s| serde_json::to_value(s).ok());
        let status = status.and_then(|s| s.as_str().map(str::to_owned));
        write!(
            self.writes,
            queries::SUBSCRIPTION_WRITE,
            subscription.id.clone(),
            self.owner.customer.clone(),
            facts,
            status,
            subscription.license.as_ref().map(|l| l.id)
        );
        if !subscription.references.is_empty() {
            write!(self.writes, queries::REFERENCES_WRITE, subscription.id.clone(), subscription.references.clone());
        }
    }

    /// Brings the licence to what the facts say. Answers licence, outbox entry and the statement that reports its terms.
    fn write_license(
        &mut self,
        ledger: &Ledger,
        subscription: &mut Working,
    ) -> Result<Option<(Uuid, Uuid, usize)>, String> {
        let wanted = match (subscription.facts.terms(self.deleted), &subscription.license) {
            (None, None) => return Ok(None),
            (None, Some(known)) => License { standing: Standing::Inactive.as_str().to_owned(), ..known.clone() },
            (Some(terms), known) => {
                let ends = terms.expires_at.is_some() || terms.standing.ends_sessions();
                let (plan, seats) = match (terms.plan_and_seats(&self.catalogue), known) {
                    (Ok(found), _) => found,
                    // What ends needs no price to end.
                    (Err(_), Some(known)) if ends => (known.plan.clone(), known.seats),
                    (Err(unfit), _) => return Err(unfit.to_string()),
                };
                License {
                    id: known.as_ref().map_or_else(Uuid::now_v7, |l| l.id),
                    plan,
                    seats,
                    standing: terms.standing.as_str().to_owned(),
                    expires_at: terms.expires_at,
                }
            }
        };
        let before = subscription.license.replace(wanted.clone());
        let statement = match &before {
            None => {
                self.issue(ledger, &wanted);
                None
            }
            Some(before) if *before != wanted => Some(self.change(before, &wanted)),
            Some(_) => None,
        };
        self.write_mails(subscription, before.as_ref(), &wanted);
        Ok(statement.map(|(outbox, place)| (wanted.id, outbox, place)))
    }

    fn issue(&mut self, ledger: &Ledger, license: &License) {
        let tier = self.tiers.get(&license.plan).copied();
        let key = LicenseKey::generate(Brand::Coditect, tier.map_or(KeyType::Pro, KeyType::from));
        let hash = ledger.hasher.hash(&key).to_vec();
        write!(
            self.writes,
            queries::LICENSE_INSERT,
            license.id,
            license.plan.clone(),
            license.seats,
            license.standing.clone(),
            license.expires_at,
            hash,
            key.redacted()
        );
        self.audit("license.issued", license);
        let entry = Uuid::now_v7();
        let sealed = ledger.hasher.seal(entry, &key);
        self.mail(
            entry,
            license,
            format!("key:{}", license.id),
            About::LicenseKey { seats: license.seats },
            Some(sealed),
        );
    }

    fn change(&mut self, before: &License, wanted: &License) -> (Uuid, usize) {
        let ends = |standing: &str| matches!(standing, "inactive" | "refunded" | "disputed");
        let ends_now = ends(&wanted.standing) && !ends(&before.standing);
        write!(self.writes, seats::LICENSE_LOCK, wanted.id);
        let statement = self.writes.0.len();
        write!(
            self.writes,
            queries::LICENSE_CHANGE,
            wanted.id,
            wanted.plan.clone(),
            wanted.seats,
            wanted.standing.clone(),
            wanted.expires_at,
            ends_now
        );
        if ends_now {
            write!(self.writes, queries::SESSIONS_END, wanted.id);
        }
        self.audit("license.changed", wanted);
        let entry = Uuid::now_v7();
        let payload = SeatsChanged { license_id: LicenseId::from_uuid(wanted.id) };
        let payload = serde_json::to_value(payload).expect("an id is plain data");
        let once = format!("seats:{}:{}", wanted.id, self.event.id);
        write!(self.writes, OUTBOX_ADD, entry, "seats", once, payload, None::<Vec<u8>>);
        (entry, statement)
    }

    /// What the customer is told besides the key.
    fn write_mails(&mut self, subscription: &mut Working, before: Option<&License>, now: &License) {
        for (once, about) in std::mem::take(&mut subscription.notes) {
            let still_true = match about {
                About::PaymentFailed { .. } => now.standing == "past_due",
                _ => now.expires_at.is_none(),
            };
            if still_true {
                self.mail(Uuid::now_v7(), now, once, about, None);
            }
        }
        if let Some(at) = now.expires_at.filter(|at| before.is_some_and(|b| b.expires_at != Some(*at))) {
            self.mail(Uuid::now_v7(), now, format!("ending:{}:{at}", subscription.id), About::Ending { at }, None);
        }
        let is_held = matches!(now.standing.as_str(), "refunded" | "disputed");
        if is_held && before.is_none_or(|b| b.standing != now.standing) {
            let once = format!("{}:{}:{}", now.standing, subscription.id, self.event.id);
            self.mail(Uuid::now_v7(), now, once, About::Suspended { reason: now.standing.clone() }, None);
        }
    }

    fn mail(&mut self, entry: Uuid, license: &License, once: String, about: About, secret: Option<Vec<u8>>) {
        let mail = Mail {
            to: self.email.clone(),
            license_id: LicenseId::from_uuid(license.id),
            plan: license.plan.clone(),
            about,
        };
        let payload = serde_json::to_value(mail).expect("a mail is plain data");
        write!(self.writes, OUTBOX_ADD, entry, "mail", once, payload, secret);
    }

    fn audit(&mut self, action: &'static str, license: &License) {
        let detail = json!({
            "event": self.event.id, "type": self.event.kind, "plan": license.plan, "seats": license.seats,
            "standing": license.standing, "expires_at": license.expires_at,
        });
        write!(self.writes, queries::AUDIT, Uuid::now_v7(), action, license.id, detail);
    }
}

impl Working {
    fn new(id: &str) -> Self {
        Self::from_parts(id.to_owned(), Facts::default(), None, true)
    }

    fn from_kept(kept: Kept) -> Self {
        Self::from_parts(kept.id, kept.facts, kept.license, false)
    }

    fn from_parts(id: String, facts: Facts, license: Option<License>, is_new: bool) -> Self {
        Self { id, facts, license, is_touched: false, is_new, references: Vec::new(), notes: Vec::new() }
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
    /// Tells Redis. Where it doesn't answer, the outbox does it later.
    pub(crate) async fn tell(&self, ledger: &Ledger) {
        for (license, outbox, terms) in &self.licenses {
            let told = async {
                ledger.seats.tell(*license, terms).await?;
                let tx = ledger.db.tenant("outbox_done", self.tenant).await?;
                tx.finish([(queries::OUTBOX_DONE, &[outbox])]).await.map(drop)
            };
            if let Err(problem) = told.await {
                let cause = problem.internal().unwrap_or_default();
                tracing::warn!(%license, cause, "Redis is told of the licence's change by the outbox");
            }
        }
    }
}

fn terms(row: &Row) -> Terms {
    Terms {
        generation: row.get(0),
        revision: row.get(1),
        limit: u32::try_from(row.get::<_, i32>(2)).unwrap_or(0),
        state: row.get(3),
    }
}

/// A slug that nobody else has: what can be read of the name, and a piece of the tenant's id.
fn slug(name: &str, tenant: TenantId) -> String {
    let words: String =
        name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    let words: Vec<&str> = words.split('-').filter(|word| !word.is_empty()).collect();
    let id = tenant.as_uuid().simple().to_string();
    let tail = &id[id.len() - 8..];
    if words.is_empty() { format!("t-{tail}") } else { format!("{}-{tail}", words.join("-")) }
}
