//! What time it is, as far as this machine can be believed.
//!
//! The latest time that was ever seen is kept, sealed: the wall clock's at each run, the cloud's when it signs. Time never
//! goes back behind it, so that a clock set back lengthens no grace. Only the cloud, by signing now, can set it lower.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::Error;
use crate::notice::{Notice, Notify};
use crate::vault::Vault;

/// The sealed file with the latest time seen, in seconds since 1970.
const FILE: &str = "clock";

/// A clock that is behind by more than this was set back. Less is a clock that is being corrected.
const TOLERANCE: SignedDuration = SignedDuration::from_hours(1);

/// The latest time is written when it has moved by this much, and not at every look.
const STEP: SignedDuration = SignedDuration::from_mins(1);

/// The wall clock; tests have their own.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    pub(crate) fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// A look at the clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// The wall clock's time, or the latest that was seen if that is later.
    pub(crate) now: Timestamp,
    /// Whether the clock has not been set back, as far as one can know.
    pub(crate) steady: bool,
    /// Whether it is known which time was seen last. It always is where an answer is stored, unless somebody deleted it.
    pub(crate) anchored: bool,
}

/// The wall clock and the latest time that was seen.
#[derive(Clone, Debug)]
pub(crate) struct Timekeeper {
    clock: Clock,
    vault: Vault,
    notify: Notify,
}

impl Timekeeper {
    pub(crate) fn new(clock: Clock, vault: Vault, notify: Notify) -> Self {
        Self { clock, vault, notify }
    }

    /// The wall clock itself.
    pub(crate) fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// The wall clock, believed or not.
    pub(crate) fn wall(&self) -> Timestamp {
        self.clock.now()
    }

    /// The time that stored answers are judged by.
    pub(crate) fn look(&self) -> Result<Moment, Error> {
        let wall = self.wall();
        let Some(latest) = self.latest()? else {
            return Ok(Moment { now: wall, steady: false, anchored: false });
        };
        if wall.duration_since(latest) > STEP {
            self.keep(wall);
        }
        let behind = latest.duration_since(wall);
        let steady = behind <= TOLERANCE;
        if !steady {
            self.notify.send(&Notice::ClockBehind { behind });
        }
        Ok(Moment { now: wall.max(latest), steady, anchored: true })
    }

    /// The cloud signed something just now, at this time.
    pub(crate) fn learn(&self, signed: Timestamp) {
        let ahead = self.wall().duration_since(signed);
        if ahead.abs() > TOLERANCE {
            self.notify.send(&Notice::ClockApart { ahead });
        }
        self.keep(signed);
    }

    fn latest(&self) -> Result<Option<Timestamp>, Error> {
        let text = match self.vault.open(FILE) {
            // As good as deleted.
            Err(Error::Sealed { .. }) => None,
            other => other?,
        };
        let seconds = text.and_then(|text| String::from_utf8(text).ok()?.parse().ok());
        Ok(seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()))
    }

    fn keep(&self, time: Timestamp) {
        if let Err(error) = self.vault.seal(FILE, time.as_second().to_string().as_bytes()) {
            self.notify.send(&Notice::NotStored(error));
        }
    }
}
