//! How long ago something was, by clocks that nobody can set. A machine's sleep counts, as far as its system tells.

use std::time::{Duration, Instant};

use crate::Uptime;
use crate::clock::Timekeeper;

/// Runs from its making on.
#[derive(Clone, Debug)]
pub(crate) struct Stopwatch {
    /// Stands still while the machine sleeps.
    begin: Instant,
    /// Doesn't, but is not to be had everywhere.
    uptime: Option<Uptime>,
    time: Timekeeper,
}

impl Stopwatch {
    pub(crate) fn start(time: &Timekeeper) -> Self {
        Self { begin: Instant::now(), uptime: time.uptime(), time: time.clone() }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        let awake = self.begin.elapsed();
        let now = self.time.uptime();
        let seconds = now.zip(self.uptime.as_ref()).and_then(|(now, then)| now.since(then));
        let all = seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
        all.map_or(awake, |all| all.max(awake))
    }
}
