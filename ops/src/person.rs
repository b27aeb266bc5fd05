//! A person's data in a tenant: export and erasure.

mod erasure;
mod payments;

use common::TenantTx;
use jiff::Timestamp;
use protocol::id::{TenantId, UserId};
use serde_json::{Value, json};
use tokio_postgres::Row;

use crate::ops_context::OpsContext;
use crate::printer::{Failure, Output};

pub use erasure::{erase, erase_due, keep};

/// Selects a person and locks the row, so that no sign-in succeeds while it is decided what happens to the person.
const PERSON: &str = "/* person */
    select id, email, role, issuer, subject, created_at, erase_at, claimed_at from users
    where id::text = $1 or email = lower($1) for update";

/// Statements that select a person's data, by the name that it has in the export. `$1`: the person's id.
const PERSONAL_DATA: [(&str, &str); 6] = [
    (
        "sessions",
        "/* person_sessions */ select to_jsonb(x) from (
            select id as session_id, license_id, hardware_id, hostname, client_version, started_at, ended_at, ended_reason
            from sessions where user_id = $1 order by started_at) x",
    ),
    // A device belongs to a license; it is this person's where it was the machine of a session.
    (
        "devices",
        "/* person_devices */ select to_jsonb(x) from (
            select license_id, machine_id, activated_at, last_seen_at, valid_until, removed_at, host(address) as address
            from devices where machine_id in (select hardware_id from sessions where user_id = $1) order by activated_at) x",
    ),
    (
        "answers",
        "/* person_answers */ select to_jsonb(x) from (
            select operation, key as idempotency_key, status, created_at
            from idempotency_keys where caller = $1 order by created_at) x",
    ),
    (
        "mails",
        "/* person_mails */ select to_jsonb(x) from (
            select id, payload, created_at, delivered_at, dead_at, last_error from outbox
            where kind = 'mail' and payload ->> 'to' = (select email from users where id = $1) order by created_at) x",
    ),
    (
        "customers",
        "/* person_customers */ select to_jsonb(x) from (
            select id as customer_id, email, name, created_at, to_timestamp(deleted_at) as deleted_at
            from stripe_customers where email = (select email from users where id = $1) order by created_at) x",
    ),
    (
        "audit_log",
        "/* person_audit */ select to_jsonb(x) from (
            select at, actor, action, license_id, host(address) as address, detail from audit_log
            where detail ->> 'user_id' = $1::uuid::text
               or detail ->> 'session_id' in (select id::text from sessions where user_id = $1)
               or detail ->> 'machine_id' in (select hardware_id from sessions where user_id = $1)
            order by id) x",
    ),
];
/// Statements that select the records that a person has written, a page at a time. The content is text: not all JSON fits into
/// Postgres's.
const AUTHORED_RECORDS: [(&str, &str); 2] = [
    (
        "context",
        "/* person_context */ select seq, to_jsonb(x) from (
            select r.seq, k.kind, r.id, r.project_id, r.version, r.updated_at, r.written_at, r.deleted, r.device_id,
                   convert_from(r.content, 'UTF8') as content
            from context_records r join context_kinds k on k.code = r.kind
            where r.user_id = $1 and r.seq > $2 order by r.seq limit 1000) x",
    ),
    (
        "context_history",
        "/* person_context_history */ select seq, to_jsonb(x) from (
            select h.seq, k.kind, h.id, h.project_id, h.version, h.updated_at, h.written_at, h.replaced_at, h.deleted, h.device_id,
                   convert_from(h.content, 'UTF8') as content
            from context_history h join context_kinds k on k.code = h.kind
            where h.user_id = $1 and h.seq > $2 order by h.seq limit 1000) x",
    ),
];

/// A user of a tenant.
struct Person {
    id: UserId,
    email: String,
    role: String,
    issuer: Option<String>,
    subject: Option<String>,
    created_at: Timestamp,
    erase_at: Option<Timestamp>,
    claimed_at: Option<Timestamp>,
}

impl Person {
    /// Finds a person by address or id; other tenants' are not visible.
    async fn find(tx: &mut TenantTx<'_>, who: &str) -> Result<Self, Failure> {
        let [rows] = tx.run([(PERSON, &[&who.trim()])]).await?;
        let row = rows.first().ok_or_else(|| {
            Failure::Refused(format!("This tenant has nobody {who}. `ops user list` shows whom it has."))
        })?;
        Ok(Self::of(row))
    }

    fn of(row: &Row) -> Self {
        Self {
            id: UserId::from_uuid(row.get(0)),
            email: row.get(1),
            role: row.get(2),
            issuer: row.get(3),
            subject: row.get(4),
            created_at: row.get(5),
            erase_at: row.get(6),
            claimed_at: row.get(7),
        }
    }
}

/// Returns all data of a person, as of one moment. The export is recorded in the audit log.
///
/// # Errors
/// When there is no such tenant or person.
pub async fn export(ops: &OpsContext, tenant: &str, who: &str) -> Result<Output, Failure> {
    let tenant = ops.tenant(tenant).await?;
    let mut tx = ops.db.tenant("person_export", tenant).await?;
    let person = Person::find(&mut tx, who).await?;
    let mut fields = person.fields(tenant);
    for (name, sql) in PERSONAL_DATA {
        let [rows] = tx.run([(sql, &[&person.id.as_uuid()])]).await?;
        fields.push((name, rows.iter().map(|row| row.get::<_, Value>(0)).collect()));
    }
    for (name, sql) in AUTHORED_RECORDS {
        fields.push((name, authored_records(&mut tx, sql, person.id).await?.into()));
    }
    erasure::commit_with_audit(tx, ops, "person.exported", json!({"user_id": person.id})).await?;
    Ok(Output::Record(fields))
}

impl Person {
    fn fields(&self, tenant: TenantId) -> Vec<(&'static str, Value)> {
        vec![
            ("user_id", json!(self.id)),
            ("tenant_id", json!(tenant)),
            ("email", json!(self.email)),
            ("role", json!(self.role)),
            ("issuer", json!(self.issuer)),
            ("subject", json!(self.subject)),
            ("created_at", json!(self.created_at)),
            ("claimed_at", json!(self.claimed_at)),
            ("erase_at", json!(self.erase_at)),
        ]
    }
}

async fn authored_records(tx: &mut TenantTx<'_>, sql: &str, person: UserId) -> Result<Vec<Value>, Failure> {
    let (mut records, mut seen) = (Vec::new(), 0_i64);
    loop {
        let [rows] = tx.run([(sql, &[&person.as_uuid(), &seen])]).await?;
        let Some(last) = rows.last() else { return Ok(records) };
        seen = last.get(0);
        for row in &rows {
            let mut record: Value = row.get(1);
            if let Some(text) = record["content"].as_str() {
                record["content"] = serde_json::from_str(text)
                    .map_err(|e| Failure::Broken(format!("What is stored of a record is not JSON: {e}.")))?;
            }
            records.push(record);
        }
    }
}
