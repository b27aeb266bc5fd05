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

    /// Stores an error of this time in a home folder, as far as that is possible.
    pub fn keep_in(home: &Home, at: Timestamp, error: &Error) {
        let detail = error.to_string().chars().take(MAX_LEN).collect();
        let kept = Self { at, code: error.code().chars().take(MAX_LEN).collect(), detail };
        // An error alone is no reason to make a folder.
        if home.path().is_dir() {
            let _ = home.write_json(FILE, &kept);
        }
    }

    /// Returns the last error in a home folder.
    pub fn read(home: &Home) -> Option<Self> {
        home.read_json(FILE).ok()?
    }
}
