//! Seats: acquired, kept by heartbeats from a thread of their own, and released.

mod grant;
mod heartbeat_loop;
mod holders;
mod registry;
mod stopwatch;
mod wait;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use local::notice::Notice;
use protocol::id::SessionId;
use protocol::wire::{Feature, Quotas, ReleaseAnswer, ReleaseRequest, SeatCounts, Tier};

use crate::cloud::{Ask, Effort};
use crate::core::Core;
use crate::{Allowance, Ending, Error, LastError, LastRefusal, License, access};

pub use registry::HeldSeat;
pub use wait::{Again, SeatWait};

pub(crate) use grant::{last_license, last_token_until};
pub(crate) use registry::held;

use grant::Grant;
use holders::Holding;
use registry::Entry;
use stopwatch::Stopwatch;

/// One of the license's simultaneous uses, held for as long as this value lives.
///
/// A thread sends heartbeats at the interval that the cloud sets, and retries while the cloud is unreachable, until the
/// license token expires. A seat that was lost meanwhile is acquired again, once. Dropping the value releases the seat.
///
/// ```no_run
/// # fn main() -> Result<(), coditect::Error> {
/// let client = coditect::LicenseClient::builder().build()?;
/// # fn work() -> bool { true }
/// let seat = client.acquire()?;
/// while work() {
///     if let Some(ending) = seat.ended() {
///         eprintln!("{ending}"); // revoked, say; what was begun is brought to a good end, and no more
///         break;
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Seat {
    shared: Arc<Shared>,
    heartbeat_loop: Option<JoinHandle<()>>,
    holding: Option<Holding>,
}

/// Longest single wait: timers stand still while a machine sleeps, so the elapsed time is checked every few seconds.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// State that a seat shares with its thread.
#[derive(Debug)]
struct Shared {
    core: Arc<Core>,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug)]
struct State {
    grant: Grant,
    /// Runs since the license token was received.
    since: Stopwatch,
    ending: Option<Ending>,
    stopping: bool,
    entry: Entry,
}

/// Acquires a seat: with a license key of the environment, else for the signed-in user, else with the stored license key.
pub(crate) fn acquire(core: &Arc<Core>) -> Result<Seat, Error> {
    let credential = access::credential(core)?;
    // Joined first, so that a process that is just leaving does not release this one's seat.
    let holding = Holding::join(&core.home)?;
    let attempt = grant::new_attempt();
    let (grant, reached) = match grant::acquire(core, &credential, &attempt, Effort::Few) {
        Ok(grant) => {
            LastRefusal::forget(&core.vault);
            (grant, true)
        }
        Err(outage) if outage.is_unavailable() => {
            LastError::keep_in(&core.home, core.time.wall(), &outage);
            let Some(grant) = grant::last(core)? else {
                grant::tell_doubt(core)?;
                return Err(outage);
            };
            (grant, false)
        }
        Err(error) => return Err(LastRefusal::explain(&core.vault, error)),
    };
    let entry = Entry::new(&grant, core.time.wall(), reached);
    if let Err(error) = registry::insert(core, &entry) {
        core.notify.send(&Notice::NotStored(error));
    }
    let since = Stopwatch::start(&core.time);
    let state = State { since, grant, ending: None, stopping: false, entry };
    let shared = Arc::new(Shared { core: core.clone(), state: Mutex::new(state), wake: Condvar::new() });
    if !reached {
        let remaining = shared.state().remaining().try_into().unwrap_or(SignedDuration::MAX);
        core.notify.send(&Notice::ContinuingOffline { remaining });
    }
    let heartbeat_loop = heartbeat_loop::start(shared.clone(), credential, reached);
    Ok(Seat { shared, heartbeat_loop: Some(heartbeat_loop), holding: Some(holding) })
}

/// Releases a seat that any process has [left](Seat::leave). Returns true if the seat is free now.
pub(crate) fn release_left(core: &Core, session: SessionId) -> Result<bool, Error> {
    let holding = Holding::join(&core.home)?;
    let Some(entry) = registry::left(core, session)? else { return Ok(false) };
    let last = holding.leave();
    if last.is_some() {
        give_back(core, session, &entry.token)?;
    }
    registry::remove_left(core, session)?;
    Ok(last.is_some())
}

impl Seat {
    /// Returns the id of the session. It changes when a lost seat is acquired again.
    pub fn session_id(&self) -> SessionId {
        self.shared.state().grant.session_id
    }

    /// Returns the license token, which can be verified offline. It is renewed from time to time.
    pub fn license_token(&self) -> String {
        self.shared.state().grant.token.clone()
    }

    /// Returns the time until which the license token, and so this seat, is valid without the cloud.
    pub fn expires_at(&self) -> Timestamp {
        self.shared.state().grant.expires_at
    }

    /// Returns the time at which the seat becomes free for others, unless a heartbeat comes before; the token's expiry, if
    /// the cloud has not named a time.
    pub fn seat_expires_at(&self) -> Timestamp {
        self.shared.state().grant.seat_expires_at
    }

    /// Returns the license's tier.
    pub fn tier(&self) -> Tier {
        self.shared.state().grant.tier
    }

    /// Returns the features that the plan includes.
    pub fn features(&self) -> Vec<Feature> {
        self.shared.state().grant.features.clone()
    }

    /// Returns the plan's limits.
    pub fn quotas(&self) -> Quotas {
        self.shared.state().grant.quotas.clone()
    }

    /// Returns the license that the seat grants.
    pub fn license(&self) -> License {
        self.shared.state().grant.license()
    }

    /// Returns the number of seats of the license, and of those taken when this one was acquired; `None` if the cloud has
    /// not reported them.
    pub fn seats(&self) -> Option<SeatCounts> {
        self.shared.state().grant.seats
    }

    /// Counts a command, as [`LicenseClient::count_command`](crate::LicenseClient::count_command) does, with the limit that came with this seat.
    ///
    /// # Errors
    /// Those of [`LicenseClient::count_command`](crate::LicenseClient::count_command).
    pub fn count_command(&self) -> Result<Option<Allowance>, Error> {
        self.shared.core.command_count().add(&self.quotas())
    }

    /// Returns the reason why the seat has ended; `None` while it is held.
    pub fn ended(&self) -> Option<Ending> {
        self.shared.state().ending.clone()
    }

    /// Releases the seat now, and returns the result, which dropping does not.
    ///
    /// If another process of this machine uses the same session, that process keeps the seat.
    ///
    /// # Errors
    /// When the cloud cannot be reached. The seat then comes free by itself within minutes.
    pub fn release(mut self) -> Result<(), Error> {
        self.finish()
    }

    /// Stops the heartbeats without releasing the seat, which becomes free at [`seat_expires_at`](Self::seat_expires_at).
    /// Until then this machine can [acquire](crate::LicenseClient::acquire) it again, and [release](crate::LicenseClient::release_left)
    /// it.
    ///
    /// # Errors
    /// When it cannot be recorded, so that the seat could not be released later.
    pub fn leave(mut self) -> Result<(), Error> {
        self.stop();
        let mut entry = self.shared.state().entry.clone();
        entry.seat.process = None;
        registry::insert(&self.shared.core, &entry)
    }

    /// Stops the thread. Returns true if it had been stopped before.
    fn stop(&mut self) -> bool {
        let Some(heartbeat_loop) = self.heartbeat_loop.take() else { return true };
        self.shared.state().stopping = true;
        self.shared.wake.notify_all();
        // The thread may be acquiring a lost seat again, which would otherwise happen after the release.
        let _ = heartbeat_loop.join();
        false
    }

    fn finish(&mut self) -> Result<(), Error> {
        if self.stop() {
            return Ok(());
        }

        // Held until the cloud has answered, so that a process that starts meanwhile waits and then acquires a seat of its
        // own.
        let last = self.holding.take().and_then(Holding::leave);
        let core = &self.shared.core;
        let (entry, ended) = {
            let state = self.shared.state();
            (state.entry.clone(), state.ending.is_some())
        };
        // A failure is ignored, since an entry whose process has ended does not count.
        let _ = registry::remove(core, &entry);
        let session = entry.seat.session_id;
        if last.is_none() || ended || matches!(registry::left(core, session), Ok(Some(_))) {
            return Ok(());
        }
        give_back(core, session, &entry.token)
    }
}

fn give_back(core: &Core, session_id: SessionId, token: &str) -> Result<(), Error> {
    let to = core.discovery.at_hand()?.endpoint("release", "/api/v1/licenses/release")?;
    let body = ReleaseRequest { session_id, instance: Some(core.instance()) };
    let ask = Ask { to, body: &body, bearer: Some(token), idempotency_key: None };
    core.cloud.post::<_, ReleaseAnswer>(&ask, Effort::Once).map(drop)
}

impl Drop for Seat {
    fn drop(&mut self) {
        // A failure cannot be reported from here, and a seat that is not released becomes free by itself.
        let _ = self.finish();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until this time has passed since the stopwatch's start; returns `false` if the thread is to stop. Time that
    /// the machine sleeps counts as well, and is noticed within [`LONGEST_SLEEP`] after it wakes.
    fn wait(&self, since: &Stopwatch, time: Duration) -> bool {
        let mut state = self.state();
        while !state.stopping {
            let left = time.saturating_sub(since.elapsed());
            if left.is_zero() {
                return true;
            }
            (state, _) = self.wake.wait_timeout(state, left.min(LONGEST_SLEEP)).unwrap_or_else(PoisonError::into_inner);
        }
        false
    }
}

impl State {
    /// Returns the time for which the license token is still valid.
    fn remaining(&self) -> Duration {
        self.grant.lifetime.saturating_sub(self.since.elapsed())
    }
}
