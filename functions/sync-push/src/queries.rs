//! The statements of `sync-push`.

use common::postgres::Query;
use common::{Caller, Db, Problem};
use context::Head;
use protocol::content::ContentHash;
use protocol::id::DeviceId;
use protocol::wire::{PushStatus, Rejection, RejectionCode};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::batch::{Batch, Total};

const CONTEXT_PUSH: &str = "/* context_push */
    select n, outcome, version, content_hash from context_push(
        of_license => $1, of_user => $2, of_device => $3,
        kinds => $4, ids => $5, projects => $6, statuses => $7, updated => $8, deletions => $9, bases => $10,
        hashes => $11, contents => $12, key_ids => $13, total_bytes => $14,
        totals_kind => $15, totals_records => $16, totals_deleted => $17, totals_bytes => $18)";

/// Stores a batch, writes each record's outcome into it, and returns the end of the stream after it.
pub(crate) async fn push(db: &Db, caller: &Caller, device: &DeviceId, batch: &mut Batch) -> Result<Head, Problem> {
    let license = context::head::license_of(caller);
    let user: Option<Uuid> = caller.user().map(|user| user.as_uuid());
    let hashes: Vec<&[u8]> = batch.hashes.iter().map(|hash| hash.as_bytes().as_slice()).collect();
    let key_ids = (!batch.key_ids.is_empty()).then_some(&batch.key_ids);
    let total_bytes: i64 = batch.totals.iter().map(|t| t.bytes).sum();
    let kinds: Vec<i16> = batch.totals.iter().map(|t| t.kind).collect();
    let column = |count: fn(&Total) -> i64| batch.totals.iter().map(count).collect::<Vec<_>>();
    let (records, deleted, bytes) = (column(|t| t.records), column(|t| t.deleted), column(|t| t.bytes));
    let push: Query<'_> = (
        CONTEXT_PUSH,
        &[
            &license,
            &user,
            &device.as_str(),
            &batch.kinds,
            &batch.ids,
            &batch.projects,
            &batch.statuses,
            &batch.updated,
            &batch.deletions,
            &batch.bases,
            &hashes,
            &batch.contents,
            &key_ids,
            &total_bytes,
            &kinds,
            &records,
            &deleted,
            &bytes,
        ],
    );
    let tx = db.tenant("context_push", caller.tenant()).await?;
    let (outcomes, head) = if batch.is_empty() {
        let [head] = tx.finish([Head::query(&[&license])]).await?;
        (Vec::new(), head)
    } else {
        let [outcomes, head] = tx.finish([push, Head::query(&[&license])]).await?;
        (outcomes, head)
    };
    let head = Head::from_rows(caller.tenant(), &head)?;
    head.must_allow(db).await?;
    if outcomes.first().is_some_and(|row| row.get::<_, i64>(0) == 0) {
        return Err(Problem::unavailable("postgres", "context_push: the plan changed between two statements"));
    }
    for row in &outcomes {
        write_outcome(batch, row, &head)?;
    }
    Ok(head)
}

/// Writes the outcome of a record that was not simply created into its result.
fn write_outcome(batch: &mut Batch, row: &Row, head: &Head) -> Result<(), Problem> {
    let number: i64 = row.get(0);
    let outcome: &str = row.get(1);
    let place = usize::try_from(number - 1).map_err(Problem::internal_error)?;
    let result = batch.result(place).ok_or_else(|| Problem::internal_error(format_args!("no record {number}")))?;
    if let Ok(code) = outcome.parse::<RejectionCode>() {
        result.status = PushStatus::Rejected;
        (result.version, result.content_hash) = (None, None);
        result.error = Some(rejection(code, head));
        return Ok(());
    }
    result.status = outcome.parse().map_err(Problem::internal_error)?;
    let hash: [u8; 32] = row.get::<_, &[u8]>(3).try_into().map_err(Problem::internal_error)?;
    result.content_hash = Some(ContentHash::from_bytes(hash));
    result.version = Some(u64::try_from(row.get::<_, i64>(2)).map_err(Problem::internal_error)?);
    Ok(())
}

fn rejection(code: RejectionCode, head: &Head) -> Rejection {
    let detail = match code {
        RejectionCode::EncryptionRequired => format!(
            "Your organization encrypts its context under the key {}, and this content isn't. Import that key on this device.",
            head.key_id.as_deref().unwrap_or_default()
        ),
        _ => {
            let limit = |limit: i64, what: &str| {
                if limit < 0 { format!("unlimited {what}") } else { format!("{limit} {what}") }
            };
            format!(
                "Your plan's quota of {} and {} is used up. Delete what you no longer need, or ask the owner of your organization for a larger plan.",
                limit(head.max_records, "records"),
                limit(head.max_bytes, "bytes")
            )
        }
    };
    Rejection::new(code, detail)
}
