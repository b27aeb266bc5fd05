//! `POST /api/v1/telemetry`: takes the counters of command lines whose users have turned that on.
//!
//! Round trips: none. An event becomes a line of the log, and is kept nowhere else; the log's own retention ends it. There is
//! no credential, so that the events are anonymous.
//!
//! Crashes: the lines are written before the answer. A client whose answer was lost sends its events again, and they are
//! counted twice.

use axum::http::StatusCode;
use common::{Answer, Body, Problem, Setup};
use protocol::wire::{TelemetryAnswer, TelemetryRequest};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// State of the telemetry function: empty.
#[derive(Debug, Clone)]
pub struct State;

impl State {
    /// Makes the state, which needs no configuration.
    pub fn connect(_: &mut Setup) -> Option<Self> {
        Some(Self)
    }
}

/// This function's routes.
pub fn routes(_: &State) -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(telemetry))
}

/// Take the events that a command line has counted. They are anonymous: no credentials are needed.
#[utoipa::path(
    post, path = "/api/v1/telemetry", tag = "telemetry", operation_id = "telemetry",
    request_body = TelemetryRequest,
    responses((status = 202, description = "The events were taken.", body = TelemetryAnswer)),
)]
async fn telemetry(Body { value: request, .. }: Body<TelemetryRequest>) -> Result<Answer<TelemetryAnswer>, Problem> {
    let installation_id = request.installation_id.to_string();
    let events = request.events.as_slice();
    for event in events {
        tracing::info!(
            installation_id,
            command = event.command.as_str(),
            exit = event.exit.as_str(),
            duration = event.duration.as_str(),
            version = event.version.as_str(),
            os = event.os.as_str(),
            arch = event.arch.as_str(),
            "telemetry"
        );
    }
    let accepted = u32::try_from(events.len()).map_err(Problem::internal_error)?;
    Ok(Answer(StatusCode::ACCEPTED, TelemetryAnswer { accepted }))
}
