//! Sends what telemetry has counted on this machine.

use std::time::Duration;

use local::telemetry::Telemetry;

use crate::core::Core;
use crate::{Error, http_failure};

/// Timeout of a request: it is not waited for, but no process stays for longer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Sends the events that wait, if telemetry is on and the cloud takes it.
pub(crate) fn send(core: &Core) -> Result<(), Error> {
    match Telemetry::in_home(core.home.clone()).take()? {
        Some(batch) if post(core, &batch.body)? => batch.done(),
        _ => Ok(()),
    }
}

/// Sends these events. Returns true if there is nothing more to be done about them.
fn post(core: &Core, body: &[u8]) -> Result<bool, Error> {
    // A cloud that doesn't name this function takes no telemetry.
    let Ok(to) = core.discovery.at_hand()?.endpoint("telemetry", "/api/v1/telemetry") else { return Ok(false) };
    let request = core.cloud.agent(&to)?.post(to.as_str()).header("content-type", "application/json");
    let answer = request.config().timeout_global(Some(TIMEOUT)).build().send(body);
    let answer = answer.map_err(|error| {
        let (cause, fault) = http_failure::cause(&error);
        Error::outage(&to, cause, fault)
    })?;
    let status = answer.status();
    // Events that are refused once are refused again.
    Ok(status.is_success() || status.is_client_error() && !matches!(status.as_u16(), 404 | 408 | 429))
}
