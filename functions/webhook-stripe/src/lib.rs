//! `POST /webhooks/stripe`: Stripe tells what became of customers, subscriptions and payments, and licences follow.

use common::{Db, Setup};
use utoipa_axum::router::OpenApiRouter;

/// What the webhook needs.
#[derive(Debug, Clone)]
pub struct State {
    db: Db,
}

impl State {
    /// Asks for what this function needs.
    pub fn connect(setup: &mut Setup) -> Option<Self> {
        Some(Self { db: setup.postgres()? })
    }
}

/// This function's routes.
pub fn routes(app: &State) -> OpenApiRouter<State> {
    let _ = &app.db;
    OpenApiRouter::new()
}
