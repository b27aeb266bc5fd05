//! Erasing a person: at first so that it can be undone for 30 days, then for good, by `ops sweep`.
//!
//! Records that the person wrote belong to the tenant and stay, under an id that belongs to no user. Data of a payment that the
//! law requires to be kept is at Stripe; here its events stay without the person. So does the audit log, where a person is a
//! number.

use common::TenantTx;
use jiff::Timestamp;
use protocol::id::{LicenseId, SessionId, TenantId, UserId};
use seats::Seats;
use serde_json::{Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use super::Person;
use super::payments::{self, Redacted};
use crate::ops_context::{AUDIT, OpsContext};
use crate::printer::{Failure, Output};

/// Days until an erasure is final, as the product promises.
const ERASURE_DELAY_DAYS: i32 = 30;

const PERSON_LEAVES: &str = "/* person_leaves */
    update users set erase_at = now() + interval '1 day' * $2::integer where id = $1 returning erase_at";
const PERSON_STAYS: &str = "/* person_stays */ update users set erase_at = null where id = $1";
const PEOPLE_DUE: &str = "/* people_due */
    select id, email, role, issuer, subject, created_at, erase_at, claimed_at from users where erase_at <= now() limit 1 for update";
const SESSIONS_CLOSE: &str = "/* person_sessions_close */
    update sessions set ended_at = now(), ended_reason = 'revoked' where user_id = $1 and ended_at is null returning 1";
/// Selects the sessions that Redis may still hold: a license token, by which a session is kept, is valid for a day.
const SESSIONS_CLOSED: &str = "/* person_sessions_closed */
    select id, license_id from sessions where user_id = $1 and ended_at > now() - interval '1 day'";

/// Replaces author and machine in the tenant's records: the author by `$2`, the machine by a hash with a salt that isn't stored
/// (`$3`). The number of records per statement keeps it below the statement timeout.
const RECORDS_DISOWN: &str = "/* person_records_disown */
    with part as (select ctid from context_records where user_id = $1 limit 2000)
    update context_records r
    set user_id = $2, device_id = left(encode(sha256(convert_to($3::text || r.device_id, 'UTF8')), 'hex'), 32)
    from part where r.ctid = part.ctid returning 1";
const HISTORY_DISOWN: &str = "/* person_history_disown */
    with part as (select ctid from context_history where user_id = $1 limit 2000)
    update context_history h
    set user_id = $2, device_id = left(encode(sha256(convert_to($3::text || h.device_id, 'UTF8')), 'hex'), 32)
    from part where h.ctid = part.ctid returning 1";
const CONTEXT_DEVICES: &str = "/* person_context_devices */
    select device_id from context_records where user_id = $1 union select device_id from context_history where user_id = $1
    union
    select s.hardware_id from sessions s where s.user_id = $1
      and not exists (select from sessions o where o.hardware_id = s.hardware_id and o.user_id is distinct from $1)";
const CONTEXT_DEVICES_FORGET: &str = "/* person_context_devices_forget */
    delete from context_devices d where device_id = any($1)
        and not exists (select from context_records r where r.device_id = d.device_id) returning 1";
/// Deletes the person's devices, and not others'. One that can still be used offline stays until that is over, without the
/// address.
const DEVICES_FORGET: &str = "/* person_devices_forget */
    with own as (
        select d.license_id, d.machine_id from devices d
        where d.machine_id in (select hardware_id from sessions where user_id = $1)
          and not exists (select from sessions s where s.hardware_id = d.machine_id and s.user_id is distinct from $1)
    ), freed as (
        update devices d set removed_at = coalesce(removed_at, now()), address = null
        from own where d.license_id = own.license_id and d.machine_id = own.machine_id and d.valid_until > now() returning 1
    ), gone as (
        delete from devices d using own
        where d.license_id = own.license_id and d.machine_id = own.machine_id and d.valid_until <= now() returning 1
    )
    select from freed union all select from gone";
const SESSIONS_FORGET: &str = "/* person_sessions_forget */ delete from sessions where user_id = $1 returning 1";
const ANSWERS_FORGET: &str = "/* person_answers_forget */ delete from idempotency_keys where caller = $1 returning 1";
const MAILS_FORGET: &str = "/* person_mails_forget */
    with unsent as (
        delete from outbox where kind = 'mail' and payload ->> 'to' = $1 and delivered_at is null returning 1
    ), sent as (
        update outbox set payload = payload - 'to'
        where kind = 'mail' and payload ->> 'to' = $1 and delivered_at is not null returning 1
    )
    select from unsent union all select from sent";
const PERSON_FORGET: &str = "/* person_forget */ delete from users where id = $1";

/// Writes an entry of the audit log, and commits.
pub(super) async fn commit_with_audit(
    tx: TenantTx<'_>,
    ops: &OpsContext,
    action: &'static str,
    detail: Value,
) -> Result<(), Failure> {
    tx.finish([(AUDIT, &[&Uuid::now_v7(), &ops.actor, &action, &None::<Uuid>, &detail])]).await?;
    Ok(())
}

/// Begins to erase a person: sessions end, the person can't sign in any more, and in 30 days the rest follows; or all of it at
/// once, `now`.
///
/// # Errors
/// When there is no such tenant or person, it was begun before, or Redis doesn't answer; the sessions have ended all the same,
/// and a repetition updates Redis.
pub async fn erase(ops: &OpsContext, seats: &Seats, tenant: &str, who: &str, now: bool) -> Result<Output, Failure> {
    let tenant = ops.tenant(tenant).await?;
    let mut tx = ops.db.tenant("person_erase", tenant).await?;
    let person = Person::find(&mut tx, who).await?;
    let id = person.id.as_uuid();
    let [ended, closed] = tx.run([(SESSIONS_CLOSE, &[&id]), (SESSIONS_CLOSED, &[&id])]).await?;
    let begun_before = person.erase_at;
    let at = match begun_before {
        Some(at) => {
            tx.commit().await?;
            at
        }
        None => {
            let days = if now { 0 } else { ERASURE_DELAY_DAYS };
            let [left, _] = tx.run([(PERSON_LEAVES, &[&id, &days]), (ANSWERS_FORGET, &[&id])]).await?;
            let at: Timestamp = left[0].get(0);
            commit_with_audit(tx, ops, "person.erasure_begun", json!({"user_id": person.id, "erase_at": at})).await?;
            at
        }
    };
    // Before the rows are deleted: Redis can be updated from them alone, now or when it is there again.
    release_seats(seats, &closed).await?;
    if now {
        let mut tx = ops.db.tenant("person_erase", tenant).await?;
        let person = Person::find(&mut tx, who).await?;
        return erase_permanently(tx, ops, tenant, &person).await;
    }
    if begun_before.is_some() {
        return Err(Failure::Refused(format!("That was begun before; it is for good on {at:.0}.")));
    }
    Ok(Output::Record(vec![
        ("user_id", json!(person.id)),
        ("tenant_id", json!(tenant)),
        ("sessions_ended", json!(ended.len())),
        ("erase_at", json!(at)),
        ("undo", json!(format!("ops person keep {} --tenant {tenant}", person.id))),
    ]))
}

/// Undoes an erasure that was begun.
///
/// # Errors
/// When there is no such tenant or person, or nothing was begun.
pub async fn keep(ops: &OpsContext, tenant: &str, who: &str) -> Result<Output, Failure> {
    let mut tx = ops.db.tenant("person_keep", ops.tenant(tenant).await?).await?;
    let person = Person::find(&mut tx, who).await?;
    if person.erase_at.is_none() {
        return Err(Failure::Refused(format!("Nobody began to erase {who}.")));
    }
    tx.run([(PERSON_STAYS, &[&person.id.as_uuid()])]).await?;
    commit_with_audit(tx, ops, "person.erasure_undone", json!({"user_id": person.id})).await?;
    Ok(Output::Message(format!("{who} stays, and can sign in again.")))
}

/// Erases for good the people whose 30 days are over, and returns their number.
///
/// # Errors
/// When the database doesn't answer; people who were erased before that stay erased.
pub async fn erase_due(ops: &OpsContext, tenant: TenantId) -> Result<usize, Failure> {
    let mut count = 0;
    loop {
        let mut tx = ops.db.tenant("people_due", tenant).await?;
        let [rows] = tx.run([(PEOPLE_DUE, &[])]).await?;
        let Some(person) = rows.first().map(Person::of) else { return Ok(count) };
        erase_permanently(tx, ops, tenant, &person).await?;
        count += 1;
    }
}

/// Erases all of it in one transaction, and commits.
async fn erase_permanently(
    mut tx: TenantTx<'_>,
    ops: &OpsContext,
    tenant: TenantId,
    person: &Person,
) -> Result<Output, Failure> {
    let (id, email) = (person.id.as_uuid(), &person.email);
    let (author, salt) = (UserId::new().as_uuid(), Uuid::now_v7().to_string());
    let [context_devices] = tx.run([(CONTEXT_DEVICES, &[&id])]).await?;
    let context_devices: Vec<String> = context_devices.iter().map(|row| row.get(0)).collect();
    let mut disowned = 0;
    for sql in [RECORDS_DISOWN, HISTORY_DISOWN] {
        loop {
            let [some] = tx.run([(sql, &[&id, &author, &salt])]).await?;
            if some.is_empty() {
                break;
            }
            disowned += some.len();
        }
    }
    // Devices are found by their sessions, which are deleted after them.
    let [_, devices, sessions, _, mails, _] = tx
        .run([
            (CONTEXT_DEVICES_FORGET, &[&context_devices]),
            (DEVICES_FORGET, &[&id]),
            (SESSIONS_FORGET, &[&id]),
            (ANSWERS_FORGET, &[&id]),
            (MAILS_FORGET, &[email]),
            (PERSON_FORGET, &[&id]),
        ])
        .await?;
    let Redacted { customers, events } = payments::redact(&mut tx, email).await?;
    let erased = json!({
        "sessions": sessions.len(), "devices": devices.len(), "mails": mails.len(), "records_without_author": disowned,
        "stripe_events": events, "stripe_customers": customers.len(),
    });
    commit_with_audit(tx, ops, "person.erased", json!({"user_id": person.id, "erased": erased})).await?;
    let mut kept = vec![
        "the audit log, where the person is a number".to_owned(),
        "what the person wrote, which is the tenant's, without an author".to_owned(),
        "backups, until they are as old as they get".to_owned(),
    ];
    if !customers.is_empty() {
        let customers = customers.join(", ");
        kept.push(format!(
            "at Stripe, what was paid and by whom, as the law wants it: delete {customers} there, or its next event says it again"
        ));
    }
    Ok(Output::Record(vec![
        ("user_id", json!(person.id)),
        ("tenant_id", json!(tenant)),
        ("erased", erased),
        ("kept", json!(kept)),
    ]))
}

/// Frees the seats of sessions that were closed, for others at once; also of those that were closed before, since the last run
/// may have stopped between the two.
async fn release_seats(seats: &Seats, closed: &[Row]) -> Result<(), Failure> {
    for row in closed {
        let (session, license) = (SessionId::from_uuid(row.get(0)), LicenseId::from_uuid(row.get(1)));
        seats.release_in_redis(license, &[session]).await.map_err(|e| {
            Failure::Broken(format!(
                "The person's sessions have ended, but Redis could not be told ({}): their seats aren't free yet. Run the same \
                 command again.",
                e.internal().unwrap_or_default()
            ))
        })?;
    }
    Ok(())
}
