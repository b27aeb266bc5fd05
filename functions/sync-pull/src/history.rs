//! `GET /api/v1/context/history`: a record's current state, former versions and lost conflicts, the latest first.

use axum::extract;
use axum::response::Response;
use common::query::limit;
use common::{Caller, Problem, Query};
use context::{Cursor, Listing};
use protocol::content::ContentHash;
use protocol::id::{DeviceId, ProjectId, RecordId, UserId};
use protocol::wire::{HistoryEntry, HistoryPage, Kind, Outcome};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_postgres::Row;
use utoipa::IntoParams;

use crate::queries::{self, PageQuery};
use crate::{State, page_memory, sent};

/// Default and maximum number of entries per page.
const USUAL_ENTRIES: u16 = 50;
const MAX_ENTRIES: u16 = 200;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryParameters {
    /// The record's kind.
    #[param(inline)]
    kind: Kind,
    /// The record's id.
    #[param(value_type = String, min_length = 1, max_length = 128)]
    id: RecordId,
    /// Maximum number of entries; 50 by default. A page may have fewer, where contents are long, and there may still be more.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
    /// Cursor to continue from: `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A record's current state, its former versions, and the writes that lost a conflict, the latest first.
#[utoipa::path(
    get, path = "/api/v1/context/history", tag = "context", operation_id = "context_history",
    params(HistoryParameters), security(("bearer" = [])),
    responses(
        (status = 200, description = "A page of what it was.", body = HistoryPage),
        (status = 400, description = "The cursor can't be read.",
            body = protocol::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "A parameter is missing or out of range.",
            body = protocol::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn history(
    extract::State(app): extract::State<State>,
    caller: Caller,
    Query(request): Query<HistoryParameters>,
) -> Result<Response, Problem> {
    let limit = limit(request.limit, USUAL_ENTRIES, MAX_ENTRIES)?;
    let cursor = request.cursor.as_deref().map(Cursor::parse).transpose()?;
    let before = cursor.map_or(i64::MAX, |cursor| cursor.unverified_seq);
    let query = PageQuery { after: before, limit, kind: Some(request.kind), project: None };
    let memory = page_memory().await?;
    let (head, rows) = queries::history(&app.db, &caller, request.kind, &request.id, &query).await?;
    if let Some(cursor) = cursor {
        cursor.check(Listing::History, &head)?;
    } else if rows.is_empty() {
        return Err(Problem::not_found("record"));
    }
    let fitting = rows.iter().take(usize::from(limit)).take_while(|row| row.get("fits")).count();
    let taken = &rows[..fitting];
    let has_more = taken.len() < rows.len();
    let next_cursor = taken.last().filter(|_| has_more).map(|row| head.cursor(Listing::History, row.get("seq")));
    let data = taken.iter().map(entry).collect::<Result<_, _>>()?;
    sent(HistoryPage { data, next_cursor, has_more }, memory)
}

fn entry(row: &Row) -> Result<HistoryEntry, Problem> {
    let version: Option<i64> = row.get("version");
    let outcome = match (row.get("is_current"), version) {
        (true, _) => Outcome::Current,
        (false, Some(_)) => Outcome::Replaced,
        (false, None) => Outcome::Lost,
    };
    let content: Option<&[u8]> = row.get("content");
    let content = serde_json::from_slice::<Box<RawValue>>(content.unwrap_or(b"null"));
    let hash: [u8; 32] = row.get::<_, &[u8]>("content_hash").try_into().map_err(Problem::internal_error)?;
    let project: Option<&str> = row.get("project_id");
    Ok(HistoryEntry {
        outcome,
        version: version.map(u64::try_from).transpose().map_err(Problem::internal_error)?,
        project_id: project.map(ProjectId::parse).transpose().map_err(Problem::internal_error)?,
        content: content.map_err(Problem::internal_error)?,
        content_hash: ContentHash::from_bytes(hash),
        deleted: row.get("deleted"),
        updated_at: row.get("updated_at"),
        device_id: DeviceId::parse(row.get::<_, &str>("device_id")).map_err(Problem::internal_error)?,
        user_id: row.get::<_, Option<uuid::Uuid>>("user_id").map(UserId::from_uuid),
        written_at: row.get("written_at"),
        replaced_at: row.get("replaced_at"),
    })
}
