//! Last error, stored so that it can be looked at when it has scrolled away.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::home::Home;
use crate::{Config, Error, clock};

/// The file, in clear: sentences hold addresses and paths, and no key or token.
const FILE: &str = "last-error.json";

/// Longest text that is stored, in characters. No sentence of ours is longer; a server's could be.
const MAX_LEN: usize = 500;

/// Last error in a home folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LastError {
    /// Time of the error.
    pub at: Timestamp,
    /// Its code for programs, as [`Error::code`].
    pub code: String,
    /// Its sentence.
    pub detail: String,
}

impl LastError {
    /// Stores an error in place of the one before, as far as that is possible: this must not be what fails.
    ///
    /// The library itself stores the outage when it uses a stored answer because the cloud could not be asked.
    pub fn keep(home: Option<PathBuf>, error: &Error) {
        if let Ok(config) = Config::open(home) {
            Self::keep_in(config.home(), clock::now(), error);
        }
    }

    pub(crate) fn keep_in(home: &Home, at: Timestamp, error: &Error) {
        let detail = error.to_string().chars().take(MAX_LEN).collect();
        let kept = Self { at, code: error.code().chars().take(MAX_LEN).collect(), detail };
        // An error alone is no reason to make a folder.
        if home.path().is_dir()
            && let Ok(json) = serde_json::to_vec(&kept)
        {
            let _ = home.write(FILE, &json);
        }
    }

    pub(crate) fn read(home: &Home) -> Option<Self> {
        serde_json::from_slice(&home.read(FILE).ok()??).ok()
    }
}
