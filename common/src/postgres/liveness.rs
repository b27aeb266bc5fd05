//! Check that an idle connection of the pool still reaches its server.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::HookError;

/// Idle time after which a connection is checked before its use: its server may have been restarted, and a process that was
/// frozen meanwhile has not noticed.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// Time limit for checking an idle connection.
pub(super) const PING_TIMEOUT: Duration = Duration::from_millis(250);

/// Checks that an idle connection still reaches its server. `silent` is the time at which one last did not answer: connections
/// that were idle then are dropped unchecked, because a request has no time to wait for each of them.
pub(super) async fn check(
    client: &tokio_postgres::Client,
    idle: Duration,
    silent: Arc<Mutex<Option<Instant>>>,
) -> Result<(), HookError> {
    if idle < TRUSTED_IDLE {
        return Ok(());
    }
    let gone = || HookError::message("the connection is gone");
    let since = *silent.lock().unwrap_or_else(PoisonError::into_inner);
    if since.is_some_and(|since| since.elapsed() < idle) {
        return Err(gone());
    }
    match tokio::time::timeout(PING_TIMEOUT, client.simple_query("")).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err(gone()),
        Err(_) => {
            *silent.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            Err(gone())
        }
    }
}
