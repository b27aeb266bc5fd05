//! What time it is, as far as this machine can be believed.
//!
//! Three things are known: what the clock on the wall shows, which anybody can set; how long the machine has been running,
//! which nobody can, but which says nothing of the time that it was off; and when the cloud last signed something. From them
//! follow two times that are kept, sealed:
//!
//! - the *floor*: it is at least this late, since the cloud signed then, or since the machine has run for so long after that;
//! - what was *claimed*: the clock showed a later time, as it does after a night.
//!
//! Stored answers are judged by what was claimed. What was claimed wrongly, by a clock that was ahead, is taken back by
//! setting the clock right, as long as that happens before the machine is started again: then a grace that had seemed to be
//! over goes on. A clock that is set back behind the floor is not believed at all, so it lengthens no grace. And a claim that
//! has outlived a start of the machine becomes the floor. Only the cloud, by signing now, can set both lower.
//!
//! Whoever sets the clock back before this program has ever seen the later time is not noticed, as by no program that cannot
//! ask anybody.

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

/// The sealed file with the mark.
const FILE: &str = "clock";

/// The latest time that is believed of a clock: 9998-01-01. Later ones cannot be written as dates, and a little room is left for
/// times that are reckoned from it.
const LATEST: Timestamp = Timestamp::constant(253_339_228_800, 0);

/// The time of this machine's clock. One that shows a time beyond all calendars is taken to show the latest one.
///
/// ```
/// assert!(coditect::now() > jiff::Timestamp::UNIX_EPOCH);
/// ```
pub fn now() -> Timestamp {
    within_calendars(SystemTime::now())
}

fn within_calendars(time: SystemTime) -> Timestamp {
    let otherwise = if time < SystemTime::UNIX_EPOCH { Timestamp::UNIX_EPOCH } else { LATEST };
    Timestamp::try_from(time).unwrap_or(otherwise).min(LATEST)
}

/// Clocks that are further apart than this are not the same; less is a clock that is being corrected. In seconds.
const TOLERANCE: i64 = 3600;

/// The mark is written when it has moved by this much, and not at every look. In seconds.
const STEP: i64 = 60;

/// The wall clock and the time that the machine has been running; tests have their own.
#[derive(Clone)]
pub(crate) struct Clock {
    wall: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    uptime: Arc<dyn Fn() -> Option<Uptime> + Send + Sync>,
}

impl Clock {
    /// The system's.
    pub(crate) fn system() -> Self {
        Self { wall: Arc::new(now), uptime: Arc::new(uptime::system) }
    }

    /// Another wall clock. What the system says of its uptime does not belong to it.
    pub(crate) fn new(wall: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { wall: Arc::new(wall), uptime: Arc::new(|| None) }
    }

    /// The same with another uptime.
    pub(crate) fn with_uptime(self, uptime: impl Fn() -> Option<Uptime> + Send + Sync + 'static) -> Self {
        Self { uptime: Arc::new(uptime), ..self }
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.wall)()
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
    /// The time that stored answers are judged by.
    pub(crate) now: Timestamp,
    /// The time that it is at least, even if the clock is ahead.
    pub(crate) floor: Timestamp,
    /// Whether the clock goes on from where it was, as far as one can know.
    pub(crate) steady: bool,
    /// Whether there is a mark. There always is where an answer is stored, unless somebody deleted it.
    pub(crate) anchored: bool,
}

/// The wall clock and what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Timekeeper {
    clock: Clock,
    vault: Vault,
    notify: Notify,
    /// Whether it has been told that the clock is behind,
    told_behind: Arc<AtomicBool>,
    /// and that it may be ahead.
    told_ahead: Arc<AtomicBool>,
}

impl Timekeeper {
    pub(crate) fn new(clock: Clock, vault: Vault, notify: Notify) -> Self {
        Self { clock, vault, notify, told_behind: Arc::default(), told_ahead: Arc::default() }
    }

    /// The wall clock itself.
    pub(crate) fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// The wall clock, believed or not.
    pub(crate) fn wall(&self) -> Timestamp {
        self.clock.now()
    }

    /// How long the machine has been running.
    pub(crate) fn uptime(&self) -> Option<Uptime> {
        (self.clock.uptime)()
    }

    /// The time that stored answers are judged by.
    pub(crate) fn look(&self) -> Result<Moment, Error> {
        let wall = self.wall();
        let Some(mark) = self.mark()? else {
            return Ok(Moment { now: wall, floor: wall, steady: false, anchored: false });
        };
        let (next, seen) = mark.judge(wall.as_second(), self.uptime());
        if next.is_news_to(&mark) {
            // Unless another process has learned something meanwhile.
            let _held = self.vault.hold_for(FILE);
            if self.mark()?.as_ref() == Some(&mark) {
                self.keep(&next);
            }
        }
        let behind = matches!(seen, Seen::Behind(_));
        if let (Seen::Behind(seconds), false) = (&seen, self.told_behind.swap(behind, Ordering::Relaxed)) {
            self.notify.send(&Notice::ClockBehind { behind: SignedDuration::from_secs(*seconds) });
        }
        let time = |second| Timestamp::from_second(second).unwrap_or(wall);
        let steady = matches!(seen, Seen::Steady);
        Ok(Moment { now: time(next.believed()), floor: time(next.floor), steady, anchored: true })
    }

    /// Something stored does not serve, and would if the clock were wrong.
    pub(crate) fn doubt(&self, moment: Moment) {
        if !self.told_ahead.swap(true, Ordering::Relaxed) {
            let ahead = moment.now.duration_since(moment.floor);
            self.notify.send(&Notice::ClockInDoubt { ahead });
        }
    }

    /// The cloud signed something just now, at this time.
    pub(crate) fn learn(&self, signed: Timestamp) {
        let ahead = self.wall().duration_since(signed);
        if ahead.as_secs().abs() > TOLERANCE {
            self.notify.send(&Notice::ClockApart { ahead });
        }
        let _held = self.vault.hold_for(FILE);
        self.keep(&Mark { floor: signed.as_second(), claimed: None, uptime: self.uptime() });
    }

    fn mark(&self) -> Result<Option<Mark>, Error> {
        match self.vault.open(FILE) {
            // As good as deleted.
            Err(Error::Sealed { .. }) => Ok(None),
            other => Ok(other?.and_then(|json| serde_json::from_slice(&json).ok())),
        }
    }

    /// Where it cannot be kept, an answer cannot either, which is told; and the mark that is there goes on serving.
    fn keep(&self, mark: &Mark) {
        let json = serde_json::to_vec(mark).expect("numbers and a text");
        let _ = self.vault.seal(FILE, &json);
    }
}

/// What is kept. Times are in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Mark {
    /// It is not earlier.
    floor: i64,
    /// The clock has shown this, which is later.
    claimed: Option<i64>,
    /// How long the machine had been running.
    uptime: Option<Uptime>,
}

/// What a look at the clock showed.
#[derive(Debug, PartialEq)]
enum Seen {
    /// It goes on from where it was, or later.
    Steady,
    /// It was set back, to a time that may be right.
    TakenBack,
    /// It was set back by so many seconds, to a time that is over.
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

    /// Nobody knows how long the machine was off.
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

    /// Whether this is worth being written where that is kept.
    fn is_news_to(&self, kept: &Self) -> bool {
        let start = |mark: &Self| mark.uptime.as_ref().map(|uptime| uptime.start.clone());
        (self.believed() - kept.believed()).abs() >= STEP
            || self.floor - kept.floor >= STEP
            || start(self) != start(kept)
    }
}

#[cfg(test)]
mod tests;
