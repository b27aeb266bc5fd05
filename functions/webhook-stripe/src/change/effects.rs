//! The statements of a change.

use common::outbox::{About, Mail, OUTBOX_ADD, SeatsChanged};
use protocol::id::{LicenseId, TenantId};
use protocol::key::{Brand, KeyType, LicenseKey};
use serde_json::json;
use stripe::facts::{Facts, Standing};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{Change, Turn, Working, write};
use crate::ledger::Ledger;
use crate::queries::{self, License};

impl Change<'_> {
    pub(super) fn write_tenant(&mut self) {
        let contact = self.contact.clone().unwrap_or_default();
        let name = contact.name.or_else(|| contact.email.clone()).unwrap_or_else(|| self.owner.customer.clone());
        write!(self.writes, queries::TENANT_INSERT, name.clone(), slug(&name, self.owner.tenant));
        // Stripe verifies no address: the owner is the person who can read its mail, and says so by `auth/claim`.
        if let Some(email) = contact.email {
            write!(self.writes, queries::OWNER_CLAIM, Uuid::now_v7(), email);
        }
    }

    pub(super) fn write_customer(&mut self) {
        let contact = self.contact.clone().unwrap_or_default();
        let deleted_at = self.deleted.then_some(self.cause.at);
        write!(
            self.writes,
            queries::CUSTOMER_WRITE,
            self.owner.customer.clone(),
            self.cause.livemode,
            contact.email,
            contact.name,
            self.cause.at,
            deleted_at
        );
    }

    pub(super) fn write_subscription(&mut self, subscription: &Working) {
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

    /// Returns the license that follows from the known state of a subscription.
    pub(crate) fn wanted(&mut self, subscription: &str) -> Result<Option<License>, String> {
        let (facts, license) = {
            let known = self.working(subscription);
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
            (Err(unfit), _) => return Err(unfit.to_string()),
        };
        Ok(Some(License {
            id: known.map_or_else(Uuid::now_v7, |l| l.id),
            plan,
            seats,
            standing: terms.standing.as_str().to_owned(),
            expires_at: terms.expires_at,
        }))
    }

    /// Brings the license to what the facts say. Answers license, outbox entry and the statement that reports its terms.
    pub(super) fn write_license(
        &mut self,
        ledger: &Ledger,
        subscription: &mut Working,
    ) -> Result<Option<(Uuid, Uuid, usize)>, String> {
        let Some(wanted) = self.license_of(&subscription.facts, subscription.license.as_ref())? else {
            return Ok(None);
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
        self.note_taking(subscription, &wanted);
        self.note_unknown_prices(subscription, &wanted);
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
        self.turns.push(Turn::Created(license.clone()));
        let entry = Uuid::now_v7();
        let sealed = ledger.hasher.seal(entry, &key);
        self.mail(
            entry,
            license,
            format!("key:{}", license.id),
            About::LicenseKey { seats: license.seats, replaces_key_until: None },
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
            self.turns.push(Turn::Stopped(wanted.clone()));
        }
        self.audit("license.changed", wanted);
        let entry = Uuid::now_v7();
        let payload = SeatsChanged { license_id: LicenseId::from_uuid(wanted.id) };
        let payload = serde_json::to_value(payload).expect("an id is plain data");
        let once = format!("seats:{}:{}", wanted.id, self.cause.id);
        write!(self.writes, OUTBOX_ADD, entry, "seats", once, payload, None::<Vec<u8>>);
        (entry, statement)
    }

    /// Writes the customer's mails other than the one with the key.
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
            let once = format!("{}:{}:{}", now.standing, subscription.id, self.cause.id);
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

    /// Records, for operators, money that was taken back while the payment of the current period stands.
    fn note_taking(&mut self, subscription: &mut Working, license: &License) {
        let Some(id) = subscription.taking.take() else { return };
        let facts = &subscription.facts;
        if facts.stands(&id) && !facts.is_held_by(&id, &self.catalogue) {
            tracing::warn!(license = %license.id, id, kind = self.cause.kind, "money was taken back, not of the current period");
            self.audit_once("license.payment_taken_back", license, &id);
        }
    }

    fn note_unknown_prices(&mut self, subscription: &Working, license: &License) {
        let unknown: Vec<String> = subscription.facts.unknown_prices(&self.catalogue).map(str::to_owned).collect();
        for price in unknown.iter().filter(|price| !subscription.unknown_before.contains(price)) {
            tracing::warn!(license = %license.id, price, "the catalogue lacks a price of a subscription");
            self.audit_once("license.price_unknown", license, price);
        }
    }

    /// Records in the audit log the refunds and disputes that an operator lifted.
    pub(crate) fn audit_lift(&mut self, license: LicenseId, lifted: &[String]) {
        let (action, detail) = ("license.resumed", json!({"billing": lifted}));
        let actor = self.cause.actor.to_owned();
        write!(self.writes, queries::AUDIT, Uuid::now_v7(), actor, action, license.as_uuid(), detail);
    }

    fn audit_once(&mut self, action: &'static str, license: &License, about: &str) {
        let detail = json!({"event": self.cause.id, "type": self.cause.kind, "about": about});
        let once = format!("{action}:{}:{about}", license.id);
        write!(self.writes, queries::AUDIT_ONCE, once, self.cause.actor.to_owned(), action, license.id, detail);
    }

    fn audit(&mut self, action: &'static str, license: &License) {
        let detail = json!({
            "event": self.cause.id, "type": self.cause.kind, "plan": license.plan, "seats": license.seats,
            "standing": license.standing, "expires_at": license.expires_at,
        });
        write!(self.writes, queries::AUDIT, Uuid::now_v7(), self.cause.actor.to_owned(), action, license.id, detail);
    }
}

/// Makes a slug that is unique: the readable part of the name, and a piece of the tenant's id.
fn slug(name: &str, tenant: TenantId) -> String {
    let words: String =
        name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    let words: Vec<&str> = words.split('-').filter(|word| !word.is_empty()).collect();
    let id = tenant.as_uuid().simple().to_string();
    let tail = &id[id.len() - 8..];
    if words.is_empty() { format!("t-{tail}") } else { format!("{}-{tail}", words.join("-")) }
}
