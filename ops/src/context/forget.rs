//! `ops context forget`: versions are deleted before the plan's time is over.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use protocol::wire::Kind;
use serde_json::json;
use uuid::Uuid;

use super::LOCK;
use crate::office::Office;
use crate::printer::{Failure, Shown};

/// So many at once that other pushes of the tenant don't wait long for the lock.
const AT_ONCE: i64 = 200;

const RECORD_EXISTS: &str = "/* context_record_exists */
    select from context_kinds k
    where k.kind = $1 and (exists (select from context_records r where r.kind = k.code and r.id = $2)
                           or exists (select from context_history h where h.kind = k.code and h.id = $2))";
const HISTORY_FORGET: &str = "/* context_history_forget */
    select versions, bytes from context_history_trim($1, 0, $2::bigint::integer)";
const RECORD_FORGET: &str = "/* context_record_forget */
    with old as (
        select h.kind, h.id, h.seq, 256 + coalesce(octet_length(h.content), 0) as bytes
        from context_history h join context_kinds k on k.code = h.kind
        where k.kind = $3 and h.id = $4 and coalesce(h.replaced_at, h.written_at) < $1 limit $2
    ), gone as (
        delete from context_history h using old o where h.kind = o.kind and h.id = o.id and h.seq = o.seq
        returning o.bytes
    ), counted as (
        update context_heads set history_bytes = history_bytes - (select coalesce(sum(bytes), 0) from gone)
    )
    select count(*), coalesce(sum(bytes), 0)::bigint from gone";
/// One entry for the whole command: each transaction brings it up to what has been deleted with it.
const AUDIT_FORGOTTEN: &str = "/* context_audit_forgotten */
    insert into audit_log (id, tenant_id, actor, action, detail)
    values ($1, current_tenant(), $2, 'context.history_forgotten', $3)
    on conflict (id) do update set detail = excluded.detail";

/// The versions to delete.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// Those of one record; `None`: of all.
    pub record: Option<(Kind, &'a str)>,
    /// Those that were replaced, or lost a conflict, before this time; `None`: all.
    pub before: Option<Timestamp>,
}

/// Reads a time in the past: an age such as `30d`, a date, or a date and time with its zone.
///
/// # Errors
/// A sentence, when it is none of these.
pub fn before(text: &str) -> Result<Timestamp, String> {
    let wrong = || "Give an age such as 30d, or a date such as 2026-11-01.".to_owned();
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    if let Ok(date) = text.parse::<Date>() {
        return date.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()).map_err(|_| wrong());
    }
    let span: Span = text.parse().map_err(|_| wrong())?;
    let age: SignedDuration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    if age.is_negative() { Err(wrong()) } else { Timestamp::now().checked_sub(age).map_err(|_| wrong()) }
}

/// Deletes versions from the history, a few in each transaction; a command that was interrupted can be given again.
///
/// # Errors
/// When there is no such tenant, or no such record.
pub async fn forget(office: &Office, tenant: &str, wanted: &Wanted<'_>) -> Result<Shown, Failure> {
    let id = office.tenant(tenant).await?;
    if let Some((kind, record)) = wanted.record {
        let tx = office.db.tenant("context_record_exists", id).await?;
        let [found] = tx.finish([(RECORD_EXISTS, &[&kind.as_str(), &record])]).await?;
        if found.is_empty() {
            let there = "`ops context status` shows which kinds this tenant has.";
            return Err(Failure::Refused(format!("This tenant has no {kind} with this id, and never had. {there}")));
        }
    }
    let before = wanted.before.unwrap_or_else(Timestamp::now);
    let (entry, mut versions, mut bytes) = (Uuid::now_v7(), 0_i64, 0_i64);
    loop {
        let mut tx = office.db.tenant("context_forget", id).await?;
        let [_, gone] = match wanted.record {
            Some((kind, record)) => {
                tx.run([(LOCK, &[]), (RECORD_FORGET, &[&before, &AT_ONCE, &kind.as_str(), &record])]).await?
            }
            None => tx.run([(LOCK, &[]), (HISTORY_FORGET, &[&before, &AT_ONCE])]).await?,
        };
        let (gone, size) = gone.first().map_or((0, 0), |row| (row.get::<_, i64>(0), row.get::<_, i64>(1)));
        (versions, bytes) = (versions + gone, bytes + size);
        if gone > 0 {
            let (kind, record) = wanted.record.unzip();
            let detail = json!({"kind": kind, "id": record, "before": before, "versions": versions, "bytes": bytes});
            tx.finish([(AUDIT_FORGOTTEN, &[&entry, &office.actor, &detail])]).await?;
        } else {
            tx.commit().await?;
        }
        if gone < AT_ONCE {
            break;
        }
    }
    Ok(Shown::Done(format!(
        "Deleted {versions} version{} with {bytes} bytes from the history. Backups keep them as long as they are kept.",
        if versions == 1 { "" } else { "s" }
    )))
}
