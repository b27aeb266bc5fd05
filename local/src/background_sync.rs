//! When a sync in the background is due, so that sync goes on by itself once it is on.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Config, clock};

/// When the last one began, in clear.
const FILE: &str = "background-sync.json";

/// Held while the file is read, changed and written.
const LOCK: &str = "background-sync.lock";

/// At most this often.
const INTERVAL: SignedDuration = SignedDuration::from_mins(3);

#[derive(Debug, Serialize, Deserialize)]
struct Begun {
    at: Timestamp,
}

impl Config {
    /// Reports whether sync is on and no background sync has begun in the last three minutes. If so, a start is noted,
    /// whatever comes of it. When the settings can't be read or the start can't be recorded, sync is not due.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let home = folder.path().join("home");
    /// let config = local::Config::open(Some(home))?;
    /// assert!(!config.sync_is_due(), "it is off");
    /// config.set_sync(true)?;
    /// assert!(config.sync_is_due());
    /// assert!(!config.sync_is_due(), "it was a moment ago");
    /// # Ok(())
    /// # }
    /// ```
    pub fn sync_is_due(&self) -> bool {
        let now = clock::now();
        if !self.sync().unwrap_or(false) || self.has_begun_lately(now) {
            return false;
        }
        let Ok(_held) = self.home().lock(LOCK) else { return false };
        !self.has_begun_lately(now) && self.home().write_json(FILE, &Begun { at: now }).is_ok()
    }

    fn has_begun_lately(&self, now: Timestamp) -> bool {
        let begun: Option<Begun> = self.home().read_json(FILE).ok().flatten();
        begun.is_some_and(|begun| clock::is_recent(begun.at, now, INTERVAL))
    }
}
