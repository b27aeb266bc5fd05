//! Syncing for as long as a process lives.

use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

use super::{Context, Synced};
use crate::backoff::Backoff;
use crate::{ContextError, Error};

/// How long after a pull the next one asks what is new.
const INTERVAL: Duration = Duration::from_secs(15);

/// How often to look whether something was changed here.
const LOOK: Duration = Duration::from_millis(500);

/// No cloud is asked later than this because it said so.
const LONGEST_ASKED: Duration = Duration::from_secs(600);

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

impl Context {
    /// Syncs again and again: soon after something was changed here, and every 15 seconds for what was changed elsewhere;
    /// while the cloud is away, less and less often, up to once a minute. After each round it asks whether to go on.
    ///
    /// # Errors
    /// Those that waiting does not help: that there is no license key, that sync was turned off, a broken disk.
    pub fn watch(&self, mut after: impl FnMut(&Result<Synced, Error>) -> ControlFlow<()>) -> Result<(), Error> {
        let mut backoff = Backoff::new(FIRST_RETRY, LONGEST_RETRY);
        loop {
            let seen = self.store.last_change()?;
            let round = self.sync(|_| ());
            let (wait, watchful) = match &round {
                Ok(_) => {
                    backoff.reset();
                    (INTERVAL, true)
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

fn asked(seconds: u64) -> Duration {
    Duration::from_secs(seconds).min(LONGEST_ASKED)
}
