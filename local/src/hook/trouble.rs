//! Records failures to record an agent's events: the last one, and their number. The agent must not receive them, and the
//! user is not present, so they are kept in one small file for later.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::home::Home;
use crate::{Error, clock};

const FILE: &str = "hook-trouble.json";

/// Lock file that is held while the file is read, changed and written.
const LOCK: &str = "hook-trouble.lock";

/// Largest number of characters of an error that are kept.
const MAX_CHARS: usize = 500;

/// Failures to record an agent's events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Trouble {
    /// Time of the last failure.
    pub at: Timestamp,
    /// Error of the last failure, with its remedy.
    pub error: String,
    /// Number of failures since the hook was installed.
    pub times: u64,
}

/// Records an error. Returns true if that was possible.
pub(super) fn note(home: &Home, error: &Error) -> bool {
    // Without the lock, the count may miss one.
    let _held = home.lock(LOCK).ok();
    let times = read(home).ok().flatten().map_or(0, |trouble| trouble.times);
    let error = format!("{error} {}", error.hint()).chars().take(MAX_CHARS).collect();
    let trouble = Trouble { at: clock::now(), error, times: times.saturating_add(1) };
    home.write_json(FILE, &trouble).is_ok()
}

/// Returns the recorded failures.
pub(super) fn read(home: &Home) -> Result<Option<Trouble>, Error> {
    home.read_json(FILE)
}

/// Deletes the record: a newly installed hook starts without failures.
pub(super) fn clear(home: &Home) -> Result<(), Error> {
    home.remove(FILE)
}
