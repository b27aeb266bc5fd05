//! Waiting for a free seat, by asking again.

use std::time::{Duration, Instant};

use coditect::Error;
use pyo3::prelude::*;

use crate::error::{exception, wrong};

/// How often to ask: a seat that somebody gives back is free at once, and nobody tells.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(10);

/// What Python says of how long to wait.
#[derive(FromPyObject)]
pub(crate) enum Wait {
    /// As long as it takes, or not at all.
    Flag(bool),
    /// So many seconds.
    Seconds(f64),
    /// So long.
    Time(Duration),
}

/// Somebody who waits.
pub(crate) struct Waiting {
    /// None is never.
    until: Option<Instant>,
    step: Duration,
    /// Whether the cloud has said that all seats are taken.
    full: bool,
}

impl Waiting {
    /// Begins now.
    pub(crate) fn new(wait: &Wait) -> PyResult<Self> {
        let time = match *wait {
            Wait::Flag(true) => None,
            Wait::Flag(false) => Some(Duration::ZERO),
            Wait::Seconds(seconds) => {
                Some(Duration::try_from_secs_f64(seconds).map_err(|error| wrong(format!("wait={seconds}: {error}")))?)
            }
            Wait::Time(time) => Some(time),
        };
        // What is longer than a clock can tell is for ever.
        Ok(Self { until: time.and_then(|time| Instant::now().checked_add(time)), step: FIRST, full: false })
    }

    /// How long to wait after this answer; the answer itself, if waiting is of no use, or was long enough.
    pub(crate) fn next(&mut self, error: Error) -> PyResult<Duration> {
        let asked = match &error {
            Error::Refused(refusal) if refusal.problem.code == "no_seats_available" => {
                self.full = true;
                // Not later than a seat can come free, but not so soon that it is a flood.
                let free = refusal.problem.retry_after_seconds.map_or(self.step, Duration::from_secs);
                free.clamp(FIRST, self.step)
            }
            // A cloud that is away for a moment doesn't end the waiting that it began.
            Error::Unavailable(outage) if self.full => outage.retry_after.map_or(LONGEST, Duration::from_secs),
            _ => return Err(exception(error)),
        };
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(exception(error));
        }
        self.step = (self.step * 2).min(LONGEST);
        // By chance a little more or less, so that those who wait together do not ask together.
        let pause = asked.mul_f64(0.75 + rand::random::<f64>() / 2.0);
        Ok(left.map_or(pause, |left| pause.min(left)))
    }
}
