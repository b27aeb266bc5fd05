//! `GET /api/v1/context/pull`, and the other views of a tenant's records: `status`, `tasks`, `decisions`, `learnings` and
//! `history`.
//!
//! Round trips: Postgres 1 (the caller's right, the head, the page); 2 where contents are long. Nothing is written, so no crash
//! leaves anything. A poll of a stream that has not moved reads the head and no record.
//!
//! Why nothing is skipped: a push numbers its records and moves the head under the tenant's lock, in one transaction. So every
//! number up to a head that can be seen is visible or was given again to a later change of the same record, and the next cursor
//! is the number of the page's last record, or the head when there was no more.

mod history;
mod page;
mod queries;
mod views;

use axum::extract::{self, FromRef};
use axum::http::StatusCode;
use axum::response::Response;
use common::body::json;
use common::memory::{Reserved, WORK};
use common::query::limit;
use common::{Answer, Caller, Callers, Db, LogEvent, Problem, Query, Setup};
use context::{Cursor, Listing};
use protocol::id::{DeviceId, ProjectId};
use protocol::wire::{
    ContextStatus, Device, Encryption, Kind, KindStatus, MAX_PAGE_BYTES, MAX_PULL_RECORDS, PullAnswer, Usage,
};
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use queries::PageQuery;

/// Default number of records per page.
const USUAL_RECORDS: u16 = 500;

/// Memory that a page takes while it is read and written, as a multiple of its length.
const PAGE_COPIES: usize = 2;

/// State of the pull function: the authentication of callers, and the tenant's records.
#[derive(Debug, Clone)]
pub struct State {
    db: Db,
    callers: Callers,
}

impl State {
    /// Makes the state from the configuration; `None` where that has mistakes.
    pub fn connect(setup: &mut Setup) -> Option<Self> {
        let (db, callers) = (Db::from_setup(setup), Callers::from_setup_for_contents(setup));
        Some(Self { db: db?, callers: callers? })
    }
}

impl FromRef<State> for Callers {
    fn from_ref(state: &State) -> Self {
        state.callers.clone()
    }
}

/// This function's routes.
pub fn routes(_: &State) -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(pull))
        .routes(routes!(status))
        .routes(routes!(views::tasks))
        .routes(routes!(views::decisions))
        .routes(routes!(views::learnings))
        .routes(routes!(history::history))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PullParameters {
    /// Cursor to continue from: `next_cursor` of the page before. Without it: from the beginning.
    cursor: Option<String>,
    /// Maximum number of records per page; 500 by default. A page may have fewer, also none, and there may still be more.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u16>,
    /// Only records of this kind.
    #[param(inline)]
    kind: Option<Kind>,
    /// Only records of this project.
    #[param(value_type = Option<String>, min_length = 1, max_length = 128)]
    project_id: Option<ProjectId>,
}

/// Pull what changed since a cursor: each record once, as it is now, in the order of the last changes.
#[utoipa::path(
    get, path = "/api/v1/context/pull", tag = "context", operation_id = "context_pull",
    params(PullParameters), security(("bearer" = [])),
    responses(
        (status = 200, description = "A page, and where to go on.", body = PullAnswer),
        (status = 400, description = "The cursor can't be read, or is from before a restore: start over without one.",
            body = protocol::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "A parameter is out of range.",
            body = protocol::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
async fn pull(
    extract::State(app): extract::State<State>,
    caller: Caller,
    Query(request): Query<PullParameters>,
) -> Result<Response, Problem> {
    let limit = limit(request.limit, USUAL_RECORDS, MAX_PULL_RECORDS)?;
    let cursor = request.cursor.as_deref().map(Cursor::parse).transpose()?;
    let after = cursor.map_or(0, |cursor| cursor.unverified_seq);
    let query =
        PageQuery { after, limit, kind: request.kind, project: request.project_id.as_ref().map(ProjectId::as_str) };
    let memory = page_memory().await?;
    let (head, rows) = queries::pull(&app.db, &caller, &query).await?;
    if let Some(cursor) = cursor {
        cursor.check(Listing::Stream, &head)?;
    }

    let taken = &rows[..page::fitting(&rows)];
    let long = page::missing(taken);
    let contents = match long.as_slice() {
        [] => Default::default(),
        long => queries::contents(&app.db, caller.tenant(), long).await?,
    };
    let is_whole = taken.len() == rows.len() && rows.len() < usize::from(limit);
    let last = taken.last().map_or(after, page::seq);
    let next = if is_whole { last.max(head.seq.min(query.horizon())) } else { last };
    // A record that changed while its content was fetched is on a later page.
    let has_more = next < head.seq || contents.len() < long.len();
    let page = page::write(taken, &contents, &head, next, has_more)?;
    if !taken.is_empty() {
        LogEvent::ContextPulled { records: taken.len() as u64, bytes: page.len() as u64 }.emit();
    }
    Ok(kept(page, memory))
}

/// Reserves the memory of a page while it is read and written.
async fn page_memory() -> Result<Reserved, Problem> {
    WORK.reserve(PAGE_COPIES * MAX_PAGE_BYTES).await
}

/// Answers with a page that keeps its memory until it was sent.
fn kept(page: Vec<u8>, mut memory: Reserved) -> Response {
    memory.shrink(page.len());
    json(StatusCode::OK, memory.keep(page))
}

fn sent(page: impl Serialize, memory: Reserved) -> Result<Response, Problem> {
    Ok(kept(serde_json::to_vec(&page).map_err(Problem::internal_error)?, memory))
}

/// Stored records per kind, the devices that push, and how much of the plan's quotas is used.
#[utoipa::path(
    get, path = "/api/v1/context/status", tag = "context", operation_id = "context_status", security(("bearer" = [])),
    responses((status = 200, description = "How much there is.", body = ContextStatus)),
)]
async fn status(extract::State(app): extract::State<State>, caller: Caller) -> Result<Answer<ContextStatus>, Problem> {
    let (head, totals, devices, history) = queries::status(&app.db, &caller).await?;
    let kinds = totals.iter().map(kind_status).collect::<Result<Vec<_>, _>>()?;
    let devices = devices.iter().map(device).collect::<Result<_, _>>()?;
    let records = Usage { used: kinds.iter().map(|k| k.count).sum(), limit: head.max_records };
    let bytes = Usage { used: kinds.iter().map(|k| k.bytes).sum(), limit: head.max_bytes };
    let history = Some(usage(history.first())?);
    let encryption = head.key_id.map(|key_id| Encryption { key_id });
    Ok(Answer::ok(ContextStatus { kinds, devices, records, bytes, history, encryption }))
}

fn kind_status(row: &Row) -> Result<KindStatus, Problem> {
    let count = |at: usize| u64::try_from(row.get::<_, i64>(at)).map_err(Problem::internal_error);
    let kind = context::kind::of_number(row.get(0))?;
    Ok(KindStatus { kind, count: count(1)?, deleted: count(2)?, bytes: count(3)?, last_change: row.get(4) })
}

fn usage(row: Option<&Row>) -> Result<Usage, Problem> {
    let row = row.ok_or_else(|| Problem::internal_error("a head without a history"))?;
    Ok(Usage { used: u64::try_from(row.get::<_, i64>(0)).map_err(Problem::internal_error)?, limit: row.get(1) })
}

fn device(row: &Row) -> Result<Device, Problem> {
    let device_id = DeviceId::parse(row.get::<_, &str>(0)).map_err(Problem::internal_error)?;
    Ok(Device { device_id, last_seen_at: row.get(1) })
}
