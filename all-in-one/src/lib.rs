//! Every function's routes in one process: local development and on-premise.
//!
//! Little is added to them: the same routers and states share one pool and one connection to Redis; each passes its name to
//! the log and to the metrics, which only this process has. Stripe's routes are left out of an installation that has no
//! secrets for it. An enterprise license file, if there is one, limits the number of users and the time.

mod enterprise;
mod gauges;

use axum::extract::Request;
use common::{Setup, config, request};
use tower::util::MapRequestLayer;
use utoipa_axum::router::OpenApiRouter;

use crate::enterprise::Limits;

/// Returns every function's routes with their states. `None` when the configuration has a mistake, which the setup has noted.
pub fn connect(setup: &mut Setup) -> Option<OpenApiRouter> {
    let metrics = gauges::from_setup(setup);
    let enterprise = enterprise::from_setup(setup, enterprise::VENDOR_KEYS);
    let validate = validate::State::connect(setup);
    let acquire = acquire::State::connect(setup);
    let heartbeat = heartbeat::State::connect(setup);
    let release = release::State::connect(setup);
    let auth = auth::State::connect(setup);
    let sync_push = sync_push::State::connect(setup);
    let sync_pull = sync_pull::State::connect(setup);
    let telemetry = telemetry::State::connect(setup);
    let has_webhook = setup.is_set(&config::STRIPE_WEBHOOK_SECRETS);
    let webhook = has_webhook.then(|| webhook_stripe::State::connect(setup));
    let sells = setup.is_set(&config::STRIPE_API_KEY);
    let billing = sells.then(|| billing::State::connect(setup));
    let (validate, acquire, heartbeat, release, auth) = (validate?, acquire?, heartbeat?, release?, auth?);
    let (sync_push, sync_pull, telemetry, ()) = (sync_push?, sync_pull?, telemetry?, metrics?);
    let (validate, acquire) = match enterprise? {
        Limits::Licensed(terms) => (validate.until(terms.ends()), acquire.within(terms.users, terms.ends())),
        Limits::Unlimited => (validate, acquire),
    };
    let mut router = OpenApiRouter::new()
        .merge(named("validate", validate::routes(&validate).with_state(validate)))
        .merge(named("acquire", acquire::routes(&acquire).with_state(acquire)))
        .merge(named("heartbeat", heartbeat::routes(&heartbeat).with_state(heartbeat)))
        .merge(named("release", release::routes(&release).with_state(release)))
        .merge(named("auth", auth::routes(&auth).with_state(auth)))
        .merge(named("sync-push", sync_push::routes(&sync_push).with_state(sync_push)))
        .merge(named("sync-pull", sync_pull::routes(&sync_pull).with_state(sync_pull)))
        .merge(named("telemetry", telemetry::routes(&telemetry).with_state(telemetry)));
    if let Some(webhook) = webhook {
        let webhook = webhook?;
        router = router.merge(named("webhook-stripe", webhook_stripe::routes(&webhook).with_state(webhook)));
    }
    if let Some(billing) = billing {
        let billing = billing?;
        router = router.merge(named("billing", billing::routes(&billing).with_state(billing)));
    }
    Some(router)
}

fn named(function: &'static str, routes: OpenApiRouter) -> OpenApiRouter {
    routes.layer(MapRequestLayer::new(move |request: Request| {
        request::set_function(function);
        request
    }))
}
