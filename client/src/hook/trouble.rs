//! What went wrong while an agent was being heard: the last time, and how often. The agent must not be told, and the person
//! is not there; so it is one small file, for later.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::home::Home;
use crate::{Error, clock, text};

const FILE: &str = "hook-trouble.json";

/// Held while the file is read, changed and written.
const LOCK: &str = "hook-trouble.lock";

/// Longer sentences say nothing more.
const MAX_CHARS: usize = 500;

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Trouble {
    /// When it last did.
    pub at: Timestamp,
    /// What happened then, and what to do about it.
    pub error: String,
    /// How often something did since the hook was installed.
    pub times: u64,
}

/// Writes an error down. Whether that was possible.
pub(super) fn note(home: &Home, error: &Error) -> bool {
    // Where there is no lock, the count may miss one.
    let _held = home.lock(LOCK).ok();
    let times = read(home).ok().flatten().map_or(0, |trouble| trouble.times);
    let error = format!("{error} {}", error.hint()).chars().take(MAX_CHARS).collect();
    let trouble = Trouble { at: clock::now(), error, times: times.saturating_add(1) };
    serde_json::to_vec(&trouble).is_ok_and(|text| home.write(FILE, &text).is_ok())
}

/// What was written down.
pub(super) fn read(home: &Home) -> Result<Option<Trouble>, Error> {
    Ok(home.read(FILE)?.and_then(|text| text::json(&text).ok()))
}

/// Forgets it: a hook that is installed anew begins anew.
pub(super) fn clear(home: &Home) -> Result<(), Error> {
    home.remove(FILE)
}
