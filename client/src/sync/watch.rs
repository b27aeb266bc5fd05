//! Continuous sync, for as long as a process lives.

use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

use super::{Context, Pushed, Synced};
use crate::backoff::Backoff;
use crate::{ContextError, Error};

/// Time between a pull and the next one.
const PULL_INTERVAL: Duration = Duration::from_secs(15);

/// Interval at which to look for changes made here.
const CHANGES_POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Maximum time to wait because the cloud asked for it.
const LONGEST_ASKED: Duration = Duration::from_secs(600);

/// First time after which changes are sent again while the cloud takes none at all.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// Maximum time after which changes are sent again while the cloud takes none at all.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

impl Context {
    /// Syncs again and again: soon after something was changed here, and every 15 seconds for changes made elsewhere; while
    /// the cloud is away, less and less often, up to once a minute. While it takes no change, as when a quota is used up,
    /// changes are sent less and less often, up to every five minutes, and fetched as before. After each round it calls
    /// `after`, which decides if it goes on.
    ///
    /// # Errors
    /// Errors that do not go away by waiting: no license key, sync turned off, a broken disk.
    pub fn watch(&self, mut after: impl FnMut(&Result<Synced, Error>) -> ControlFlow<()>) -> Result<(), Error> {
        let mut backoff = Backoff::new(FIRST_RETRY, LONGEST_RETRY);
        let mut pause = Pause::new();
        loop {
            let seen = self.store.last_change()?;
            let paused = pause.lasts(Instant::now());
            let round = if paused {
                self.pull(|_| ()).map(|pulled| Synced { pulled, ..Synced::default() })
            } else {
                self.sync(|_| ())
            };
            let (wait, watchful) = match &round {
                Ok(synced) => {
                    backoff.reset();
                    if !paused {
                        pause.after(&synced.pushed, Instant::now());
                    }
                    (PULL_INTERVAL, !pause.lasts(Instant::now()))
                }
                Err(Error::Unavailable(outage)) => (backoff.wait(outage.retry_after.map(asked)), false),
                Err(Error::Refused(_) | Error::Context(ContextError::Busy)) => (LONGEST_RETRY, false),
                Err(_) => return round.map(drop),
            };
            if after(&round).is_break() {
                return Ok(());
            }
            let begin = Instant::now();
            while begin.elapsed() < wait && !(watchful && self.store.last_change()? != seen) {
                thread::sleep(CHANGES_POLL_INTERVAL.min(wait.saturating_sub(begin.elapsed())));
            }
        }
    }
}

/// Time during which no changes are sent, since the cloud took none of the last ones.
#[derive(Debug)]
struct Pause {
    backoff: Backoff,
    until: Option<Instant>,
}

impl Pause {
    fn new() -> Self {
        Self { backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE), until: None }
    }

    fn lasts(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    fn after(&mut self, pushed: &Pushed, now: Instant) {
        if pushed.hindered > 0 && pushed.sent() == 0 {
            self.until = Some(now + self.backoff.wait(None));
        } else {
            self.backoff.reset();
            self.until = None;
        }
    }
}

fn asked(seconds: u64) -> Duration {
    Duration::from_secs(seconds).min(LONGEST_ASKED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_taken_is_sent_again_less_and_less_often() {
        let mut pause = Pause::new();
        let mut now = Instant::now();
        let stuck = Pushed { hindered: 500, ..Pushed::default() };
        for seconds in [30, 60, 120, 240, 300, 300] {
            assert!(!pause.lasts(now));
            pause.after(&stuck, now);
            assert!(pause.lasts(now + Duration::from_secs(seconds / 2 - 1)));
            now += Duration::from_secs(seconds);
        }
        pause.after(&Pushed { created: 1, ..stuck.clone() }, now);
        assert!(!pause.lasts(now), "it goes on, if slowly");
        pause.after(&stuck, now);
        assert!(!pause.lasts(now + FIRST_PAUSE));
        pause.after(&Pushed::default(), now);
        assert!(!pause.lasts(now), "there is nothing to send");
    }
}
