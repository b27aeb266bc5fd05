//! A seat: taken, kept by a thread of its own, and given back.

mod book;
mod grant;
mod heart;
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

/// One of the license's simultaneous uses, for as long as this value lives.
///
/// A thread sends heartbeats as often as the cloud wants them, and goes on trying while the cloud is away, until the license
/// token ends. A seat that was lost on the way is taken again, once. Dropping the value gives the seat back.
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
    heart: Option<JoinHandle<()>>,
    holding: Option<Holding>,
}

/// While a machine sleeps, its timers stand still. So one looks every few seconds whether it did.
const NAP: Duration = Duration::from_secs(5);

/// Why there is no seat any more. [`Display`](fmt::Display) says it in a sentence.
#[derive(Debug, Clone)]
pub enum Ending {
    /// The cloud says so.
    Refused(Box<Refusal>),
    /// The cloud could not be reached for as long as the license token was good.
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

/// What the value and its thread both know.
#[derive(Debug)]
struct Shared {
    client: Arc<Inner>,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug)]
struct State {
    grant: Grant,
    /// Runs since the license token came.
    since: Stopwatch,
    ending: Option<Ending>,
    stopping: bool,
    entry: Entry,
}

impl LicenseClient {
    /// Takes a seat: of whoever is signed in, else of the license key's license.
    ///
    /// While the cloud cannot be reached, the last license token of this machine serves, for as long as it is good, and the
    /// seat is asked for until the cloud answers.
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
        // First, so that a process that is just leaving does not give this one's seat back.
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
        let heart = heart::start(shared.clone(), credential, reached);
        Ok(Seat { shared, heart: Some(heart), holding: Some(holding) })
    }

    /// The seats that this machine has, without asking the cloud.
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

    /// Gives a seat back that was [left](Seat::leave), by whichever process. The answer is whether it is free now: not while
    /// a process of this machine keeps the same session, which then gives it back; nor if no such seat was left.
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

    /// What the last license token grants, while it is good.
    pub(crate) fn seat_license(&self) -> Result<Option<License>, Error> {
        Ok(grant::last(&self.inner)?.as_ref().map(Grant::license))
    }

    pub(crate) fn seat_token_until(&self) -> Result<Option<Timestamp>, Error> {
        Ok(grant::last(&self.inner)?.map(|grant| grant.expires_at))
    }
}

impl Seat {
    /// What the cloud calls this use. It changes when a lost seat is taken again.
    pub fn session_id(&self) -> SessionId {
        self.shared.state().grant.session_id
    }

    /// The proof that is checked offline. It is renewed from time to time.
    pub fn license_token(&self) -> String {
        self.shared.state().grant.token.clone()
    }

    /// Until when the license token, and so this seat, serves without the cloud.
    pub fn expires_at(&self) -> Timestamp {
        self.shared.state().grant.expires_at
    }

    /// When the seat is free for others, unless a heartbeat comes before; the token's end, if the cloud has not said.
    pub fn seat_expires_at(&self) -> Timestamp {
        self.shared.state().grant.seat_expires_at
    }

    /// The license's tier.
    pub fn tier(&self) -> Tier {
        self.shared.state().grant.tier
    }

    /// What the plan includes.
    pub fn features(&self) -> Vec<Feature> {
        self.shared.state().grant.features.clone()
    }

    /// The plan's limits.
    pub fn quotas(&self) -> Quotas {
        self.shared.state().grant.quotas.clone()
    }

    /// What may be used with it.
    pub fn license(&self) -> License {
        self.shared.state().grant.license()
    }

    /// How many seats the license had, and how many were taken, when this one was; none if the cloud has not said.
    pub fn seats(&self) -> Option<SeatCounts> {
        self.shared.state().grant.seats
    }

    /// Counts a command, as [`LicenseClient::count_command`] does, with the limit that came with this seat.
    ///
    /// # Errors
    /// The same.
    pub fn count_command(&self) -> Result<Option<Allowance>, Error> {
        allowance::count(&self.shared.client, &self.quotas())
    }

    /// Why there is no seat any more; none while there is.
    pub fn ended(&self) -> Option<Ending> {
        self.shared.state().ending.clone()
    }

    /// Gives the seat back now, and says how that went, which dropping does not.
    ///
    /// If another process of this machine uses the same session, it keeps it.
    ///
    /// # Errors
    /// When the cloud cannot be reached. The seat then comes free by itself within minutes.
    pub fn release(mut self) -> Result<(), Error> {
        self.finish()
    }

    /// Leaves the seat to itself: nobody keeps it, and it is free at [`seat_expires_at`](Self::seat_expires_at). Until then
    /// this machine can [take](LicenseClient::acquire) it again, and [give it back](LicenseClient::release_left).
    ///
    /// # Errors
    /// When it cannot be noted, so that nobody could give it back.
    pub fn leave(mut self) -> Result<(), Error> {
        self.stop();
        let mut entry = self.shared.state().entry.clone();
        entry.seat.process = None;
        book::enter(&self.shared.client, &entry)
    }

    /// Stops the thread. The answer is whether that had been done before.
    fn stop(&mut self) -> bool {
        let Some(heart) = self.heart.take() else { return true };
        self.shared.state().stopping = true;
        self.shared.wake.notify_all();
        // It may be in the middle of taking a lost seat again, which would otherwise be taken after the release.
        let _ = heart.join();
        false
    }

    fn finish(&mut self) -> Result<(), Error> {
        if self.stop() {
            return Ok(());
        }

        // Held until the cloud has answered, so that whoever starts meanwhile waits and then takes a seat of its own.
        let last = self.holding.take().and_then(Holding::leave);
        let client = &self.shared.client;
        let (entry, ended) = {
            let state = self.shared.state();
            (state.entry.clone(), state.ending.is_some())
        };
        // An entry whose process has ended counts for nothing.
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
        // Nobody is there to hear of a failure, and a seat that is not given back comes free by itself.
        let _ = self.finish();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for so long since then; the answer is `false` when it is time to stop. A machine that has slept meanwhile finds
    /// out soon after.
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
    /// How long the license token is still good.
    fn remaining(&self) -> Duration {
        self.grant.lifetime.saturating_sub(self.since.elapsed())
    }
}
