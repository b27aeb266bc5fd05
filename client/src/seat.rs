//! Seats: acquired, kept by heartbeats from a thread of their own, and released.

mod book;
mod grant;
mod heartbeat_loop;
mod holders;
mod patience;

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use protocol::id::SessionId;
use protocol::wire::{Feature, Quotas, ReleaseAnswer, ReleaseRequest, SeatCounts, Tier};

use crate::client::Inner;
use crate::cloud::{Ask, Effort};
use crate::error::Refusal;
use crate::notice::Notice;
use crate::stopwatch::Stopwatch;
use crate::{Allowance, Error, LastError, License, LicenseClient, allowance, last_refusal};
pub use book::HeldSeat;
pub use patience::{Again, SeatWait};

use book::Entry;
use grant::Grant;
pub(crate) use grant::forget;
use holders::Holding;

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
const NAP: Duration = Duration::from_secs(5);

/// Reason why a seat has ended. [`Display`](fmt::Display) writes it as a sentence.
#[derive(Debug, Clone)]
pub enum Ending {
    /// The cloud has ended the seat.
    Refused(Box<Refusal>),
    /// The cloud could not be reached before the license token expired.
    Unreachable,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "This seat has ended. {refusal}"),
            Self::Unreachable => f.write_str(
                "This seat has ended. The cloud could not be reached before the license token expired. \
                 Connect to the network and start again.",
            ),
        }
    }
}

/// State that a seat shares with its thread.
#[derive(Debug)]
struct Shared {
    client: Arc<Inner>,
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

impl LicenseClient {
    /// Acquires a seat: with a license key of the environment, else for the signed-in user, else with the stored license
    /// key.
    ///
    /// While the cloud cannot be reached, the last license token of this machine is used as long as it is valid, and the
    /// cloud is asked for the seat until it answers.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), coditect::Error> {
    /// # let client = coditect::LicenseClient::builder().build()?;
    /// let seat = client.acquire()?;
    /// println!("{} of {:?} seats", seat.session_id(), seat.seats());
    /// seat.release()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::NoKey`] without a sign-in and a license key; [`Error::Refused`] when every seat is taken or the license is not active;
    /// [`Error::Unavailable`] when the cloud cannot be reached and no license token serves.
    pub fn acquire(&self) -> Result<Seat, Error> {
        let credential = self.credential()?;
        // Joined first, so that a process that is just leaving does not release this one's seat.
        let holding = Holding::join(&self.inner.home)?;
        let attempt = grant::new_attempt();
        let (grant, reached) = match grant::acquire(&self.inner, &credential, &attempt, Effort::Few) {
            Ok(grant) => {
                last_refusal::forget(&self.inner);
                (grant, true)
            }
            Err(outage) if outage.is_unavailable() => {
                LastError::keep_in(&self.inner.home, self.inner.time.wall(), &outage);
                let Some(grant) = grant::last(&self.inner)? else {
                    grant::tell_doubt(&self.inner)?;
                    return Err(outage);
                };
                (grant, false)
            }
            Err(error) => return Err(last_refusal::explain(&self.inner, error)),
        };
        let entry = Entry::new(&grant, self.inner.time.wall(), reached);
        if let Err(error) = book::enter(&self.inner, &entry) {
            self.inner.notify.send(&Notice::NotStored(error));
        }
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                since: Stopwatch::start(&self.inner.time),
                grant,
                ending: None,
                stopping: false,
                entry,
            }),
            client: self.inner.clone(),
            wake: Condvar::new(),
        });
        if !reached {
            let remaining = shared.state().remaining().try_into().unwrap_or(SignedDuration::MAX);
            self.inner.notify.send(&Notice::ContinuingOffline { remaining });
        }
        let heartbeat_loop = heartbeat_loop::start(shared.clone(), credential, reached);
        Ok(Seat { shared, heartbeat_loop: Some(heartbeat_loop), holding: Some(holding) })
    }

    /// Returns the seats that this machine holds, without asking the cloud.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), coditect::Error> {
    /// # let client = coditect::LicenseClient::builder().build()?;
    /// for seat in client.held_seats()? {
    ///     println!("{} until {}", seat.session_id, seat.seat_expires_at);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn held_seats(&self) -> Result<Vec<HeldSeat>, Error> {
        Ok(book::entries(&self.inner)?.into_iter().map(|entry| entry.seat).collect())
    }

    /// Releases a seat that any process has [left](Seat::leave). Returns true if the seat is free now: false while a
    /// process of this machine keeps the same session, which then releases it, or if no such seat was left.
    ///
    /// # Errors
    /// When the cloud cannot be reached. The seat then comes free by itself within minutes.
    pub fn release_left(&self, session: SessionId) -> Result<bool, Error> {
        let holding = Holding::join(&self.inner.home)?;
        let Some(entry) = book::left(&self.inner, session)? else { return Ok(false) };
        let last = holding.leave();
        if last.is_some() {
            give_back(&self.inner, session, &entry.token)?;
        }
        book::strike_left(&self.inner, session)?;
        Ok(last.is_some())
    }

    pub(crate) fn forget_seat_token(&self) -> Result<(), Error> {
        grant::forget(&self.inner)
    }

    /// Returns the license that the last license token grants, while the token is valid.
    pub(crate) fn seat_license(&self) -> Result<Option<License>, Error> {
        Ok(grant::last(&self.inner)?.as_ref().map(Grant::license))
    }

    pub(crate) fn seat_token_until(&self) -> Result<Option<Timestamp>, Error> {
        Ok(grant::last(&self.inner)?.map(|grant| grant.expires_at))
    }
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

    /// Counts a command, as [`LicenseClient::count_command`] does, with the limit that came with this seat.
    ///
    /// # Errors
    /// Those of [`LicenseClient::count_command`].
    pub fn count_command(&self) -> Result<Option<Allowance>, Error> {
        allowance::count(&self.shared.client, &self.quotas())
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
    /// Until then this machine can [acquire](LicenseClient::acquire) it again, and [release](LicenseClient::release_left)
    /// it.
    ///
    /// # Errors
    /// When it cannot be recorded, so that the seat could not be released later.
    pub fn leave(mut self) -> Result<(), Error> {
        self.stop();
        let mut entry = self.shared.state().entry.clone();
        entry.seat.process = None;
        book::enter(&self.shared.client, &entry)
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
        let client = &self.shared.client;
        let (entry, ended) = {
            let state = self.shared.state();
            (state.entry.clone(), state.ending.is_some())
        };
        // A failure is ignored, since an entry whose process has ended does not count.
        let _ = book::strike(client, &entry);
        let session = entry.seat.session_id;
        if last.is_none() || ended || matches!(book::left(client, session), Ok(Some(_))) {
            return Ok(());
        }
        give_back(client, session, &entry.token)
    }
}

fn give_back(client: &Inner, session_id: SessionId, token: &str) -> Result<(), Error> {
    let to = client.directories.at_hand(client.time.wall())?;
    let to = to.endpoint("release", "/api/v1/licenses/release")?;
    let body = ReleaseRequest { session_id, instance: Some(client.instance()) };
    let ask = Ask { to, body: &body, bearer: Some(token), idempotency_key: None };
    client.cloud.post::<_, ReleaseAnswer>(&ask, Effort::Once).map(drop)
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
    /// the machine sleeps counts as well, and is noticed within [`NAP`] after it wakes.
    fn wait(&self, since: &Stopwatch, time: Duration) -> bool {
        let mut state = self.state();
        while !state.stopping {
            let left = time.saturating_sub(since.elapsed());
            if left.is_zero() {
                return true;
            }
            (state, _) = self.wake.wait_timeout(state, left.min(NAP)).unwrap_or_else(PoisonError::into_inner);
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
