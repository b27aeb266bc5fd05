//! `ops outbox deliver`: delivers the due entries of the outbox, at least once each.
//!
//! Per entry, with what a crash leaves after each step:
//!
//! 1. Lease: one attempt more, due again in five minutes. Another deliverer does not see it; after a crash it is tried again.
//! 2. Send: the mail server, standard output or Redis has it. After a crash it is sent once more; a mail has the same id then.
//! 3. Mark it delivered and wipe its secret, in one statement; or note why not, and when to try again.
//!
//! Entries don't wait for each other, and a bad one is passed over.

mod obstacle;

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

use crate::letter::{self, Letter, Unsayable};
use crate::license::LICENSE_TERMS;
use crate::office::Office;
use crate::post::{Post, Undelivered};
use crate::printer::{Failure, Roll, Shown};
use crate::rehash::{Rehashed, rehash};
use crate::stop;
use obstacle::{Obstacle, not_decrypted, of_database};

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
const ATTEMPTS: i32 = 12;
/// Attempts before a mail is given up that the mail server refuses permanently.
const ATTEMPTS_REFUSED: i32 = 3;
/// Number of entries that are fetched at once.
const BATCH: usize = 64;
/// Number of entries that are delivered at once, so that a slow mail server delays few.
const AT_ONCE: usize = 8;
/// Maximum length of a stored error, in characters.
const ERROR_MAX: usize = 500;

struct Deliverer<'a> {
    office: &'a Office,
    seats: Seats,
    hasher: KeyHasher,
    post: Post,
    roll: Roll,
    stop: Receiver<bool>,
    /// True once standard output is closed by its reader.
    unread: Cell<bool>,
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
    fn tell(&self, outcome: &str) {
        let attempt = u64::from(self.attempts.unsigned_abs());
        LogEvent::OutboxTried { kind: &self.kind, outcome, attempt, age_seconds: self.age_seconds }.emit();
    }
}

/// Delivers what is due, once or with `watch` until it is stopped, looking again after so many seconds.
///
/// # Errors
/// When something could not be delivered, or the database is away.
pub async fn deliver(office: &Office, json: bool, watch: Option<u32>) -> Result<Shown, Failure> {
    if json && watch.is_some() {
        return Err(Failure::Usage(
            "--json prints one object, which --watch would never end. Leave one of them out.".to_owned(),
        ));
    }
    let deliverer = Deliverer {
        office,
        seats: office.seats()?,
        hasher: office.hasher()?,
        post: office.post()?,
        roll: Roll::new(json),
        stop: stop::asked_to()?,
        unread: Cell::new(false),
        json,
        delivered: Cell::new(0),
        failed: Cell::new(0),
        failures: RefCell::default(),
    };
    let ended = match watch {
        None => deliverer.round().await,
        Some(seconds) => deliverer.rounds(seconds).await,
    };
    deliverer.post.close().await;
    deliverer.report(ended)
}

impl Deliverer<'_> {
    async fn rounds(&self, seconds: u32) -> Result<(), Failure> {
        let mut stop = self.stop.clone();
        loop {
            let ended = self.round().await;
            if *stop.borrow_and_update() || self.unread.get() {
                return ended;
            }
            if let Err(failure) = ended {
                self.roll.say(failure.message());
            }
            let pause = tokio::time::sleep(std::time::Duration::from_secs(seconds.into()));
            tokio::select! { () = pause => {}, _ = stop.changed() => return Ok(()) }
        }
    }

    /// Delivers all entries that are due, also those that become due meanwhile.
    async fn round(&self) -> Result<(), Failure> {
        let before = (self.delivered.get(), self.failed.get());
        let ended = self.gone_through().await;
        let (delivered, failed) = (self.delivered.get() - before.0, self.failed.get() - before.1);
        let outcome = if ended.is_ok() { "done" } else { "broken" };
        LogEvent::OutboxRound { outcome, delivered: delivered as u64, failed: failed as u64 }.emit();
        // An unreachable database is reported already.
        if let Ok(waiting) = outbox::waiting(&self.office.db).await {
            waiting.emit();
        }
        ended
    }

    async fn gone_through(&self) -> Result<(), Failure> {
        let mut seen = HashSet::new();
        loop {
            // Entries that other deliverers have leased stay due for a moment, and must not hide the ones behind them.
            let most = i32::try_from(BATCH + seen.len()).unwrap_or(i32::MAX);
            let rows = self.office.db.outside_tenants((DUE, &[&most])).await?;
            let due: Vec<(Uuid, Uuid)> = rows.iter().map(|r| (r.get(0), r.get(1))).collect();
            let fresh: Vec<_> = due.into_iter().filter(|(_, id)| seen.insert(*id)).take(BATCH).collect();
            if fresh.is_empty() || *self.stop.borrow() {
                return Ok(());
            }
            let entries = stream::iter(fresh).map(|(tenant, id)| self.entry(TenantId::from_uuid(tenant), id));
            // All of them come to their end, also when the database goes away for one.
            let ended: Vec<_> = entries.buffer_unordered(AT_ONCE).collect().await;
            ended.into_iter().collect::<Result<(), _>>()?;
        }
    }

    async fn entry(&self, tenant: TenantId, id: Uuid) -> Result<(), Failure> {
        if *self.stop.borrow() {
            return Ok(());
        }
        let entry = match self.lease(tenant, id).await {
            Ok(Some(entry)) => entry,
            Ok(None) => return Ok(()),
            Err(problem) => return self.not_taken(id, problem),
        };
        let key = entry.secret.as_ref().and_then(|secret| self.hasher.unseal(id, secret));
        let obstacle = match self.hand_over(&entry, key.as_deref()).await {
            Ok(()) => return self.mark(&entry).await,
            Err(obstacle) => obstacle,
        };
        let (why, attempts) = match obstacle {
            Obstacle::ForNow(why) => (why, ATTEMPTS),
            Obstacle::ForGood(why) => (why, ATTEMPTS_REFUSED),
            Obstacle::InEntry(why) => (why, 0),
            Obstacle::Ours(failure) => return Err(failure),
        };
        self.put_off(&entry, &presentable(&why, key.as_deref()), attempts).await
    }

    async fn lease(&self, tenant: TenantId, id: Uuid) -> Result<Option<Entry>, Problem> {
        let tx = self.office.db.tenant("outbox_lease", tenant).await?;
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

    async fn hand_over(&self, entry: &Entry, key: Option<&str>) -> Result<(), Obstacle> {
        if entry.attempts > ATTEMPTS {
            return Err(Obstacle::InEntry("Every attempt ended without a word, the program with it.".to_owned()));
        }
        match entry.kind.as_str() {
            "mail" => self.mail(entry, key).await,
            "rehash" => self.rehash(entry, key).await,
            _ => self.tell_seats(entry).await,
        }
    }

    async fn mail(&self, entry: &Entry, key: Option<&str>) -> Result<(), Obstacle> {
        let mail: Mail = serde_json::from_value(entry.payload.clone())
            .map_err(|e| Obstacle::InEntry(format!("The entry is no mail that this release knows: {e}.")))?;
        if entry.secret.is_some() && key.is_none() {
            return Err(not_decrypted());
        }
        let letter = Letter::of(&mail, &entry.tenant_name, key).map_err(|e| {
            Obstacle::InEntry(match e {
                Unsayable::NoKey => "The license key is not in the entry. Issue another license.".to_owned(),
                Unsayable::NoTime => "The entry names a time that no calendar has.".to_owned(),
            })
        })?;
        let to = letter::recipient(mail.to.as_deref(), entry.owner.as_deref(), &entry.tenant_name);
        let to = to.map_err(Obstacle::InEntry)?;
        if self.post.prints() {
            return self.print(entry, &to, &letter);
        }
        self.post.send(entry.id, &to, &letter).await.map_err(|e| match e {
            Undelivered::ForNow(why) => Obstacle::ForNow(why),
            Undelivered::ForGood(why) => Obstacle::ForGood(why),
        })
    }

    fn print(&self, entry: &Entry, to: &Mailbox, letter: &Letter) -> Result<(), Obstacle> {
        let fields = [
            ("from", json!(self.post.from.to_string())),
            ("to", json!(to.to_string())),
            ("message_id", json!(self.post.message_id(entry.id))),
            ("subject", json!(letter.subject)),
        ];
        self.roll.item(&fields, &letter.text).map_err(|e| {
            self.unread.set(true);
            Obstacle::Ours(Failure::Broken(format!(
                "Standard output takes no mail: {e}. What was not printed stays due."
            )))
        })
    }

    async fn rehash(&self, entry: &Entry, key: Option<&str>) -> Result<(), Obstacle> {
        let found: KeyFound = serde_json::from_value(entry.payload.clone())
            .map_err(|e| Obstacle::InEntry(format!("The entry names no license: {e}.")))?;
        let key: LicenseKey = key.ok_or_else(not_decrypted)?.parse().map_err(|_| not_decrypted())?;
        match rehash(&self.office.db, &self.hasher, entry.tenant, &found, &key).await {
            Ok(Rehashed::Done) => Ok(()),
            Ok(Rehashed::NotItsKey) => Err(Obstacle::InEntry(format!(
                "The key in it is no key of the license {}, which keeps its own.",
                found.license_id
            ))),
            Err(problem) => Err(of_database(problem)),
        }
    }

    async fn tell_seats(&self, entry: &Entry) -> Result<(), Obstacle> {
        let SeatsChanged { license_id } = serde_json::from_value(entry.payload.clone())
            .map_err(|e| Obstacle::InEntry(format!("The entry names no license: {e}.")))?;
        let read = async {
            let tx = self.office.db.tenant("license_terms", entry.tenant).await?;
            tx.finish([(LICENSE_TERMS, &[&license_id.as_uuid()])]).await
        };
        let [rows] = read.await.map_err(of_database)?;
        let row = rows.first().ok_or_else(|| Obstacle::InEntry(format!("There is no license {license_id}.")))?;
        self.seats.tell(license_id, &seats::Terms::from_row(row)).await.map_err(|e| Obstacle::ForNow(cause(&e)))
    }

    /// Marks a delivered entry. This is tried twice, since an entry that isn't marked is delivered again.
    async fn mark(&self, entry: &Entry) -> Result<(), Failure> {
        let mark = || async {
            let tx = self.office.db.tenant("outbox_delivered", entry.tenant).await?;
            tx.finish([(DELIVERED, &[&entry.id])]).await
        };
        let marked = match mark().await {
            Ok(_) => Ok(()),
            Err(_) => mark().await.map(drop),
        };
        self.delivered.set(self.delivered.get() + 1);
        entry.tell("delivered");
        marked.map_err(|e| {
            Failure::Broken(format!(
                "Entry {} was delivered, but that could not be noted ({}): it will be delivered once more.",
                entry.id,
                cause(&e)
            ))
        })
    }

    async fn put_off(&self, entry: &Entry, why: &str, attempts: i32) -> Result<(), Failure> {
        let note = async {
            let tx = self.office.db.tenant("outbox_failed", entry.tenant).await?;
            tx.finish([(FAILED, &[&entry.id, &why, &attempts, &entry.attempts])]).await
        };
        let [rows] = match note.await {
            Ok(rows) => rows,
            Err(problem) => return self.not_taken(entry.id, problem),
        };
        let Some(row) = rows.first() else { return Ok(()) };
        let (dead, id) = (row.get::<_, bool>(0), entry.id);
        entry.tell(if dead { "given_up" } else { "put_off" });
        let next = match dead {
            true => format!("It is given up: `ops outbox retry {id}` makes it due again."),
            false => format!("It is tried again at {:.0}.", row.get::<_, Timestamp>(1)),
        };
        self.fail(id, why, dead, &next);
        Ok(())
    }

    /// One tenant's entry that even the database can't handle is no reason to leave the others.
    fn not_taken(&self, id: Uuid, problem: Problem) -> Result<(), Failure> {
        if problem.code() == Code::Unavailable {
            return Err(problem.into());
        }
        self.fail(id, &presentable(&cause(&problem), None), false, "It stays due.");
        Ok(())
    }

    fn fail(&self, id: Uuid, why: &str, dead: bool, next: &str) {
        let stop = if why.ends_with('.') { "" } else { "." };
        self.roll.say(&format!("Entry {id} was not delivered: {why}{stop} {next}"));
        self.failed.set(self.failed.get() + 1);
        // Watching has no end, and no object at it.
        if self.json {
            self.failures.borrow_mut().push(json!({"id": id, "error": why, "dead": dead}));
        }
    }

    fn report(self, ended: Result<(), Failure>) -> Result<Shown, Failure> {
        let (delivered, failed) = (self.delivered.get(), self.failed.get());
        let (error, status) = match &ended {
            Err(failure) => (Some(failure.message().to_owned()), failure.status()),
            Ok(()) if failed > 0 => (Some(format!("{failed} could not be delivered. `ops outbox list` shows why.")), 1),
            Ok(()) => (None, 0),
        };
        let summary = format!("{delivered} delivered.");
        self.roll.say(&error.iter().fold(summary, |said, error| format!("{said} {error}")));
        let mut rest = vec![("delivered", json!(delivered)), ("failures", Value::Array(self.failures.into_inner()))];
        rest.extend(error.map(|error| ("error", json!(error))));
        let closed = self.roll.close(&rest);
        match (status, closed) {
            (0, Ok(())) => Ok(Shown::Said),
            (0, Err(_)) => Err(Failure::Said(2)),
            (status, _) => Err(Failure::Said(status)),
        }
    }
}

/// An error as it is kept and shown: of bounded length, on one line, and without the license key, which a mail server
/// may well repeat.
fn presentable(why: &str, key: Option<&str>) -> String {
    let bare = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
    let body = key.and_then(|key| key.split('-').nth(2)).map(bare);
    if body.is_some_and(|body| bare(why).contains(&body)) {
        return "What was said about it repeats the license key, and is left out.".to_owned();
    }
    letter::line(why).chars().take(ERROR_MAX).collect()
}

fn cause(problem: &Problem) -> String {
    problem.internal().unwrap_or_else(|| problem.code().as_str()).to_owned()
}
