//! `POST /api/v1/context/push` and `POST /api/v1/context/tasks`: records change, and the change goes to the end of the
//! tenant's stream.
//!
//! Round trips: Postgres 1. `begin`, the tenant, the whole push (`context_push` in the migrations: the caller's right, the
//! tenant's lock, the records from arrays, the head) and `commit` leave together, so that nothing waits for the network
//! while others wait for the lock.
//!
//! Crashes: all of a push is kept or none. A client that received no answer sends it again, and gets `duplicate`.

mod batch;
mod compressed;
mod push_limiter;
mod queries;
mod record;

use axum::extract::{self, FromRef};
use common::{Answer, Caller, Callers, Db, LogEvent, Problem, Setup, body};
use context::Listing;
use jiff::Timestamp;
use protocol::id::DeviceId;
use protocol::wire::{
    MAX_PUSH_RECORDS, PushAnswer, PushRequest, PushResult, PushStatus, Rejection, RejectionCode, TaskEvent, TaskEvents,
};
use serde_json::value::RawValue;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use batch::Batch;
use compressed::Compressed;
use push_limiter::PushLimiter;
use record::{Record, Unusable};

/// Device of records that are sent without a client.
const API_DEVICE: &str = "api";

/// State of the push function: the authentication of callers, and the tenant's records.
#[derive(Debug, Clone)]
pub struct State {
    db: Db,
    callers: Callers,
    limiter: PushLimiter,
}

impl State {
    /// Makes the state from the configuration; `None` where that has mistakes.
    pub fn connect(setup: &mut Setup) -> Option<Self> {
        let (db, callers) = (Db::from_setup(setup), Callers::from_setup_for_contents(setup));
        Some(Self { db: db?, callers: callers?, limiter: PushLimiter::default() })
    }
}

impl FromRef<State> for Callers {
    fn from_ref(state: &State) -> Self {
        state.callers.clone()
    }
}

/// This function's routes.
pub fn routes(_: &State) -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(push)).routes(routes!(push_tasks))
}

/// Push changed records. The body may be compressed with gzip or zstd.
#[utoipa::path(
    post, path = "/api/v1/context/push", tag = "context", operation_id = "context_push",
    request_body = PushRequest, security(("bearer" = [])),
    responses((status = 200, description = "What became of each record, in order.", body = PushAnswer)),
)]
async fn push(
    extract::State(app): extract::State<State>,
    caller: Caller,
    Compressed(bytes, _memory): Compressed,
) -> Result<Answer<PushAnswer>, Problem> {
    let request: PushRequest<&RawValue> = body::parse(&bytes)?;
    not_too_many(request.records.len(), "/records")?;
    let batch = Batch::of(request.records.into_iter().map(Record::read));
    store(&app, &caller, &request.device_id, batch, bytes.len()).await
}

/// Push tasks as they are now: one event, or a list of them. The body may be compressed with gzip or zstd.
#[utoipa::path(
    post, path = "/api/v1/context/tasks", tag = "context", operation_id = "context_push_tasks",
    request_body(content = TaskEvents, description = "A task event, or a list of at most 500."), security(("bearer" = [])),
    responses((status = 200, description = "What became of each task, in order.", body = PushAnswer)),
)]
async fn push_tasks(
    extract::State(app): extract::State<State>,
    caller: Caller,
    Compressed(bytes, _memory): Compressed,
) -> Result<Answer<PushAnswer>, Problem> {
    let now = Timestamp::now();
    let events: Vec<&RawValue> = match bytes.trim_ascii_start().first() {
        Some(b'[') => body::parse_list(&bytes)?,
        // One alone is refused as a whole, with pointers to what is wrong.
        _ => {
            body::parse::<TaskEvent>(&bytes)?;
            vec![body::parse(&bytes)?]
        }
    };
    not_too_many(events.len(), "")?;
    let batch = Batch::of(events.into_iter().map(|text| task(text, now)));
    let device = DeviceId::parse(API_DEVICE).map_err(Problem::internal_error)?;
    store(&app, &caller, &device, batch, bytes.len()).await
}

fn task(text: &RawValue, now: Timestamp) -> Result<Record, Unusable> {
    record::must_be_object(text)?;
    let event: TaskEvent = serde_json::from_str(text.get())
        .map_err(|e| Unusable { id: None, why: Rejection::new(RejectionCode::InvalidRecord, record::sentence(&e)) })?;
    let id = event.task_id.to_string();
    Record::of_task(event, now).map_err(|why| Unusable { id: Some(id), why })
}

fn not_too_many(records: usize, pointer: &str) -> Result<(), Problem> {
    match records {
        0..=MAX_PUSH_RECORDS => Ok(()),
        _ => Err(Problem::invalid(
            pointer,
            format!("has {records} records; at most {MAX_PUSH_RECORDS} go into one push."),
        )),
    }
}

fn emit_pushed(results: &[PushResult], bytes: usize) {
    let count = |of: &[PushStatus]| results.iter().filter(|result| of.contains(&result.status)).count() as u64;
    let event = LogEvent::ContextPushed {
        records: count(&[PushStatus::Created, PushStatus::Updated]),
        duplicates: count(&[PushStatus::Duplicate]),
        conflicts: count(&[PushStatus::Conflict]),
        rejected: count(&[PushStatus::Rejected]),
        bytes: bytes as u64,
    };
    event.emit();
}

async fn store(
    app: &State,
    caller: &Caller,
    device: &DeviceId,
    mut batch: Batch,
    bytes: usize,
) -> Result<Answer<PushAnswer>, Problem> {
    let _permit = app.limiter.acquire(caller.tenant()).await?;
    let head = queries::push(&app.db, caller, device, &mut batch).await?;
    let results = batch.into_results();
    emit_pushed(&results, bytes);
    Ok(Answer::ok(PushAnswer { results, cursor: head.cursor(Listing::Stream, head.seq) }))
}
