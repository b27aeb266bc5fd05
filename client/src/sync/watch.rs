//! Syncing for as long as a process lives.

use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

use super::{Context, Pushed, Synced};
use crate::backoff::Backoff;
use crate::{ContextError, Error};

/// How long after a pull the next one asks what is new.
const INTERVAL: Duration = Duration::from_secs(15);

/// How often to look whether something was changed here.
const LOOK: Duration = Duration::from_millis(500);

/// No cloud is asked later than this because it said so.
const LONGEST_ASKED: Duration = Duration::from_secs(600);

/// While the cloud takes no change at all, they are sent again after so long, and at most so long.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

impl Context {
    /// Syncs again and again: soon after something was changed here, and every 15 seconds for what was changed elsewhere;
    /// while the cloud is away, less and less often, up to once a minute. While it takes no change, as when a quota is used
    /// up, changes are sent less and less often, up to every five minutes, and fetched as before. After each round it asks
    /// whether to go on.
    ///
    /// # Errors
    /// Those that waiting does not help: that there is no license key, that sync was turned off, a broken disk.
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
                    (INTERVAL, !pause.lasts(Instant::now()))
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
                thread::sleep(LOOK.min(wait.saturating_sub(begin.elapsed())));
            }
        }
    }
}

/// How long no changes are sent, since the cloud took none of those that were.
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
