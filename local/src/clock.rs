//! The current time, as far as this machine's clock can be trusted.
//!
//! It is derived from three inputs: the wall clock, which any user can set; the machine's uptime, which no user can set,
//! but which excludes the time that the machine was off; and the time at which the cloud last signed something. Two times
//! are computed from them and stored, sealed:
//!
//! - the *floor*: a lower bound of the time, namely that of the cloud's last signature plus the uptime since then;
//! - the *claim*: a later time that the wall clock showed, as it does after a night in which the machine was off.
//!
//! Stored answers are judged by the claim. A wrong claim, of a clock that was ahead, is taken back by setting the clock
//! right before the machine is restarted: a grace period that had seemed to be over then goes on. A clock that is set back
//! behind the floor is not trusted at all, so it extends no grace period. A claim that has outlived a restart of the
//! machine becomes the floor. Only a new signature of the cloud can lower both.
//!
//! A user who sets the clock back before this program has ever seen the later time goes unnoticed, as in any program that
//! works offline.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::notice::{Notice, Notify};
use crate::uptime::{self, Uptime};
use crate::vault::Vault;

/// The sealed file with the mark: the floor, the claim and the uptime.
const FILE: &str = "clock";

/// The latest time that is accepted of a clock: 9998-01-01. Later ones cannot be written as dates, and a little room is
/// left for times that are computed from it.
const LATEST: Timestamp = Timestamp::constant(253_339_228_800, 0);

/// Returns the time of this machine's clock, at most 9998-01-01: later ones cannot be written as dates.
///
/// ```
/// assert!(local::now() > jiff::Timestamp::UNIX_EPOCH);
/// ```
pub fn now() -> Timestamp {
    within_calendars(SystemTime::now())
}

/// Returns true if a time is less than this ago. A time in the future was noted when the clock was wrong.
pub fn is_recent(then: Timestamp, now: Timestamp, within: SignedDuration) -> bool {
    let since = now.duration_since(then);
    !since.is_negative() && since < within
}

fn within_calendars(time: SystemTime) -> Timestamp {
    let otherwise = if time < SystemTime::UNIX_EPOCH { Timestamp::UNIX_EPOCH } else { LATEST };
    Timestamp::try_from(time).unwrap_or(otherwise).min(LATEST)
}

/// Largest difference, in seconds, that counts as a correction of the clock; a larger one means that it was set.
const TOLERANCE: i64 = 3600;

/// Smallest change of the mark, in seconds, for which it is written, so that not every reading writes a file.
const STEP: i64 = 60;

/// Sources of the wall clock's time and of the machine's uptime; tests supply their own.
#[derive(Clone)]
pub struct Clock {
    wall: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    uptime: Arc<dyn Fn() -> Option<Uptime> + Send + Sync>,
}

impl Clock {
    /// Returns the system's clock and uptime.
    pub fn system() -> Self {
        Self { wall: Arc::new(now), uptime: Arc::new(uptime::system) }
    }

    /// Returns a clock with another wall clock and no uptime, since the system's uptime does not belong to it.
    pub fn new(wall: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { wall: Arc::new(wall), uptime: Arc::new(|| None) }
    }

    /// Replaces the source of the uptime.
    pub fn with_uptime(self, uptime: impl Fn() -> Option<Uptime> + Send + Sync + 'static) -> Self {
        Self { uptime: Arc::new(uptime), ..self }
    }

    /// Returns the wall clock's time.
    pub fn now(&self) -> Timestamp {
        (self.wall)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Result of a reading of the clock.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The time that stored answers are judged by.
    pub now: Timestamp,
    /// Lower bound of the time, even if the clock is ahead.
    pub floor: Timestamp,
    /// True if the clock continues from its previous reading or later, as far as can be known.
    pub steady: bool,
    /// True if there is a mark. There always is one where an answer is stored, unless a user deleted it.
    pub anchored: bool,
}

/// The wall clock, and the mark by which its readings are judged.
#[derive(Clone, Debug)]
pub struct TrustedClock {
    clock: Clock,
    vault: Vault,
    notify: Notify,
    /// True if the clock was behind at the last reading; only the first such reading sends a notice.
    behind_noticed: Arc<AtomicBool>,
    /// True once the notice that the clock may be ahead was sent.
    ahead_noticed: Arc<AtomicBool>,
}

impl TrustedClock {
    /// Returns a clock whose mark is in this vault.
    pub fn new(clock: Clock, vault: Vault, notify: Notify) -> Self {
        Self { clock, vault, notify, behind_noticed: Arc::default(), ahead_noticed: Arc::default() }
    }

    /// Returns the clock itself.
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// Returns the wall clock's time, trusted or not.
    pub fn wall(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the machine's uptime, if it is known.
    pub fn uptime(&self) -> Option<Uptime> {
        (self.clock.uptime)()
    }

    /// Reads the clock: returns the time by which stored answers are judged, and updates the mark.
    pub fn look(&self) -> Result<Moment, Error> {
        let wall = self.wall();
        let Some(mark) = self.mark()? else {
            return Ok(Moment { now: wall, floor: wall, steady: false, anchored: false });
        };
        let (next, seen) = mark.judge(wall.as_second(), self.uptime());
        if next.is_news_to(&mark) {
            // Not written if another process has changed the mark meanwhile.
            let _held = self.vault.hold_for(FILE);
            if self.mark()?.as_ref() == Some(&mark) {
                self.keep(&next);
            }
        }
        let behind = matches!(seen, Seen::Behind(_));
        if let (Seen::Behind(seconds), false) = (&seen, self.behind_noticed.swap(behind, Ordering::Relaxed)) {
            self.notify.send(&Notice::ClockBehind { behind: SignedDuration::from_secs(*seconds) });
        }
        let time = |second| Timestamp::from_second(second).unwrap_or(wall);
        let steady = matches!(seen, Seen::Steady);
        Ok(Moment { now: time(next.believed()), floor: time(next.floor), steady, anchored: true })
    }

    /// Sends a notice, once, that a stored answer has expired by this clock, but may be valid if the clock is ahead.
    pub fn doubt(&self, moment: Moment) {
        if !self.ahead_noticed.swap(true, Ordering::Relaxed) {
            let ahead = moment.now.duration_since(moment.floor);
            self.notify.send(&Notice::ClockInDoubt { ahead });
        }
    }

    /// Sets the mark to the time at which the cloud signed something just now.
    pub fn learn(&self, signed: Timestamp) {
        let ahead = self.wall().duration_since(signed);
        if ahead.as_secs().abs() > TOLERANCE {
            self.notify.send(&Notice::ClockApart { ahead });
        }
        let _held = self.vault.hold_for(FILE);
        self.keep(&Mark { floor: signed.as_second(), claimed: None, uptime: self.uptime() });
    }

    fn mark(&self) -> Result<Option<Mark>, Error> {
        self.vault.open_json(FILE)
    }

    /// Writes the mark. A failure is ignored: storing the answer fails as well, which is reported, and the old mark stays
    /// valid.
    fn keep(&self, mark: &Mark) {
        let _ = self.vault.seal_json(FILE, mark);
    }
}

/// The stored mark. Times are in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Mark {
    /// Lower bound of the time.
    floor: i64,
    /// Later time that the clock has shown.
    claimed: Option<i64>,
    /// Uptime of the machine when the mark was set.
    uptime: Option<Uptime>,
}

/// Verdict on a reading of the clock.
#[derive(Debug, PartialEq)]
enum Seen {
    /// The clock continues from its previous reading, or later.
    Steady,
    /// The clock was set back, to a time that may be right.
    TakenBack,
    /// The clock was set back by this many seconds, to a time before the floor.
    Behind(i64),
}

impl Mark {
    fn believed(&self) -> i64 {
        self.claimed.unwrap_or(self.floor)
    }

    fn judge(&self, wall: i64, uptime: Option<Uptime>) -> (Self, Seen) {
        let passed = self.uptime.as_ref().zip(uptime.as_ref()).and_then(|(then, now)| now.since(then));
        let Some(passed) = passed else { return self.judge_after_start(wall, uptime) };
        let (floor, claimed) = (self.floor + passed, self.claimed.map(|claimed| claimed + passed));
        Self { floor, claimed, uptime }.see(wall)
    }

    /// Judges a reading without a comparable uptime: after a restart, the time that the machine was off is unknown.
    fn judge_after_start(&self, wall: i64, uptime: Option<Uptime>) -> (Self, Seen) {
        let floor = if wall < self.believed() - TOLERANCE { self.floor } else { self.believed() };
        Self { floor, claimed: self.claimed.filter(|claimed| *claimed > floor), uptime }.see(wall)
    }

    fn see(self, wall: i64) -> (Self, Seen) {
        let behind = self.believed() - wall;
        if wall < self.floor - TOLERANCE {
            return (self, Seen::Behind(behind));
        }
        if (0..=TOLERANCE).contains(&behind) {
            return (self, Seen::Steady);
        }
        let claimed = Some(wall).filter(|wall| *wall > self.floor);
        (Self { claimed, ..self }, if behind > 0 { Seen::TakenBack } else { Seen::Steady })
    }

    /// Returns true if this mark differs enough from the stored one to be written.
    fn is_news_to(&self, kept: &Self) -> bool {
        let start = |mark: &Self| mark.uptime.as_ref().map(|uptime| uptime.start.clone());
        (self.believed() - kept.believed()).abs() >= STEP
            || self.floor - kept.floor >= STEP
            || start(self) != start(kept)
    }
}

#[cfg(test)]
mod tests;
