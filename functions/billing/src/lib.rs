//! `POST /api/v1/billing/checkout` and `POST /api/v1/billing/portal`: owners and admins buy a plan, and change what they
//! pay for, on Stripe's pages.
//!
//! Round trips: Postgres 1 (the catalogue, the tenant's customer, the caller's address) → Stripe 1 (the page), with no
//! transaction open meanwhile. A purchase reaches us by `webhook-stripe`.
//!
//! Crashes: we write nothing. A page whose address never reached a client is closed by Stripe after a day; asking again with
//! the same `Idempotency-Key` gives the same page, also when the first answer was lost.

mod catalogue;
mod queries;
mod refusal;

use aws_lc_rs::digest;
use axum::extract::{self, FromRef};
use common::caller::Role;
use common::idempotency::Idempotency;
use common::{Answer, Body, Caller, Callers, Db, Problem, Setup};
use protocol::id::UserId;
use protocol::wire::{CheckoutAnswer, CheckoutRequest, PortalAnswer, PortalRequest};
use refusal::refusal;
use stripe::api::{Api, Buyer, NewCheckout};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

/// State of the billing function: the database, the authentication of callers, and Stripe's API.
#[derive(Debug, Clone)]
pub struct State {
    db: Db,
    callers: Callers,
    api: Api,
}

impl State {
    /// Makes the state from the configuration; `None` where that has mistakes.
    pub fn connect(setup: &mut Setup) -> Option<Self> {
        let (db, callers, api) = (Db::from_setup(setup), Callers::from_setup(setup), Api::from_setup_required(setup));
        Some(Self { db: db?, callers: callers?, api: api? })
    }
}

impl FromRef<State> for Callers {
    fn from_ref(state: &State) -> Self {
        state.callers.clone()
    }
}

/// This function's routes.
pub fn routes(_: &State) -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(checkout)).routes(routes!(portal))
}

/// Open a page where a plan can be bought. For owners and admins.
#[utoipa::path(
    post, path = "/api/v1/billing/checkout", tag = "billing", operation_id = "billing_checkout",
    request_body = CheckoutRequest, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$",
        description = "A request that is repeated with the same key and body gets the same page.")),
    responses(
        (status = 200, description = "A page of Stripe's.", body = CheckoutAnswer),
        (status = 502, description = "Stripe refuses to open the page.",
            body = protocol::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
async fn checkout(
    extract::State(app): extract::State<State>,
    caller: Caller,
    idempotency: Idempotency,
    Body { value: request, .. }: Body<CheckoutRequest>,
) -> Result<Answer<CheckoutAnswer>, Problem> {
    let user = who_may_pay(&caller)?;
    let queries::Sale { catalogue, customer, email } =
        queries::sale(&app.db, caller.tenant(), user, app.api.livemode()).await?;
    let items = catalogue.items(request.plan.as_str(), request.seats)?;
    let buyer = match (&customer, &email) {
        (Some(customer), _) => Buyer::Customer(customer),
        (None, Some(email)) => Buyer::Email(email),
        (None, None) => return Err(Problem::forbidden("You are no longer a user of your organization.")),
    };
    let new = NewCheckout {
        tenant: caller.tenant(),
        buyer,
        items: &items,
        success_url: request.success_url.as_str(),
        cancel_url: request.cancel_url.as_str(),
    };
    let key = key_at_stripe(&caller, "checkout", &idempotency);
    let page = app.api.create_checkout(&new, &key).await;
    let page =
        page.map_err(|e| refusal(e, &idempotency, &["/success_url", "/cancel_url"], Some(request.plan.as_str())))?;
    Ok(Answer::ok(CheckoutAnswer { url: page.url, expires_at: page.expires_at }))
}

/// Open a page where cards, seats and plans are changed, and invoices kept. For owners and admins.
#[utoipa::path(
    post, path = "/api/v1/billing/portal", tag = "billing", operation_id = "billing_portal",
    request_body = PortalRequest, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$",
        description = "A request that is repeated with the same key and body gets the same page.")),
    responses(
        (status = 200, description = "A page of Stripe's.", body = PortalAnswer),
        (status = 502, description = "Stripe refuses to open the page.",
            body = protocol::problem::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "Nothing was bought yet.",
            body = protocol::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
async fn portal(
    extract::State(app): extract::State<State>,
    caller: Caller,
    idempotency: Idempotency,
    Body { value: request, .. }: Body<PortalRequest>,
) -> Result<Answer<PortalAnswer>, Problem> {
    who_may_pay(&caller)?;
    let customer = queries::customer(&app.db, caller.tenant(), app.api.livemode()).await?;
    let customer = customer.ok_or_else(Problem::nothing_bought)?;
    let key = key_at_stripe(&caller, "portal", &idempotency);
    let url = app.api.create_portal(&customer, request.return_url.as_str(), &key).await;
    let url = url.map_err(|e| refusal(e, &idempotency, &["/return_url"], None))?;
    Ok(Answer::ok(PortalAnswer { url }))
}

fn who_may_pay(caller: &Caller) -> Result<UserId, Problem> {
    match caller {
        Caller::User { user, role: Role::Owner | Role::Admin, .. } => Ok(*user),
        Caller::User { .. } => Err(Problem::forbidden(
            "Only owners and admins of your organization see to what it pays for. Ask one of them.",
        )),
        Caller::License { .. } => Err(Problem::forbidden(
            "A license key doesn't say who you are. Sign in as an owner or admin of your organization to see to what it pays for.",
        )),
    }
}

/// The idempotency key towards Stripe. Made of the caller's, it is another one for each caller and operation. The body is
/// no part of it: it is Stripe that keeps answers by key, and that finds a key which comes again for something else.
fn key_at_stripe(caller: &Caller, operation: &str, idempotency: &Idempotency) -> String {
    let Some(key) = &idempotency.0 else { return Uuid::now_v7().to_string() };
    let whole = format!("{}/{}/{operation}/{}", caller.tenant(), caller.subject(), key.as_str());
    hex::encode(digest::digest(&digest::SHA256, whole.as_bytes()))
}
