//! Waiting for a seat that somebody else has: when to ask again, and for how long.

use std::time::{Duration, Instant};

use protocol::problem::Code;

use crate::{Error, random};

/// How often to ask: a seat that somebody gives back is free at once, and nobody tells.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(10);

/// Somebody who waits for a seat, by asking again.
///
/// ```no_run
/// # fn main() -> Result<(), coditect::Error> {
/// use coditect::{Again, SeatWait};
/// use std::{thread, time::Duration};
///
/// let client = coditect::LicenseClient::builder().build()?;
/// let mut wait = SeatWait::new(Some(Duration::from_secs(600)));
/// let seat = loop {
///     match client.acquire() {
///         Ok(seat) => break seat,
///         Err(error) => match wait.after(&error) {
///             Again::In(pause) => thread::sleep(pause),
///             Again::NoUse | Again::LongEnough => return Err(error),
///         },
///     }
/// };
/// # drop(seat);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SeatWait {
    /// None is never.
    until: Option<Instant>,
    /// How often it was asked in vain.
    attempts: u32,
    /// Whether the cloud has said that all seats are taken.
    full: bool,
}

/// Whether to ask for a seat again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// After this pause.
    In(Duration),
    /// No: the answer stays the same however long one waits.
    NoUse,
    /// No: it was long enough.
    LongEnough,
}

impl SeatWait {
    /// Begins to wait now, for this long; for as long as it takes, if nothing is said.
    pub fn new(patience: Option<Duration>) -> Self {
        // What is longer than a clock can tell is for ever.
        let until = patience.and_then(|patience| Instant::now().checked_add(patience));
        Self { until, attempts: 0, full: false }
    }

    /// What to do after this answer.
    pub fn after(&mut self, error: &Error) -> Again {
        let pause = match error {
            Error::Refused(refusal) if refusal.problem.known_code() == Some(Code::NoSeatsAvailable) => {
                self.full = true;
                // Not later than a seat can come free, but not so soon that it is a flood.
                let step = FIRST.saturating_mul(1 << self.attempts.min(8)).min(LONGEST);
                let free = refusal.problem.retry_after_seconds.map_or(step, Duration::from_secs);
                // By chance a little more or less, so that those who wait together do not ask together.
                free.clamp(FIRST, step).mul_f64(0.75 + random::fraction() / 2.0)
            }
            // A cloud that is away for a moment doesn't end the waiting that it began. When it asks to be left alone, it is.
            Error::Unavailable(outage) if self.full => {
                outage.retry_after.map_or(LONGEST, Duration::from_secs).mul_f64(1.0 + random::fraction() / 4.0)
            }
            _ => return Again::NoUse,
        };
        self.attempts += 1;
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        match left {
            Some(left) if left.is_zero() => Again::LongEnough,
            Some(left) => Again::In(pause.min(left)),
            None => Again::In(pause),
        }
    }
}
