//! The statements of an update.

use common::outbox::{About, Mail, OUTBOX_ADD, SeatsChanged};
use protocol::id::{LicenseId, TenantId};
use protocol::key::{Brand, KeyType, LicenseKey};
use serde_json::json;
use stripe::facts::{Facts, Standing};
use uuid::Uuid;

use super::{CustomerUpdate, LicenseTransition, SubscriptionUpdate};
use crate::event_store::EventStore;
use crate::queries::{self, License};

impl CustomerUpdate<'_> {
    pub(super) fn write_tenant(&mut self) {
        let contact = self.contact.clone().unwrap_or_default();
        let name = contact.name.or_else(|| contact.email.clone()).unwrap_or_else(|| self.owner.customer.clone());
        self.statements
            .push(queries::TENANT_INSERT, [Box::new(name.clone()), Box::new(slug(&name, self.owner.tenant))]);
        // Stripe verifies no address: the owner is the person who can read its mail, and confirms it by `auth/claim`.
        if let Some(email) = contact.email {
            self.statements.push(queries::OWNER_CLAIM, [Box::new(Uuid::now_v7()), Box::new(email)]);
        }
    }

    pub(super) fn write_customer(&mut self) {
        let contact = self.contact.clone().unwrap_or_default();
        let deleted_at = self.deleted.then_some(self.cause.at);
        self.statements.push(
            queries::CUSTOMER_WRITE,
            [
                Box::new(self.owner.customer.clone()),
                Box::new(self.cause.livemode),
                Box::new(contact.email),
                Box::new(contact.name),
                Box::new(self.cause.at),
                Box::new(deleted_at),
            ],
        );
    }

    pub(super) fn write_subscription(&mut self, subscription: &SubscriptionUpdate) {
        let facts = serde_json::to_value(&subscription.facts).expect("facts are plain data");
        let status = subscription.facts.status().and_then(|s| serde_json::to_value(s).ok());
        let status = status.and_then(|s| s.as_str().map(str::to_owned));
        self.statements.push(
            queries::SUBSCRIPTION_WRITE,
            [
                Box::new(subscription.id.clone()),
                Box::new(self.owner.customer.clone()),
                Box::new(facts),
                Box::new(status),
                Box::new(subscription.license.as_ref().map(|l| l.id)),
            ],
        );
        if !subscription.references.is_empty() {
            self.statements.push(
                queries::REFERENCES_WRITE,
                [Box::new(subscription.id.clone()), Box::new(subscription.references.clone())],
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

    /// Creates or changes the license as the facts have it. Returns license, outbox entry and the statement that returns its terms.
    pub(super) fn write_license(
        &mut self,
        store: &EventStore,
        subscription: &mut SubscriptionUpdate,
    ) -> Result<Option<(Uuid, Uuid, usize)>, String> {
        let Some(wanted) = self.license_of(&subscription.facts, subscription.license.as_ref())? else {
            return Ok(None);
        };
        let before = subscription.license.replace(wanted.clone());
        let statement = match &before {
            None => {
                self.issue_license(store, &wanted);
                None
            }
            Some(before) if *before != wanted => Some(self.change_license(before, &wanted)),
            Some(_) => None,
        };
        self.audit_reversal(subscription, &wanted);
        self.audit_unknown_prices(subscription, &wanted);
        self.write_mails(subscription, before.as_ref(), &wanted);
        Ok(statement.map(|(outbox, place)| (wanted.id, outbox, place)))
    }

    fn issue_license(&mut self, store: &EventStore, license: &License) {
        let tier = self.tiers.get(&license.plan).copied();
        let key = LicenseKey::generate(Brand::Coditect, tier.map_or(KeyType::Pro, KeyType::from));
        let hash = store.hasher.hash(&key).to_vec();
        self.statements.push(
            queries::LICENSE_INSERT,
            [
                Box::new(license.id),
                Box::new(license.plan.clone()),
                Box::new(license.seats),
                Box::new(license.standing.clone()),
                Box::new(license.expires_at),
                Box::new(hash),
                Box::new(key.redacted()),
            ],
        );
        self.write_audit("license.issued", license);
        self.transitions.push(LicenseTransition::Created(license.clone()));
        let entry = Uuid::now_v7();
        let sealed = store.hasher.seal(entry, &key);
        self.write_mail(
            entry,
            license,
            format!("key:{}", license.id),
            About::LicenseKey { seats: license.seats, replaces_key_until: None },
            Some(sealed),
        );
    }

    fn change_license(&mut self, before: &License, wanted: &License) -> (Uuid, usize) {
        let ends_sessions = |standing: &str| matches!(standing, "inactive" | "refunded" | "disputed");
        let ends_now = ends_sessions(&wanted.standing) && !ends_sessions(&before.standing);
        self.statements.push(seats::LICENSE_LOCK, [Box::new(wanted.id)]);
        let statement = self.statements.0.len();
        self.statements.push(
            queries::LICENSE_CHANGE,
            [
                Box::new(wanted.id),
                Box::new(wanted.plan.clone()),
                Box::new(wanted.seats),
                Box::new(wanted.standing.clone()),
                Box::new(wanted.expires_at),
                Box::new(ends_now),
            ],
        );
        if ends_now {
            self.statements.push(queries::SESSIONS_END, [Box::new(wanted.id)]);
            self.transitions.push(LicenseTransition::Stopped(wanted.clone()));
        }
        self.write_audit("license.changed", wanted);
        let entry = Uuid::now_v7();
        let payload = SeatsChanged { license_id: LicenseId::from_uuid(wanted.id) };
        let payload = serde_json::to_value(payload).expect("an id is plain data");
        let once = format!("seats:{}:{}", wanted.id, self.cause.id);
        self.statements.push(
            OUTBOX_ADD,
            [Box::new(entry), Box::new("seats"), Box::new(once), Box::new(payload), Box::new(None::<Vec<u8>>)],
        );
        (entry, statement)
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
        self.statements
            .push(OUTBOX_ADD, [Box::new(entry), Box::new("mail"), Box::new(once), Box::new(payload), Box::new(secret)]);
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
        self.statements.push(
            queries::AUDIT,
            [
                Box::new(Uuid::now_v7()),
                Box::new(actor),
                Box::new(action),
                Box::new(license.as_uuid()),
                Box::new(detail),
            ],
        );
    }

    fn write_audit_once(&mut self, action: &'static str, license: &License, about: &str) {
        let detail = json!({"event": self.cause.id, "type": self.cause.kind, "about": about});
        let once = format!("{action}:{}:{about}", license.id);
        self.statements.push(
            queries::AUDIT_ONCE,
            [
                Box::new(once),
                Box::new(self.cause.actor.to_owned()),
                Box::new(action),
                Box::new(license.id),
                Box::new(detail),
            ],
        );
    }

    fn write_audit(&mut self, action: &'static str, license: &License) {
        let detail = json!({
            "event": self.cause.id, "type": self.cause.kind, "plan": license.plan, "seats": license.seats,
            "standing": license.standing, "expires_at": license.expires_at,
        });
        self.statements.push(
            queries::AUDIT,
            [
                Box::new(Uuid::now_v7()),
                Box::new(self.cause.actor.to_owned()),
                Box::new(action),
                Box::new(license.id),
                Box::new(detail),
            ],
        );
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
