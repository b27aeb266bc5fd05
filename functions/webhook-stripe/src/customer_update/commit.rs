//! The commit of an update: its statements, its lines of the log, and the update of Redis that follows.

use common::license_key::KeyHasher;
use common::outbox::{About, Mail, OUTBOX_ADD, SeatsChanged};
use common::postgres::TenantTx;
use common::{Db, Problem};
use protocol::id::{LicenseId, TenantId};
use protocol::key::{Brand, KeyType, LicenseKey};
use seats::{Seats, Terms};
use serde_json::json;
use stripe::facts::{Facts, Standing};
use uuid::Uuid;

use super::{CustomerUpdate, LicenseTransition, Parameter, SubscriptionUpdate, push_statement};
use crate::queries::{self, License};

/// Outcome of a commit.
pub(crate) enum CommitOutcome {
    Committed(CommittedUpdate),
    /// No license can be derived, for this reason. Nothing was written.
    Rejected(String),
}

/// A committed update.
pub(crate) struct CommittedUpdate {
    tenant: TenantId,
    /// Licenses whose terms Redis has to receive, each with its entry in the outbox.
    licenses: Vec<(LicenseId, Uuid, Terms)>,
    /// True if ids became known that other events may wait for.
    pub(crate) has_new_ids: bool,
}

/// A license that changes.
struct ChangedLicense {
    id: LicenseId,
    outbox_entry: Uuid,
    /// The statement that returns its new terms.
    statement: usize,
}

impl CustomerUpdate<'_> {
    /// Writes everything and commits.
    pub(crate) async fn commit(mut self, hasher: &KeyHasher, tx: TenantTx<'static>) -> Result<CommitOutcome, Problem> {
        if self.owner.is_new_tenant {
            self.write_tenant();
        }
        if self.owner.is_new_customer || self.contact.is_some() {
            self.write_customer();
        }
        self.reassign_reversals();
        let (mut changed, mut has_new_ids) = (Vec::new(), self.owner.is_new_customer);
        for mut subscription in std::mem::take(&mut self.subscriptions).into_iter().filter(|s| s.is_modified) {
            match self.write_license(hasher, &mut subscription) {
                Ok(license) => changed.extend(license),
                Err(error) => return Ok(CommitOutcome::Rejected(error)),
            }
            has_new_ids |= subscription.is_new || !subscription.references.is_empty();
            self.write_subscription(&subscription);
        }
        let rows = self.statements.commit(tx).await?;
        self.transitions.iter().for_each(LicenseTransition::emit);
        let with_terms = |license: ChangedLicense| {
            let row = rows[license.statement].first()?;
            Some((license.id, license.outbox_entry, Terms::from_row(row)))
        };
        let licenses = changed.into_iter().filter_map(with_terms).collect();
        Ok(CommitOutcome::Committed(CommittedUpdate { tenant: self.owner.tenant, licenses, has_new_ids }))
    }

    /// Moves refunds and disputes to the subscription of their invoice.
    fn reassign_reversals(&mut self) {
        for place in 0..self.subscriptions.len() {
            let (before, rest) = self.subscriptions.split_at_mut(place);
            let Some((one, after)) = rest.split_first_mut() else { return };
            for other in before.iter_mut().chain(after).filter(|_| one.is_modified) {
                other.is_modified |= one.facts.take_over_reversals(&mut other.facts);
            }
        }
    }

    fn write_tenant(&mut self) {
        let contact = self.contact.clone().unwrap_or_default();
        let name = contact.name.or_else(|| contact.email.clone()).unwrap_or_else(|| self.owner.customer.clone());
        push_statement!(self.statements, queries::TENANT_INSERT, name.clone(), slug(&name, self.owner.tenant));
        // Stripe verifies no address: the owner is the person who can read its mail, and confirms it by `auth/claim`.
        if let Some(email) = contact.email {
            push_statement!(self.statements, queries::OWNER_CLAIM, Uuid::now_v7(), email);
        }
    }

    fn write_customer(&mut self) {
        let contact = self.contact.clone().unwrap_or_default();
        let deleted_at = self.deleted.then_some(self.cause.at);
        push_statement!(
            self.statements,
            queries::CUSTOMER_WRITE,
            self.owner.customer.clone(),
            self.cause.livemode,
            contact.email,
            contact.name,
            self.cause.at,
            deleted_at
        );
    }

    fn write_subscription(&mut self, subscription: &SubscriptionUpdate) {
        let facts = serde_json::to_value(&subscription.facts).expect("facts are plain data");
        let status = subscription.facts.status().and_then(|s| serde_json::to_value(s).ok());
        let status = status.and_then(|s| s.as_str().map(str::to_owned));
        push_statement!(
            self.statements,
            queries::SUBSCRIPTION_WRITE,
            subscription.id.clone(),
            self.owner.customer.clone(),
            facts,
            status,
            subscription.license.as_ref().map(|l| l.id)
        );
        if !subscription.references.is_empty() {
            push_statement!(
                self.statements,
                queries::REFERENCES_WRITE,
                subscription.id.clone(),
                subscription.references.clone()
            );
        }
    }

    /// Returns the license that follows from the known state of a subscription.
    pub(crate) fn wanted(&mut self, subscription: &str) -> Result<Option<License>, String> {
        let (facts, license) = {
            let known = self.subscription_mut(subscription);
            (known.facts.clone(), known.license.clone())
        };
        self.license_of(&facts, license.as_ref())
    }

    fn license_of(&self, facts: &Facts, known: Option<&License>) -> Result<Option<License>, String> {
        let Some(terms) = facts.terms(self.deleted, &self.catalogue) else {
            let inactive =
                |known: &License| License { standing: Standing::Inactive.as_str().to_owned(), ..known.clone() };
            return Ok(known.map(inactive));
        };
        let ends = terms.expires_at.is_some() || terms.standing.ends_sessions();
        let (plan, seats) = match (terms.plan_and_seats(&self.catalogue), known) {
            (Ok(found), _) => found,
            // A license that ends needs no price to end.
            (Err(_), Some(known)) if ends => (known.plan.clone(), known.seats),
            (Err(error), _) => return Err(error.to_string()),
        };
        Ok(Some(License {
            id: known.map_or_else(Uuid::now_v7, |l| l.id),
            plan,
            seats,
            standing: terms.standing.as_str().to_owned(),
            expires_at: terms.expires_at,
        }))
    }

    /// Issues or changes the license as the facts have it.
    fn write_license(
        &mut self,
        hasher: &KeyHasher,
        subscription: &mut SubscriptionUpdate,
    ) -> Result<Option<ChangedLicense>, String> {
        let Some(wanted) = self.license_of(&subscription.facts, subscription.license.as_ref())? else {
            return Ok(None);
        };
        let before = subscription.license.replace(wanted.clone());
        let changed = match &before {
            None => {
                self.issue_license(hasher, &wanted);
                None
            }
            Some(before) if *before != wanted => Some(self.change_license(before, &wanted)),
            Some(_) => None,
        };
        self.audit_reversal(subscription, &wanted);
        self.audit_unknown_prices(subscription, &wanted);
        self.write_mails(subscription, before.as_ref(), &wanted);
        Ok(changed)
    }

    fn issue_license(&mut self, hasher: &KeyHasher, license: &License) {
        let tier = self.tiers.get(&license.plan).copied();
        let key = LicenseKey::generate(Brand::Coditect, tier.map_or(KeyType::Pro, KeyType::from));
        let hash = hasher.hash(&key).to_vec();
        push_statement!(
            self.statements,
            queries::LICENSE_INSERT,
            license.id,
            license.plan.clone(),
            license.seats,
            license.standing.clone(),
            license.expires_at,
            hash,
            key.redacted()
        );
        self.write_audit("license.issued", license);
        self.transitions.push(LicenseTransition::Created(license.clone()));
        let entry = Uuid::now_v7();
        let sealed = hasher.seal(entry, &key);
        self.write_mail(
            entry,
            license,
            format!("key:{}", license.id),
            About::LicenseKey { seats: license.seats, replaces_key_until: None },
            Some(sealed),
        );
    }

    fn change_license(&mut self, before: &License, wanted: &License) -> ChangedLicense {
        let ends_sessions = |standing: &str| matches!(standing, "inactive" | "refunded" | "disputed");
        let ends_now = ends_sessions(&wanted.standing) && !ends_sessions(&before.standing);
        push_statement!(self.statements, seats::LICENSE_LOCK, wanted.id);
        let statement = push_statement!(
            self.statements,
            queries::LICENSE_CHANGE,
            wanted.id,
            wanted.plan.clone(),
            wanted.seats,
            wanted.standing.clone(),
            wanted.expires_at,
            ends_now
        );
        if ends_now {
            push_statement!(self.statements, queries::SESSIONS_END, wanted.id);
            self.transitions.push(LicenseTransition::Stopped(wanted.clone()));
        }
        self.write_audit("license.changed", wanted);
        let (id, outbox_entry) = (LicenseId::from_uuid(wanted.id), Uuid::now_v7());
        let payload = serde_json::to_value(SeatsChanged { license_id: id }).expect("an id is plain data");
        let once = format!("seats:{}:{}", wanted.id, self.cause.id);
        push_statement!(self.statements, OUTBOX_ADD, outbox_entry, "seats", once, payload, None::<Vec<u8>>);
        ChangedLicense { id, outbox_entry, statement }
    }

    /// Writes the customer's mails other than the one with the key.
    fn write_mails(&mut self, subscription: &mut SubscriptionUpdate, before: Option<&License>, now: &License) {
        for (once, about) in std::mem::take(&mut subscription.mails) {
            let is_current = match about {
                About::PaymentFailed { .. } => now.standing == "past_due",
                _ => now.expires_at.is_none(),
            };
            if is_current {
                self.write_mail(Uuid::now_v7(), now, once, about, None);
            }
        }
        if let Some(at) = now.expires_at.filter(|at| before.is_some_and(|b| b.expires_at != Some(*at))) {
            self.write_mail(
                Uuid::now_v7(),
                now,
                format!("ending:{}:{at}", subscription.id),
                About::Ending { at },
                None,
            );
        }
        let is_held = matches!(now.standing.as_str(), "refunded" | "disputed");
        if is_held && before.is_none_or(|b| b.standing != now.standing) {
            let once = format!("{}:{}:{}", now.standing, subscription.id, self.cause.id);
            self.write_mail(Uuid::now_v7(), now, once, About::Suspended { reason: now.standing.clone() }, None);
        }
    }

    fn write_mail(&mut self, entry: Uuid, license: &License, once: String, about: About, secret: Option<Vec<u8>>) {
        let mail = Mail {
            to: self.email.clone(),
            license_id: LicenseId::from_uuid(license.id),
            plan: license.plan.clone(),
            about,
        };
        let payload = serde_json::to_value(mail).expect("a mail is plain data");
        push_statement!(self.statements, OUTBOX_ADD, entry, "mail", once, payload, secret);
    }

    /// Records a reversal that holds nothing back, since it is not of the current period's payment, in the audit log.
    fn audit_reversal(&mut self, subscription: &mut SubscriptionUpdate, license: &License) {
        let Some(id) = subscription.reversal.take() else { return };
        let facts = &subscription.facts;
        if facts.has_reversal(&id) && !facts.is_held_by(&id, &self.catalogue) {
            tracing::warn!(license = %license.id, id, kind = self.cause.kind, "money was taken back, not of the current period");
            self.write_audit_once("license.payment_taken_back", license, &id);
        }
    }

    /// Records prices that the catalogue newly lacks in the audit log.
    fn audit_unknown_prices(&mut self, subscription: &SubscriptionUpdate, license: &License) {
        let unknown: Vec<String> = subscription.facts.unknown_prices(&self.catalogue).map(str::to_owned).collect();
        for price in unknown.iter().filter(|price| !subscription.unknown_before.contains(price)) {
            tracing::warn!(license = %license.id, price, "the catalogue lacks a price of a subscription");
            self.write_audit_once("license.price_unknown", license, price);
        }
    }

    /// Records in the audit log the refunds and disputes that an operator lifted.
    pub(crate) fn audit_lift(&mut self, license: LicenseId, lifted: &[String]) {
        let (action, detail) = ("license.resumed", json!({"billing": lifted}));
        let actor = self.cause.actor.to_owned();
        push_statement!(self.statements, queries::AUDIT, Uuid::now_v7(), actor, action, license.as_uuid(), detail);
    }

    fn write_audit_once(&mut self, action: &'static str, license: &License, about: &str) {
        let detail = json!({"event": self.cause.id, "type": self.cause.kind, "about": about});
        let once = format!("{action}:{}:{about}", license.id);
        push_statement!(
            self.statements,
            queries::AUDIT_ONCE,
            once,
            self.cause.actor.to_owned(),
            action,
            license.id,
            detail
        );
    }

    fn write_audit(&mut self, action: &'static str, license: &License) {
        let detail = json!({
            "event": self.cause.id, "type": self.cause.kind, "plan": license.plan, "seats": license.seats,
            "standing": license.standing, "expires_at": license.expires_at,
        });
        push_statement!(
            self.statements,
            queries::AUDIT,
            Uuid::now_v7(),
            self.cause.actor.to_owned(),
            action,
            license.id,
            detail
        );
    }
}

impl CommittedUpdate {
    /// Updates the licenses' terms in Redis. Where it doesn't answer, the outbox does it later.
    pub(crate) async fn publish(&self, db: &Db, seats: &Seats) {
        for (license, outbox, terms) in &self.licenses {
            let published = async {
                seats.set_terms(*license, terms).await?;
                let tx = db.tenant("outbox_done", self.tenant).await?;
                tx.finish([(queries::OUTBOX_DONE, &[outbox])]).await.map(drop)
            };
            if let Err(problem) = published.await {
                let cause = problem.internal().unwrap_or_default();
                tracing::warn!(%license, cause, "Redis is told of the license's change by the outbox");
            }
        }
    }
}

/// Returns a unique slug: the readable part of the name, and a part of the tenant's id.
fn slug(name: &str, tenant: TenantId) -> String {
    let words: String =
        name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    let words: Vec<&str> = words.split('-').filter(|word| !word.is_empty()).collect();
    let id = tenant.as_uuid().simple().to_string();
    let tail = &id[id.len() - 8..];
    if words.is_empty() { format!("t-{tail}") } else { format!("{}-{tail}", words.join("-")) }
}
