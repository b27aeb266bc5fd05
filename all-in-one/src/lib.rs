//! Every function's routes in one process: local development and on-premise.
//!
//! Nothing is added to them: the same routers, the same states, sharing one pool and one connection to Redis.

use common::Setup;
use utoipa_axum::router::OpenApiRouter;

/// Every function's routes with their states. `None` when the configuration has a mistake, which the setup has noted.
pub fn connect(setup: &mut Setup) -> Option<OpenApiRouter> {
    let validate = validate::State::connect(setup);
    let acquire = acquire::State::connect(setup);
    let heartbeat = heartbeat::State::connect(setup);
    let release = release::State::connect(setup);
    let auth = auth::State::connect(setup);
    let (validate, acquire, heartbeat, release, auth) = (validate?, acquire?, heartbeat?, release?, auth?);
    Some(
        OpenApiRouter::new()
            .merge(validate::routes(&validate).with_state(validate))
            .merge(acquire::routes(&acquire).with_state(acquire))
            .merge(heartbeat::routes(&heartbeat).with_state(heartbeat))
            .merge(release::routes(&release).with_state(release))
            .merge(auth::routes(&auth).with_state(auth)),
    )
}
