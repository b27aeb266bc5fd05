//! Every function's routes in one process: local development and on-premise.
//!
//! Nothing is added to them: the same routers, the same states, sharing one pool and one connection to Redis. What is for
//! Stripe is left out of an installation that has no secrets of it.

use common::{Setup, config};
use utoipa_axum::router::OpenApiRouter;

/// Every function's routes with their states. `None` when the configuration has a mistake, which the setup has noted.
pub fn connect(setup: &mut Setup) -> Option<OpenApiRouter> {
    let validate = validate::State::connect(setup);
    let acquire = acquire::State::connect(setup);
    let heartbeat = heartbeat::State::connect(setup);
    let release = release::State::connect(setup);
    let auth = auth::State::connect(setup);
    let sync_push = sync_push::State::connect(setup);
    let sync_pull = sync_pull::State::connect(setup);
    let has_webhook = setup.is_set(&config::STRIPE_WEBHOOK_SECRETS);
    let webhook = has_webhook.then(|| webhook_stripe::State::connect(setup));
    let sells = setup.is_set(&config::STRIPE_API_KEY);
    let billing = sells.then(|| billing::State::connect(setup));
    let (validate, acquire, heartbeat, release, auth) = (validate?, acquire?, heartbeat?, release?, auth?);
    let (sync_push, sync_pull) = (sync_push?, sync_pull?);
    let mut router = OpenApiRouter::new()
        .merge(validate::routes(&validate).with_state(validate))
        .merge(acquire::routes(&acquire).with_state(acquire))
        .merge(heartbeat::routes(&heartbeat).with_state(heartbeat))
        .merge(release::routes(&release).with_state(release))
        .merge(auth::routes(&auth).with_state(auth))
        .merge(sync_push::routes(&sync_push).with_state(sync_push))
        .merge(sync_pull::routes(&sync_pull).with_state(sync_pull));
    if let Some(webhook) = webhook {
        let webhook = webhook?;
        router = router.merge(webhook_stripe::routes(&webhook).with_state(webhook));
    }
    if let Some(billing) = billing {
        let billing = billing?;
        router = router.merge(billing::routes(&billing).with_state(billing));
    }
    Some(router)
}
