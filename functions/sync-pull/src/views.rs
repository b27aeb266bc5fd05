//! `GET /api/v1/context/{tasks,decisions,learnings}`: the records of one kind, the latest change first, with flat fields.

use axum::extract;
use axum::response::Response;
use common::query::limit;
use common::{Caller, Problem, Query};
use context::{Cursor, Listing};
use protocol::envelope::Envelope;
use protocol::id::{DeviceId, ProjectId, RecordId, TaskStatus};
use protocol::wire::{Kind, NoteView, Page, TaskView};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio_postgres::Row;
use utoipa::IntoParams;

use crate::queries::{self, PageQuery};
use crate::{State, page_memory, sent};

/// Default and maximum number of views per page.
const USUAL_VIEWS: u16 = 50;
const MAX_VIEWS: u16 = 200;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TaskParameters {
    /// Only tasks of this status.
    #[param(value_type = Option<String>, pattern = "^[a-z][a-z0-9_]{0,31}$")]
    status: Option<TaskStatus>,
    /// Only tasks of this project.
    #[param(value_type = Option<String>, min_length = 1, max_length = 128)]
    project_id: Option<ProjectId>,
    /// Maximum number of tasks; 50 by default.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
    /// Cursor to continue from: `next_cursor` of the page before.
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct NoteParameters {
    /// Only those of this project.
    #[param(value_type = Option<String>, min_length = 1, max_length = 128)]
    project_id: Option<ProjectId>,
    /// Maximum number of records; 50 by default.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
    /// Cursor to continue from: `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The tenant's tasks, the latest change first.
#[utoipa::path(
    get, path = "/api/v1/context/tasks", tag = "context", operation_id = "context_tasks",
    params(TaskParameters), security(("bearer" = [])),
    responses(
        (status = 200, description = "A page of tasks.", body = Page<TaskView>),
        (status = 400, description = "The cursor can't be read.",
            body = protocol::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "A parameter is out of range.",
            body = protocol::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn tasks(
    extract::State(app): extract::State<State>,
    caller: Caller,
    Query(request): Query<TaskParameters>,
) -> Result<Response, Problem> {
    let status = request.status.as_ref().map(TaskStatus::as_str);
    list(&app, &caller, Kind::Task, (request.limit, request.cursor, request.project_id), status, task).await
}

/// The tenant's decisions, the latest change first.
#[utoipa::path(
    get, path = "/api/v1/context/decisions", tag = "context", operation_id = "context_decisions",
    params(NoteParameters), security(("bearer" = [])),
    responses(
        (status = 200, description = "A page of decisions.", body = Page<NoteView>),
        (status = 400, description = "The cursor can't be read.",
            body = protocol::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "A parameter is out of range.",
            body = protocol::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn decisions(
    extract::State(app): extract::State<State>,
    caller: Caller,
    Query(request): Query<NoteParameters>,
) -> Result<Response, Problem> {
    list(&app, &caller, Kind::Decision, (request.limit, request.cursor, request.project_id), None, note).await
}

/// The tenant's skill learnings, the latest change first.
#[utoipa::path(
    get, path = "/api/v1/context/learnings", tag = "context", operation_id = "context_learnings",
    params(NoteParameters), security(("bearer" = [])),
    responses(
        (status = 200, description = "A page of learnings.", body = Page<NoteView>),
        (status = 400, description = "The cursor can't be read.",
            body = protocol::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "A parameter is out of range.",
            body = protocol::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn learnings(
    extract::State(app): extract::State<State>,
    caller: Caller,
    Query(request): Query<NoteParameters>,
) -> Result<Response, Problem> {
    list(&app, &caller, Kind::SkillLearning, (request.limit, request.cursor, request.project_id), None, note).await
}

async fn list<T: Serialize>(
    app: &State,
    caller: &Caller,
    kind: Kind,
    (wished, cursor, project): (Option<u16>, Option<String>, Option<ProjectId>),
    status: Option<&str>,
    view: fn(Record) -> T,
) -> Result<Response, Problem> {
    let limit = limit(wished, USUAL_VIEWS, MAX_VIEWS)?;
    let cursor = cursor.as_deref().map(Cursor::parse).transpose()?;
    let before = cursor.map_or(i64::MAX, |cursor| cursor.unverified_seq);
    let query = PageQuery { after: before, limit, kind: Some(kind), project: project.as_ref().map(ProjectId::as_str) };
    let memory = page_memory().await?;
    let (head, rows) = queries::view(&app.db, caller, kind, &query, status).await?;
    if let Some(cursor) = cursor {
        cursor.check(Listing::View, &head)?;
    }
    let fitting = rows.iter().take(usize::from(limit)).take_while(|row| row.get("fits")).count();
    let taken = &rows[..fitting];
    let has_more = taken.len() < rows.len();
    let next_cursor = taken.last().filter(|_| has_more).map(|row| head.cursor(Listing::View, row.get(6)));
    let data = taken.iter().map(|row| Record::from_row(row).map(view)).collect::<Result<_, _>>()?;
    sent(Page { data, next_cursor, has_more }, memory)
}

/// A record as both views need it.
struct Record {
    id: RecordId,
    project_id: Option<ProjectId>,
    content: Map<String, Value>,
    encrypted: bool,
    version: u64,
    updated_at: jiff::Timestamp,
    device_id: DeviceId,
}

impl Record {
    fn from_row(row: &Row) -> Result<Self, Problem> {
        let content: Value = serde_json::from_slice(row.get(2)).map_err(Problem::internal_error)?;
        let encrypted = matches!(Envelope::of(&content), Ok(Some(_)));
        let project: Option<&str> = row.get(1);
        Ok(Self {
            id: RecordId::parse(row.get::<_, &str>(0)).map_err(Problem::internal_error)?,
            project_id: project.map(ProjectId::parse).transpose().map_err(Problem::internal_error)?,
            content: match content {
                Value::Object(fields) if !encrypted => fields,
                _ => Map::new(),
            },
            encrypted,
            version: u64::try_from(row.get::<_, i64>(3)).map_err(Problem::internal_error)?,
            updated_at: row.get(4),
            device_id: DeviceId::parse(row.get::<_, &str>(5)).map_err(Problem::internal_error)?,
        })
    }
}

fn task(record: Record) -> TaskView {
    let text = |name: &str| record.content.get(name).and_then(Value::as_str).map(str::to_owned);
    let count = |name: &str| record.content.get(name).and_then(Value::as_u64);
    TaskView {
        description: text("description"),
        status: text("status"),
        outcome: text("outcome"),
        tool_success_count: count("tool_success_count"),
        tool_error_count: count("tool_error_count"),
        user_corrections: count("user_corrections"),
        task_id: record.id,
        project_id: record.project_id,
        encrypted: record.encrypted,
        version: record.version,
        updated_at: record.updated_at,
        device_id: record.device_id,
    }
}

fn note(record: Record) -> NoteView {
    let Record { id, project_id, mut content, encrypted, version, updated_at, device_id } = record;
    // A field of the content with the name of one of ours would make the answer say two things.
    for taken in ["id", "project_id", "encrypted", "version", "updated_at", "device_id"] {
        content.remove(taken);
    }
    NoteView { id, project_id, encrypted, version, updated_at, device_id, content }
}
