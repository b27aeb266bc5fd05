//! Waiting for a seat while all are taken: when to ask again, and for how long.

use std::time::{Duration, Instant};

use local::random;
use protocol::problem::Code;

use crate::Error;

/// First interval between requests: a released seat is free at once, and the cloud sends no notification.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// State of a wait for a seat, by repeated requests.
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
    /// End of the wait; `None` if it has no limit.
    until: Option<Instant>,
    /// Number of failed requests.
    attempts: u32,
    /// True once the cloud has answered that all seats are taken.
    full: bool,
}

/// Decision about asking for a seat again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Ask again after this pause.
    In(Duration),
    /// Stop: the answer stays the same however long the caller waits.
    NoUse,
    /// Stop: the time is up.
    LongEnough,
}

impl SeatWait {
    /// Begins to wait now, for at most this long; without a limit if none is given.
    pub fn new(longest: Option<Duration>) -> Self {
        // A time beyond the clock's range counts as no limit.
        let until = longest.and_then(|longest| Instant::now().checked_add(longest));
        Self { until, attempts: 0, full: false }
    }

    /// Decides about asking again after this error.
    pub fn after(&mut self, error: &Error) -> Again {
        let pause = match error {
            Error::Refused(refusal) if refusal.problem.known_code() == Some(Code::NoSeatsAvailable) => {
                self.full = true;
                // Not later than a seat can become free, but not so soon that requests flood the cloud.
                let step = FIRST_PAUSE.saturating_mul(1 << self.attempts.min(8)).min(LONGEST_PAUSE);
                let free = refusal.problem.retry_after_seconds.map_or(step, Duration::from_secs);
                // Jitter, so that clients that wait together do not ask together.
                free.clamp(FIRST_PAUSE, step).mul_f64(0.75 + random::fraction() / 2.0)
            }
            // A short outage of the cloud doesn't end a wait. A `Retry-After` of the cloud is respected.
            Error::Unavailable(outage) if self.full => {
                outage.retry_after.map_or(LONGEST_PAUSE, Duration::from_secs).mul_f64(1.0 + random::fraction() / 4.0)
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
