//! The thread that keeps a seat by heartbeats.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::SignedDuration;
use local::notice::Notice;
use local::random;
use protocol::id::IdempotencyKey;
use protocol::problem::Code;
use protocol::wire::{EndedReason, HeartbeatAnswer, HeartbeatRequest};

use super::stopwatch::Stopwatch;
use super::{Shared, State, grant, registry};
use crate::access::Credential;
use crate::backoff::Backoff;
use crate::cloud::{Ask, Effort};
use crate::{Ending, Error, Refusal, seat_token};

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// Longest delay of a retry that the cloud can ask for: a mistake there should not cost the seat here.
const LONGEST_ASKED: Duration = Duration::from_secs(600);

/// Starts the thread. `reached` is true if the cloud has just granted the seat.
pub(super) fn start(shared: Arc<Shared>, credential: Credential, reached: bool) -> JoinHandle<()> {
    let since = Stopwatch::start(&shared.core.time);
    thread::spawn(move || HeartbeatLoop::new(&shared, credential, reached).beat(since))
}

/// Task of the next beat.
enum NextAction {
    /// Keep the seat.
    Keep,
    /// Acquire the seat again, since it was lost, or to get a new license token.
    Take { attempt: IdempotencyKey, lost: bool },
}

struct HeartbeatLoop<'a> {
    shared: &'a Shared,
    credential: Credential,
    backoff: Backoff,
    next: NextAction,
    /// True while the cloud does not answer; the notice about that was sent.
    away: bool,
    /// True if the seat was acquired again without a successful heartbeat since. A second loss then ends it.
    retaken: bool,
    /// True once the notice that the license token cannot be renewed was sent.
    renewal_noticed: bool,
}

/// Result of a beat.
enum Outcome {
    /// Successful: the next one is due at the usual time.
    Good,
    /// The next one is due at once.
    Again,
    /// Failed, for a reason that may pass; with the delay that the cloud asks for, if any.
    Missed(Option<Duration>),
    /// The seat has ended.
    Ended(Ending),
}

impl<'a> HeartbeatLoop<'a> {
    fn new(shared: &'a Shared, credential: Credential, reached: bool) -> Self {
        let interval = shared.state().grant.interval;
        Self {
            backoff: Backoff::new(FIRST_RETRY.min(interval), LONGEST_RETRY.min(interval)),
            next: NextAction::Keep,
            away: !reached,
            retaken: false,
            renewal_noticed: false,
            shared,
            credential,
        }
    }

    fn beat(mut self, mut since: Stopwatch) {
        // After a start without the cloud, the first beat is a retry.
        let mut wait = if self.away { self.backoff.wait(None) } else { self.usual() };
        while self.shared.wait(&since, self.until_deadline(wait)) {
            let beat = if self.over() { self.last() } else { self.once() };
            wait = match beat {
                Outcome::Good => {
                    self.recovered();
                    self.note();
                    self.usual()
                }
                Outcome::Again => Duration::ZERO,
                Outcome::Missed(asked) => {
                    self.missed();
                    self.backoff.wait(asked.map(|asked| asked.min(LONGEST_ASKED)))
                }
                Outcome::Ended(ending) => return self.end(ending),
            };
            since = Stopwatch::start(&self.shared.core.time);
        }
    }

    fn once(&mut self) -> Outcome {
        match &self.next {
            NextAction::Keep => self.keep(),
            NextAction::Take { attempt, lost } => {
                let (attempt, lost) = (attempt.clone(), *lost);
                self.take(&attempt, lost, Effort::Once)
            }
        }
    }

    /// Makes a last attempt after the license token has expired: a machine that has slept for a day may still get a free
    /// seat.
    fn last(&mut self) -> Outcome {
        match self.take(&grant::new_attempt(), true, Effort::Few) {
            Outcome::Missed(_) => Outcome::Ended(Ending::Unreachable),
            beat => beat,
        }
    }

    fn keep(&mut self) -> Outcome {
        match self.heartbeat() {
            Ok(answer) => {
                self.retaken = false;
                let mut state = self.shared.state();
                state.grant.seat_expires_at = answer.seat_expires_at;
                // Renewed at half of its lifetime, so that an outage finds a token that is still valid for long.
                let renew = state.remaining() < state.grant.lifetime / 2;
                drop(state);
                if !renew {
                    return Outcome::Good;
                }
                self.next = NextAction::Take { attempt: grant::new_attempt(), lost: false };
                Outcome::Again
            }
            Err(Error::Refused(refusal)) => self.refused(refusal),
            Err(error) => missed(&error),
        }
    }

    /// Handles a refused heartbeat: the seat has ended for good, or was lost to others, or nothing is known.
    fn refused(&mut self, refusal: Box<Refusal>) -> Outcome {
        let reason = refusal.problem.reason.as_deref().and_then(|reason| reason.parse().ok());
        match (refusal.problem.known_code(), reason) {
            (Some(Code::SessionEnded), Some(EndedReason::Revoked | EndedReason::Suspended))
            | (Some(Code::LicenseInactive), _) => Outcome::Ended(Ending::Refused(refusal)),
            (Some(Code::SessionEnded | Code::InvalidToken | Code::Forbidden | Code::NotFound), _) => {
                if self.retaken {
                    return Outcome::Ended(Ending::Refused(refusal));
                }
                self.next = NextAction::Take { attempt: grant::new_attempt(), lost: true };
                Outcome::Again
            }
            _ => Outcome::Missed(refusal.problem.retry_after_seconds.map(Duration::from_secs)),
        }
    }

    fn take(&mut self, attempt: &IdempotencyKey, lost: bool, effort: Effort) -> Outcome {
        match grant::acquire(&self.shared.core, &self.credential, attempt, effort) {
            Ok(grant) => {
                let mut state = self.shared.state();
                let changed = state.grant.session_id != grant.session_id;
                state.since = Stopwatch::start(&self.shared.core.time);
                state.grant = grant;
                drop(state);
                self.next = NextAction::Keep;
                self.renewal_noticed = false;
                self.retaken = lost;
                if changed {
                    self.shared.core.notify.send(&Notice::SeatReacquired);
                }
                Outcome::Good
            }
            Err(Error::Refused(refusal)) => Outcome::Ended(Ending::Refused(refusal)),
            // Sign-in depends on the identity provider, not on the cloud that keeps seats, and the license token is still
            // valid.
            Err(error @ Error::SignIn(_)) => {
                let beat = if lost { missed(&error) } else { Outcome::Good };
                if !lost {
                    self.next = NextAction::Keep;
                }
                if !std::mem::replace(&mut self.renewal_noticed, true) {
                    self.shared.core.notify.send(&Notice::NotRenewed(error));
                }
                beat
            }
            Err(error) => missed(&error),
        }
    }

    fn heartbeat(&self) -> Result<HeartbeatAnswer, Error> {
        let core = &self.shared.core;
        let (session_id, token) = {
            let state = self.shared.state();
            (state.grant.session_id, state.grant.token.clone())
        };
        let discovery = core.discovery.at_hand()?;
        let to = discovery.endpoint("heartbeat", "/api/v1/licenses/heartbeat")?;
        let body = HeartbeatRequest { session_id, instance: Some(core.instance()) };
        core.cloud.post(&Ask { to, body: &body, bearer: Some(&token), idempotency_key: None }, Effort::Once)
    }

    /// Returns the interval less a random part of up to 10% (jitter), so that a morning's seats do not beat in step all
    /// day.
    fn usual(&self) -> Duration {
        let interval = self.shared.state().grant.interval;
        interval.mul_f64(1.0 - random::fraction() / 10.0)
    }

    fn until_deadline(&self, wait: Duration) -> Duration {
        wait.min(self.shared.state().remaining())
    }

    /// Returns true if the license token has expired. While the cloud is unreachable, the wall clock counts as well, since
    /// it goes on during a machine's sleep that other clocks may miss.
    fn over(&self) -> bool {
        let state = self.shared.state();
        let asleep = self.away && self.shared.core.time.wall() >= state.grant.expires_at;
        asleep || state.remaining().is_zero()
    }

    fn missed(&mut self) {
        if !std::mem::replace(&mut self.away, true) {
            let remaining = self.shared.state().remaining().try_into().unwrap_or(SignedDuration::MAX);
            self.shared.core.notify.send(&Notice::SeatUnreachable { remaining });
        }
    }

    fn note(&self) {
        let core = &self.shared.core;
        let mut state = self.shared.state();
        let State { grant, entry, .. } = &mut *state;
        entry.beat(grant, core.time.wall());
        let entry = entry.clone();
        drop(state);
        // A failure is ignored: the record that others see is then a little old.
        let _ = registry::insert(core, &entry);
    }

    fn recovered(&mut self) {
        self.backoff.reset();
        if std::mem::replace(&mut self.away, false) {
            self.shared.core.notify.send(&Notice::SeatRecovered);
        }
    }

    fn end(self, ending: Ending) {
        if matches!(ending, Ending::Refused(_)) {
            self.shared.core.tokens.forget();
            if self.shared.core.keeps_answers()
                && let Err(error) = seat_token::forget(&self.shared.core)
            {
                self.shared.core.notify.send(&Notice::NotStored(error));
            }
        }
        self.shared.state().ending = Some(ending.clone());
        self.shared.core.notify.send(&Notice::SeatEnded(ending));
    }
}

fn missed(error: &Error) -> Outcome {
    match error {
        Error::Unavailable(outage) => Outcome::Missed(outage.retry_after.map(Duration::from_secs)),
        _ => Outcome::Missed(None),
    }
}
