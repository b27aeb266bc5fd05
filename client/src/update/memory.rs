//! Record of new versions, and of the last notification of the user: `update.json`, not encrypted.

use std::fs::File;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use local::clock;
use local::home::Home;
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::{Config, Error, UpdateError};

const FILE: &str = "update.json";

/// Lock file that is held while the file is read, changed and written.
const LOCK: &str = "update.lock";

/// Shortest interval between notifications of the user, and between automatic requests to the server.
const DAILY: SignedDuration = SignedDuration::from_hours(24);

/// Record of new versions, which is read without a network request.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Memory {
    /// Version in the latest manifest that was seen.
    version: Option<String>,
    /// Time of release in the latest manifest that was seen.
    released_at: Option<Timestamp>,
    /// Time of the last request for a manifest.
    asked_at: Option<Timestamp>,
    /// Time of the last notification of the user.
    told_at: Option<Timestamp>,
}

impl Memory {
    /// Returns a newer version if the user was not notified within a day, and records the notification. `None` if none is
    /// known, also because a file can't be read or written, which is no reason to disturb a user who wants something else.
    pub fn news(home: Option<PathBuf>) -> Option<String> {
        let home = Config::open(home).ok()?.home().clone();
        let newer = |memory: &Self| memory.newest().filter(|newest| *newest > this_version());
        newer(&Self::read(&home))?;
        let _held = home.lock(LOCK).ok()?;
        let mut memory = Self::read(&home);
        let newest = newer(&memory)?;
        if is_within_a_day(memory.told_at) {
            return None;
        }
        memory.told_at = Some(clock::now());
        memory.write(&home).ok()?;
        Some(newest.to_string())
    }

    /// Returns true if no process has asked for a day, and records a request, whatever comes of it, so that a network
    /// without internet access is not tried at each command.
    pub fn take_turn(home: Option<PathBuf>) -> bool {
        let Ok(config) = Config::open(home) else { return false };
        if is_within_a_day(Self::read(config.home()).asked_at) {
            return false;
        }
        let Ok(_held) = config.home().lock(LOCK) else { return false };
        let mut memory = Self::read(config.home());
        if is_within_a_day(memory.asked_at) {
            return false;
        }
        memory.asked_at = Some(clock::now());
        memory.write(config.home()).is_ok()
    }

    /// Reads the file. One that can't be read counts as missing: root's, for example, after `sudo coditect self update`.
    pub(crate) fn read(home: &Home) -> Self {
        home.read_json(FILE).ok().flatten().unwrap_or_default()
    }

    /// Keeps other processes from changing the file, as far as it can be locked.
    pub(super) fn hold(home: &Home) -> Option<File> {
        home.lock(LOCK).ok()
    }

    pub(super) fn write(&self, home: &Home) -> Result<(), Error> {
        home.write_json(FILE, self)
    }

    /// Records the version in a signed manifest; fails if a later manifest was seen.
    pub(super) fn learn(&mut self, version: &Version, released_at: Timestamp) -> Result<(), UpdateError> {
        if let Some(seen) = self.newest()
            && self.released_at.is_some_and(|latest| released_at < latest)
        {
            return Err(UpdateError::Replayed { seen, told: version.clone() });
        }
        self.version = Some(version.to_string());
        self.released_at = Some(released_at);
        self.asked_at = Some(clock::now());
        Ok(())
    }

    /// Returns the newest version that was seen.
    pub(crate) fn newest(&self) -> Option<Version> {
        self.version.as_deref().and_then(|version| Version::parse(version).ok())
    }
}

fn is_within_a_day(then: Option<Timestamp>) -> bool {
    then.is_some_and(|then| clock::is_recent(then, clock::now(), DAILY))
}

/// Returns the version of this program.
pub(crate) fn this_version() -> Version {
    Version::parse(env!("CARGO_PKG_VERSION")).expect("a crate's version is one")
}
