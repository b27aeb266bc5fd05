//! The choice of the license that a seat is taken of.
//!
//! A person who signed in gets the seat that they hold, else one of any active license of the tenant with room, the best
//! plan first. The opening of the session's row refuses a holder who has a seat of another license by then, and the choice
//! starts anew with that license.

use common::{Caller, LogEvent, Problem, other_license};
use protocol::wire::{AcquireRequest, SeatCounts};
use seats::{AcquireOutcome, Grant, NewSession};
use uuid::Uuid;

use crate::State;
use crate::queries::{self, License, inactive_problem};

/// Maximum number of times that a holder's seat may turn up on another license before the answer is `503`.
const ATTEMPTS: usize = 4;

/// The counts of the licenses without room.
#[derive(Debug, Default)]
struct FullLicenses {
    limit: u32,
    in_use: u32,
    wait_ms: Option<u64>,
}

impl FullLicenses {
    fn add(&mut self, limit: u32, in_use: u32, wait_ms: u64) {
        self.limit = self.limit.saturating_add(limit);
        self.in_use = self.in_use.saturating_add(in_use);
        self.wait_ms = Some(self.wait_ms.map_or(wait_ms, |least| least.min(wait_ms)));
    }
}

/// Takes a seat for the caller, of the license that was asked for or the best that has room.
pub(crate) async fn acquire_seat(
    app: &State,
    caller: &Caller,
    request: &AcquireRequest,
) -> Result<(License, Grant), Problem> {
    for _ in 0..ATTEMPTS {
        let licenses = queries::licenses_for_caller(&app.db, caller, request).await?;
        let licenses = licenses.into_iter().map(|license| license.until(app.ends)).collect();
        if let Some(taken) = acquire_first(app, caller, request, licenses).await? {
            return Ok(taken);
        }
    }
    Err(Problem::unavailable("seats", "the holder's seat moved between licenses again and again"))
}

/// Tries the licenses in order. `None`: the holder has a seat of another one since they were read.
async fn acquire_first(
    app: &State,
    caller: &Caller,
    request: &AcquireRequest,
    licenses: Vec<License>,
) -> Result<Option<(License, Grant)>, Problem> {
    let is_one_of_several = licenses.len() > 1;
    let (active, inactive): (Vec<License>, Vec<License>) =
        licenses.into_iter().partition(|license| license.terms.state == "active");
    // Sessions that hold no seat: a license that can't be used has none, one that is full would have answered with it.
    let mut seatless: Vec<Uuid> = inactive.iter().filter_map(|license| license.held).collect();
    let holder = caller.holder(&request.hardware_id);
    let mut full = FullLicenses::default();
    let mut refused = inactive.into_iter().next().map(|license| (license.terms.state.clone(), license));
    let mut best: Option<License> = None;
    for license in active {
        let session = NewSession {
            tenant: caller.tenant(),
            license: license.id,
            holder: &holder,
            user: caller.user(),
            hardware: &request.hardware_id,
            hostname: request.hostname.as_ref().map(|h| h.as_str()),
            version: request.version.as_ref().map(|v| v.as_str()),
            instance: request.instance.unwrap_or(seats::UNNAMED),
            seatless: is_one_of_several.then_some(&seatless),
        };
        match app.seats.acquire(&license.terms, &session).await? {
            AcquireOutcome::Seat(grant) => return Ok(Some((license, grant))),
            AcquireOutcome::Elsewhere => return Ok(None),
            AcquireOutcome::Full { limit, in_use, wait_ms } => {
                full.add(limit, in_use, wait_ms);
                seatless.extend(license.held);
                best.get_or_insert(license);
            }
            AcquireOutcome::InstallationFull { users, in_use, wait_ms } => {
                queries::count_refusal(&app.db, caller.tenant(), license.id).await?;
                let counts = SeatCounts { limit: users, in_use };
                let problem = Problem::installation_full(counts, wait_seconds(wait_ms));
                return Err(denied(&license, "installation_full", users, problem));
            }
            AcquireOutcome::Inactive(state) => {
                seatless.extend(license.held);
                refused = Some((state, license));
            }
            AcquireOutcome::Cold | AcquireOutcome::Behind { .. } => {
                return Err(Problem::internal_error("a license that was not ready was not waited for"));
            }
        }
    }
    if let (Some(license), Some(wait_ms)) = (best, full.wait_ms) {
        queries::count_refusal(&app.db, caller.tenant(), license.id).await?;
        let counts = SeatCounts { limit: full.limit, in_use: full.in_use };
        return Err(denied(&license, "full", full.limit, Problem::no_seats(counts, wait_seconds(wait_ms))));
    }
    let (state, license) = refused.ok_or_else(|| Problem::not_found("license"))?;
    let other = other_license::find(&app.db, caller.tenant(), license.id, app.ends).await?;
    let problem = inactive_problem(&state).with_other_license(other);
    Err(denied(&license, &state, license.terms.limit, problem))
}

fn wait_seconds(wait_ms: u64) -> u32 {
    u32::try_from(wait_ms.div_ceil(1000)).unwrap_or(u32::MAX).max(1)
}

fn denied(license: &License, reason: &str, limit: u32, problem: Problem) -> Problem {
    let limit = limit.into();
    LogEvent::SeatDenied { license: license.id.as_uuid(), plan: &license.plan, reason, limit }.emit();
    problem
}
