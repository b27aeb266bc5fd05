//! `POST /webhooks/stripe`: Stripe reports changes of customers, subscriptions and payments, and licenses follow.
//!
//! Round trips: Postgres 1 (the owner) → Postgres 1 (the event, the known state) → Postgres 1 (the effects, commit) → when the
//! license changed, Redis 1 (the new limit or state) and Postgres 1 (the outbox entry is done) → Postgres 1 (the events that waited
//! for this). Stripe's API only when the events alone can't decide.
//!
//! Crashes: before the commit nothing happened and nothing was acknowledged, so that Stripe sends the event again; after it the
//! event is known, the outbox updates Redis, and events that waited are applied by the next `ops stripe retry`.
//!
//! [`event_store`] receives events (`receive`) and takes each from step to step (`process`); `customer_update` has their effects.

mod customer_update;
pub mod event_store;
mod owner;
mod queries;

use axum::extract;
use axum::http::HeaderMap;
use common::body::RawBody;
use common::{Answer, Problem, Setup, config};
use event_store::{EventStore, Outcome};
use jiff::Timestamp;
use stripe::event::Event;
use stripe::signature::Secrets;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The largest event that is read. Stripe's are some kilobytes; invoices with hundreds of lines some hundred.
const BODY_LIMIT_BYTES: usize = 2 * 1024 * 1024;

/// State of the webhook function: the endpoint's secrets, and the store of events.
#[derive(Debug, Clone)]
pub struct State {
    secrets: Secrets,
    event_store: EventStore,
}

impl State {
    /// Makes the state from the configuration; `None` where that has mistakes.
    pub fn connect(setup: &mut Setup) -> Option<Self> {
        let secrets = setup.required(&config::STRIPE_WEBHOOK_SECRETS, Secrets::parse);
        let event_store = EventStore::from_setup(setup);
        Some(Self { secrets: secrets?, event_store: event_store? })
    }
}

/// This function's routes.
pub fn routes(_: &State) -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(stripe_event))
}

/// Outcome of the event.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
struct Received {
    /// `applied`; `known`: the event came before; `waiting`: kept until the tenant that it belongs to is known; `failed`: kept
    /// for an operator to look at; `ignored`: not of this deployment's kinds or mode.
    status: Outcome,
}

/// Stripe's webhook. Whatever is answered `200` is durable.
#[utoipa::path(
    post, path = "/webhooks/stripe", tag = "billing", operation_id = "stripe_event",
    request_body(content = serde_json::Value, content_type = "application/json", description = "An event as Stripe sends it."),
    params(("Stripe-Signature" = String, Header, description = "`t=SECONDS,v1=HEX[,v1=HEX…]`")),
    responses((status = 200, description = "The event is kept, or not ours.", body = Received)),
)]
async fn stripe_event(
    extract::State(state): extract::State<State>,
    headers: HeaderMap,
    RawBody(body): RawBody<BODY_LIMIT_BYTES>,
) -> Result<Answer<Received>, Problem> {
    let header = headers.get("stripe-signature").and_then(|value| value.to_str().ok());
    state
        .secrets
        .verify(header, &body, Timestamp::now())
        .map_err(|error| Problem::invalid_signature(error.to_string()))?;
    // Stripe repeats for days what isn't answered with success, and then turns the endpoint off.
    let status = match Event::parse_verified(&body) {
        Ok(event) => state.event_store.receive(&event, &body).await?,
        Err(unreadable) => state.event_store.store_unreadable(&unreadable, &body).await?,
    };
    Ok(Answer::ok(Received { status }))
}
