//! `ops outbox deliver`: delivers the due entries of the outbox, at least once each.
//!
//! Per entry, with what a crash leaves after each step:
//!
//! 1. Lease: one attempt more, due again in five minutes. Another deliverer does not see it; after a crash it is tried again.
//! 2. Send: the mail server, standard output or Redis has it. After a crash it is sent once more; a mail has the same id then.
//! 3. Mark it delivered and wipe its secret, in one statement; or record the error, and when to try again.
//!
//! Entries don't wait for each other, and a bad one is passed over.

mod delivery_error;
mod destinations;

pub use destinations::Destinations;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;

use common::license_key::KeyHasher;
use common::outbox::{self, KeyFound, Mail, SeatsChanged};
use common::{LogEvent, Problem};
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use lettre::message::Mailbox;
use protocol::id::TenantId;
use protocol::key::LicenseKey;
use protocol::problem::Code;
use seats::Seats;
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use uuid::Uuid;

use crate::license::LICENSE_TERMS;
use crate::mail_template::{self, MailTemplate, MailTemplateError};
use crate::mailer::{Mailer, SendError};
use crate::ops_context::OpsContext;
use crate::printer::{Failure, Output, StreamedList};
use crate::rehash::{Rehashed, rehash};
use crate::stop;
use delivery_error::{DeliveryError, cause, database_error, sanitized, undecryptable_key};

/// Selects the due entries of all tenants: id and tenant only.
const DUE: &str = "/* outbox_due */ select tenant_id, id from outbox_due($1)";
/// Leases an entry, without waiting for one that another deliverer has locked.
const LEASE: &str = "/* outbox_lease */
    with free as materialized (
        select id from outbox
        where id = $1 and delivered_at is null and dead_at is null and next_attempt_at <= now() for update skip locked
    )
    update outbox o set attempts = o.attempts + 1, next_attempt_at = now() + interval '5 minutes'
    from free where o.id = free.id
    returning o.kind, o.payload, o.secret, o.attempts, (select name from tenants),
              (select u.email from users u where u.role = 'owner' and u.erase_at is null
               order by u.claimed_at is not null, u.created_at, u.id limit 1),
              extract(epoch from now() - o.created_at)::double precision";
const DELIVERED: &str = "/* outbox_delivered */
    update outbox set delivered_at = now(), secret = null, last_error = null, dead_at = null
    where id = $1 and delivered_at is null";
/// Notes a failed attempt. The next one is due after a minute to six hours, doubling, and off by up to a quarter so that
/// entries that failed together are not tried together. An attempt that was overtaken by an operator or a later attempt changes
/// nothing.
const FAILED: &str = "/* outbox_failed */
    update outbox set last_error = $2, dead_at = case when attempts >= $3 then now() end,
        next_attempt_at = now() + interval '1 minute' * (least(2 ^ least(attempts - 1, 20), 360) * (0.75 + random() / 2))
    where id = $1 and attempts = $4 and delivered_at is null and dead_at is null
    returning dead_at is not null, next_attempt_at";

/// Attempts before an entry is given up: most of a day.
const MAX_ATTEMPTS: i32 = 12;
/// Attempts before a mail is given up that the mail server refuses permanently.
const MAX_ATTEMPTS_REFUSED: i32 = 3;
/// Number of entries that are fetched at once.
const BATCH: usize = 64;
/// Maximum number of entries that are delivered at once, so that a slow mail server delays few.
const MAX_CONCURRENT: usize = 8;

struct Deliverer<'a> {
    ops: &'a OpsContext,
    seats: Seats,
    hasher: KeyHasher,
    mailer: Mailer,
    list: StreamedList,
    stop: Receiver<bool>,
    /// True once standard output is closed by its reader.
    stdout_closed: Cell<bool>,
    json: bool,
    delivered: Cell<usize>,
    failed: Cell<usize>,
    failures: RefCell<Vec<Value>>,
}

/// An entry that this process has leased.
struct Entry {
    id: Uuid,
    tenant: TenantId,
    kind: String,
    payload: Value,
    secret: Option<Vec<u8>>,
    attempts: i32,
    tenant_name: String,
    owner: Option<String>,
    age_seconds: f64,
}

impl Entry {
    fn emit_attempt(&self, outcome: &str) {
        let attempt = u64::from(self.attempts.unsigned_abs());
        LogEvent::OutboxTried { kind: &self.kind, outcome, attempt, age_seconds: self.age_seconds }.emit();
    }
}

/// Delivers what is due, once or with `watch` until it is stopped, looking again after so many seconds.
///
/// # Errors
/// When something could not be delivered, or the database is away.
pub async fn deliver(
    ops: &OpsContext,
    Destinations { seats, hasher, mailer }: Destinations,
    json: bool,
    watch: Option<u32>,
) -> Result<Output, Failure> {
    if json && watch.is_some() {
        return Err(Failure::Usage(
            "--json prints one object, which --watch would never end. Leave one of them out.".to_owned(),
        ));
    }
    let deliverer = Deliverer {
        ops,
        seats,
        hasher,
        mailer,
        list: StreamedList::new(json),
        stop: stop::shutdown_receiver()?,
        stdout_closed: Cell::new(false),
        json,
        delivered: Cell::new(0),
        failed: Cell::new(0),
        failures: RefCell::default(),
    };
    let ended = match watch {
        None => deliverer.round().await,
        Some(seconds) => deliverer.rounds(seconds).await,
    };
    deliverer.mailer.close().await;
    deliverer.report(ended)
}

impl Deliverer<'_> {
    async fn rounds(&self, seconds: u32) -> Result<(), Failure> {
        let mut stop = self.stop.clone();
        loop {
            let ended = self.round().await;
            if *stop.borrow_and_update() || self.stdout_closed.get() {
                return ended;
            }
            if let Err(failure) = ended {
                self.list.message(failure.message());
            }
            let pause = tokio::time::sleep(std::time::Duration::from_secs(seconds.into()));
            tokio::select! { () = pause => {}, _ = stop.changed() => return Ok(()) }
        }
    }

    /// Delivers all entries that are due, also those that become due meanwhile.
    async fn round(&self) -> Result<(), Failure> {
        let before = (self.delivered.get(), self.failed.get());
        let ended = self.deliver_due().await;
        let (delivered, failed) = (self.delivered.get() - before.0, self.failed.get() - before.1);
        let outcome = if ended.is_ok() { "done" } else { "broken" };
        LogEvent::OutboxRound { outcome, delivered: delivered as u64, failed: failed as u64 }.emit();
        // An unreachable database is reported already.
        if let Ok(waiting) = outbox::waiting(&self.ops.db).await {
            waiting.emit();
        }
        ended
    }

    async fn deliver_due(&self) -> Result<(), Failure> {
        let mut seen = HashSet::new();
        loop {
            // Entries that other deliverers have leased stay due for a moment, and must not hide the ones behind them.
            let most = i32::try_from(BATCH + seen.len()).unwrap_or(i32::MAX);
            let rows = self.ops.db.outside_tenants((DUE, &[&most])).await?;
            let due: Vec<(Uuid, Uuid)> = rows.iter().map(|r| (r.get(0), r.get(1))).collect();
            let fresh: Vec<_> = due.into_iter().filter(|(_, id)| seen.insert(*id)).take(BATCH).collect();
            if fresh.is_empty() || *self.stop.borrow() {
                return Ok(());
            }
            let entries = stream::iter(fresh).map(|(tenant, id)| self.process(TenantId::from_uuid(tenant), id));
            // All of them come to their end, also when the database goes away for one.
            let ended: Vec<_> = entries.buffer_unordered(MAX_CONCURRENT).collect().await;
            ended.into_iter().collect::<Result<(), _>>()?;
        }
    }

    async fn process(&self, tenant: TenantId, id: Uuid) -> Result<(), Failure> {
        if *self.stop.borrow() {
            return Ok(());
        }
        let entry = match self.lease(tenant, id).await {
            Ok(Some(entry)) => entry,
            Ok(None) => return Ok(()),
            Err(problem) => return self.keep_due(id, problem),
        };
        let key = entry.secret.as_ref().and_then(|secret| self.hasher.unseal(id, secret));
        let error = match self.deliver_entry(&entry, key.as_deref()).await {
            Ok(()) => return self.mark_delivered(&entry).await,
            Err(error) => error,
        };
        let (why, attempts) = match error {
            DeliveryError::Transient(why) => (why, MAX_ATTEMPTS),
            DeliveryError::Permanent(why) => (why, MAX_ATTEMPTS_REFUSED),
            DeliveryError::InvalidEntry(why) => (why, 0),
            DeliveryError::Fatal(failure) => return Err(failure),
        };
        self.postpone(&entry, &sanitized(&why, key.as_deref()), attempts).await
    }

    async fn lease(&self, tenant: TenantId, id: Uuid) -> Result<Option<Entry>, Problem> {
        let tx = self.ops.db.tenant("outbox_lease", tenant).await?;
        let [rows] = tx.finish([(LEASE, &[&id])]).await?;
        Ok(rows.first().map(|r| Entry {
            id,
            tenant,
            kind: r.get(0),
            payload: r.get(1),
            secret: r.get(2),
            attempts: r.get(3),
            tenant_name: r.get::<_, Option<String>>(4).unwrap_or_default(),
            owner: r.get(5),
            age_seconds: r.get(6),
        }))
    }

    async fn deliver_entry(&self, entry: &Entry, key: Option<&str>) -> Result<(), DeliveryError> {
        if entry.attempts > MAX_ATTEMPTS {
            return Err(DeliveryError::InvalidEntry(
                "Every attempt ended without a word, the program with it.".to_owned(),
            ));
        }
        match entry.kind.as_str() {
            "mail" => self.mail(entry, key).await,
            "rehash" => self.rehash(entry, key).await,
            _ => self.update_seats(entry).await,
        }
    }

    async fn mail(&self, entry: &Entry, key: Option<&str>) -> Result<(), DeliveryError> {
        let mail: Mail = serde_json::from_value(entry.payload.clone())
            .map_err(|e| DeliveryError::InvalidEntry(format!("The entry is no mail that this release knows: {e}.")))?;
        if entry.secret.is_some() && key.is_none() {
            return Err(undecryptable_key());
        }
        let template = MailTemplate::render(&mail, &entry.tenant_name, key).map_err(|e| {
            DeliveryError::InvalidEntry(match e {
                MailTemplateError::MissingKey => {
                    "The license key is not in the entry. Issue another license.".to_owned()
                }
                MailTemplateError::InvalidTime => "The entry names a time that no calendar has.".to_owned(),
            })
        })?;
        let to = mail_template::recipient(mail.to.as_deref(), entry.owner.as_deref(), &entry.tenant_name);
        let to = to.map_err(DeliveryError::InvalidEntry)?;
        if self.mailer.prints() {
            return self.print(entry, &to, &template);
        }
        self.mailer.send(entry.id, &to, &template).await.map_err(|e| match e {
            SendError::Transient(why) => DeliveryError::Transient(why),
            SendError::Permanent(why) => DeliveryError::Permanent(why),
        })
    }

    fn print(&self, entry: &Entry, to: &Mailbox, template: &MailTemplate) -> Result<(), DeliveryError> {
        let fields = [
            ("from", json!(self.mailer.from.to_string())),
            ("to", json!(to.to_string())),
            ("message_id", json!(self.mailer.message_id(entry.id))),
            ("subject", json!(template.subject)),
        ];
        self.list.item(&fields, &template.text).map_err(|e| {
            self.stdout_closed.set(true);
            DeliveryError::Fatal(Failure::Broken(format!(
                "Standard output takes no mail: {e}. What was not printed stays due."
            )))
        })
    }

    async fn rehash(&self, entry: &Entry, key: Option<&str>) -> Result<(), DeliveryError> {
        let found: KeyFound = serde_json::from_value(entry.payload.clone())
            .map_err(|e| DeliveryError::InvalidEntry(format!("The entry names no license: {e}.")))?;
        let key: LicenseKey = key.ok_or_else(undecryptable_key)?.parse().map_err(|_| undecryptable_key())?;
        match rehash(&self.ops.db, &self.hasher, entry.tenant, &found, &key).await {
            Ok(Rehashed::Done) => Ok(()),
            Ok(Rehashed::ForeignKey) => Err(DeliveryError::InvalidEntry(format!(
                "The key in it is no key of the license {}, which keeps its own.",
                found.license_id
            ))),
            Err(problem) => Err(database_error(problem)),
        }
    }

    async fn update_seats(&self, entry: &Entry) -> Result<(), DeliveryError> {
        let SeatsChanged { license_id } = serde_json::from_value(entry.payload.clone())
            .map_err(|e| DeliveryError::InvalidEntry(format!("The entry names no license: {e}.")))?;
        let read = async {
            let tx = self.ops.db.tenant("license_terms", entry.tenant).await?;
            tx.finish([(LICENSE_TERMS, &[&license_id.as_uuid()])]).await
        };
        let [rows] = read.await.map_err(database_error)?;
        let row =
            rows.first().ok_or_else(|| DeliveryError::InvalidEntry(format!("There is no license {license_id}.")))?;
        self.seats
            .set_terms(license_id, &seats::Terms::from_row(row))
            .await
            .map_err(|e| DeliveryError::Transient(cause(&e)))
    }

    /// Marks a delivered entry. This is tried twice, since an entry that isn't marked is delivered again.
    async fn mark_delivered(&self, entry: &Entry) -> Result<(), Failure> {
        let mark = || async {
            let tx = self.ops.db.tenant("outbox_delivered", entry.tenant).await?;
            tx.finish([(DELIVERED, &[&entry.id])]).await
        };
        let marked = match mark().await {
            Ok(_) => Ok(()),
            Err(_) => mark().await.map(drop),
        };
        self.delivered.set(self.delivered.get() + 1);
        entry.emit_attempt("delivered");
        marked.map_err(|e| {
            Failure::Broken(format!(
                "Entry {} was delivered, but that could not be noted ({}): it will be delivered once more.",
                entry.id,
                cause(&e)
            ))
        })
    }

    async fn postpone(&self, entry: &Entry, why: &str, attempts: i32) -> Result<(), Failure> {
        let note = async {
            let tx = self.ops.db.tenant("outbox_failed", entry.tenant).await?;
            tx.finish([(FAILED, &[&entry.id, &why, &attempts, &entry.attempts])]).await
        };
        let [rows] = match note.await {
            Ok(rows) => rows,
            Err(problem) => return self.keep_due(entry.id, problem),
        };
        let Some(row) = rows.first() else { return Ok(()) };
        let (dead, id) = (row.get::<_, bool>(0), entry.id);
        entry.emit_attempt(if dead { "given_up" } else { "put_off" });
        let next = match dead {
            true => format!("It is given up: `ops outbox retry {id}` makes it due again."),
            false => format!("It is tried again at {:.0}.", row.get::<_, Timestamp>(1)),
        };
        self.record_failure(id, why, dead, &next);
        Ok(())
    }

    /// Records that an entry could not be leased or marked. One tenant's entry that even the database can't handle is no
    /// reason to leave the others; an unreachable database is.
    fn keep_due(&self, id: Uuid, problem: Problem) -> Result<(), Failure> {
        if problem.code() == Code::Unavailable {
            return Err(problem.into());
        }
        self.record_failure(id, &sanitized(&cause(&problem), None), false, "It stays due.");
        Ok(())
    }

    fn record_failure(&self, id: Uuid, why: &str, dead: bool, next: &str) {
        let stop = if why.ends_with('.') { "" } else { "." };
        self.list.message(&format!("Entry {id} was not delivered: {why}{stop} {next}"));
        self.failed.set(self.failed.get() + 1);
        // Watching has no end, and no object at it.
        if self.json {
            self.failures.borrow_mut().push(json!({"id": id, "error": why, "dead": dead}));
        }
    }

    fn report(self, ended: Result<(), Failure>) -> Result<Output, Failure> {
        let (delivered, failed) = (self.delivered.get(), self.failed.get());
        let (error, status) = match &ended {
            Err(failure) => (Some(failure.message().to_owned()), failure.status()),
            Ok(()) if failed > 0 => (Some(format!("{failed} could not be delivered. `ops outbox list` shows why.")), 1),
            Ok(()) => (None, 0),
        };
        let summary = format!("{delivered} delivered.");
        self.list.message(&error.iter().fold(summary, |said, error| format!("{said} {error}")));
        let mut rest = vec![("delivered", json!(delivered)), ("failures", Value::Array(self.failures.into_inner()))];
        rest.extend(error.map(|error| ("error", json!(error))));
        let closed = self.list.close(&rest);
        match (status, closed) {
            (0, Ok(())) => Ok(Output::Streamed),
            (0, Err(_)) => Err(Failure::Streamed(2)),
            (status, _) => Err(Failure::Streamed(status)),
        }
    }
}
