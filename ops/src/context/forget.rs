//! `ops context forget`: versions are deleted before the plan's time is over.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use protocol::wire::Kind;
use serde_json::json;
use uuid::Uuid;

use super::{LOCK, TRIM_BATCH};
use crate::ops_context::OpsContext;
use crate::printer::{Failure, Output};

const RECORD_EXISTS: &str = "/* context_record_exists */
    select from context_kinds k
    where k.kind = $1 and (exists (select from context_records r where r.kind = k.code and r.id = $2)
                           or exists (select from context_history h where h.kind = k.code and h.id = $2))";
const HISTORY_FORGET: &str = "/* context_history_forget */
    select versions, bytes from context_history_trim(coalesce($1::timestamptz, 'infinity'), 0, $2::bigint::integer)";
/// Deletes versions of one record, which are found by the key however little the planner knows of the table.
const RECORD_FORGET: &str = "/* context_record_forget */
    with gone as (
        delete from context_history h
        where h.kind = (select code from context_kinds where kind = $3) and h.id = $4
          and h.seq = any(array(
              select o.seq from context_history o
              where o.kind = (select code from context_kinds where kind = $3) and o.id = $4
                and coalesce(o.replaced_at, o.written_at) < coalesce($1::timestamptz, 'infinity')
              order by o.seq limit $2))
        returning 256 + coalesce(octet_length(h.content), 0) as bytes
    ), counted as (
        update context_heads set history_bytes = history_bytes - (select coalesce(sum(bytes), 0) from gone)
    )
    select count(*), coalesce(sum(bytes), 0)::bigint from gone";
/// Writes the audit entry of the whole command; each transaction brings it up to what has been deleted with it.
const AUDIT_FORGOTTEN: &str = "/* context_audit_forgotten */
    insert into audit_log (id, tenant_id, actor, action, detail)
    values ($1, current_tenant(), $2, 'context.history_forgotten', $3)
    on conflict (id) do update set detail = excluded.detail";

/// The versions to delete.
#[derive(Debug)]
pub struct ForgetFilter<'a> {
    /// Those of one record; `None`: of all.
    pub record: Option<(Kind, &'a str)>,
    /// Those that were replaced, or lost a conflict, before this time; `None`: all.
    pub before: Option<Timestamp>,
}

/// Age of the versions that `--before` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Versions before a time.
    Time(Timestamp),
    /// Versions of any age.
    AnyAge,
}

impl Before {
    /// Returns the time before which versions are deleted; `None`: those of any age.
    #[must_use]
    pub fn time(self) -> Option<Timestamp> {
        match self {
            Self::Time(time) => Some(time),
            Self::AnyAge => None,
        }
    }
}

/// Reads a time in the past: an age such as `30d`, a date, or a date and time with its zone. An age of nothing is no limit.
///
/// # Errors
/// A sentence, when it is none of these.
pub fn before(text: &str) -> Result<Before, String> {
    let wrong = || "Give an age such as 30d, or a date of the past such as 2026-11-01.".to_owned();
    let time = if let Ok(time) = text.parse::<Timestamp>() {
        time
    } else if let (10, Ok(date)) = (text.len(), text.parse::<Date>()) {
        date.to_zoned(TimeZone::UTC).map_err(|_| wrong())?.timestamp()
    } else {
        let span: Span = text.parse().map_err(|_| wrong())?;
        let age: SignedDuration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
        if age.is_zero() {
            return Ok(Before::AnyAge);
        }
        Timestamp::now().checked_sub(age).map_err(|_| wrong())?
    };
    if (Timestamp::UNIX_EPOCH..=Timestamp::now()).contains(&time) { Ok(Before::Time(time)) } else { Err(wrong()) }
}

/// Deletes versions from the history, a few in each transaction; a command that was interrupted can be given again.
///
/// # Errors
/// When there is no such tenant, or no such record.
pub async fn forget(ops: &OpsContext, tenant: &str, filter: &ForgetFilter<'_>) -> Result<Output, Failure> {
    let id = ops.tenant(tenant).await?;
    if let Some((kind, record)) = filter.record {
        let tx = ops.db.tenant("context_record_exists", id).await?;
        let [found] = tx.finish([(RECORD_EXISTS, &[&kind.as_str(), &record])]).await?;
        if found.is_empty() {
            let there = "`ops context status` shows which kinds this tenant has.";
            return Err(Failure::Refused(format!("This tenant has no {kind} with this id, and never had. {there}")));
        }
    }
    let before = filter.before;
    let (entry, mut versions, mut bytes) = (Uuid::now_v7(), 0_i64, 0_i64);
    loop {
        let mut tx = ops.db.tenant("context_forget", id).await?;
        let [_, gone] = match filter.record {
            Some((kind, record)) => {
                tx.run([(LOCK, &[]), (RECORD_FORGET, &[&before, &TRIM_BATCH, &kind.as_str(), &record])]).await?
            }
            None => tx.run([(LOCK, &[]), (HISTORY_FORGET, &[&before, &TRIM_BATCH])]).await?,
        };
        let (gone, size) = gone.first().map_or((0, 0), |row| (row.get::<_, i64>(0), row.get::<_, i64>(1)));
        (versions, bytes) = (versions + gone, bytes + size);
        if gone > 0 {
            let (kind, record) = filter.record.unzip();
            let detail = json!({"kind": kind, "id": record, "before": before, "versions": versions, "bytes": bytes});
            tx.finish([(AUDIT_FORGOTTEN, &[&entry, &ops.actor, &detail])]).await?;
        } else {
            tx.commit().await?;
        }
        if gone < TRIM_BATCH {
            break;
        }
    }
    Ok(Output::Message(format!(
        "Deleted {versions} version{} with {bytes} bytes from the history. Backups keep them as long as they are kept.",
        if versions == 1 { "" } else { "s" }
    )))
}
