//! Stopwatch by clocks that cannot be set. Time in which the machine sleeps counts, where the system reports it.

use std::time::{Duration, Instant};

use local::clock::TrustedClock;

use crate::Uptime;

/// Stopwatch that runs from its creation on.
#[derive(Clone, Debug)]
pub(super) struct Stopwatch {
    /// Monotonic clock, which stands still while the machine sleeps.
    begin: Instant,
    /// Uptime, which counts on meanwhile, but is not available everywhere.
    uptime: Option<Uptime>,
    time: TrustedClock,
}

impl Stopwatch {
    pub(super) fn start(time: &TrustedClock) -> Self {
        Self { begin: Instant::now(), uptime: time.uptime(), time: time.clone() }
    }

    pub(super) fn elapsed(&self) -> Duration {
        let awake = self.begin.elapsed();
        let now = self.time.uptime();
        let seconds = now.zip(self.uptime.as_ref()).and_then(|(now, then)| now.since(then));
        let all = seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
        all.map_or(awake, |all| all.max(awake))
    }
}
