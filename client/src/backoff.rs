//! Exponential backoff with jitter: each wait is longer than the last, clients do not retry in step, and a wait is at least as
//! long as the server asked for (`Retry-After`).

use std::time::Duration;

use local::random;

/// Exponential backoff: the wait doubles from the first to the longest; half of it is random.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// Resets the wait after a success: the next failure counts as the first.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Counts a failure, and returns the wait before the next attempt: at least the time that the server asked for, if any.
    pub(crate) fn wait(&mut self, asked: Option<Duration>) -> Duration {
        let full = self.first.saturating_mul(1 << self.failures.min(16)).min(self.longest);
        self.failures += 1;
        let wait = full.mul_f64(0.5 + random::fraction() / 2.0);
        // The time that the server asked for is honored, and the jitter is added to it, so that not all clients return at once.
        asked.map_or(wait, |asked| wait.max(asked + full.mul_f64(random::fraction() / 4.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_honor_what_was_asked() {
        let (first, longest) = (Duration::from_secs(1), Duration::from_secs(30));
        let mut backoff = Backoff::new(first, longest);
        for full in [1, 2, 4, 8, 16, 30, 30, 30] {
            let wait = backoff.wait(None);
            assert!(wait >= Duration::from_secs(full) / 2 && wait <= Duration::from_secs(full), "{wait:?} of {full}");
        }
        assert!(backoff.wait(Some(Duration::from_secs(120))) >= Duration::from_secs(120));
        backoff.reset();
        assert!(backoff.wait(None) <= first);
    }
}
