//! Diagnostics of what is on this machine: the home folder with its databases, and the agent's hook.

mod home;
mod hook;

use std::fs::TryLockError;
use std::time::Duration;

use serde::Serialize;

use crate::home::Home;
use crate::{ContextError, Error, Mended, context};

pub use home::check as check_home;
pub use hook::check as check_hook;

/// Result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// Name of the checked item: `clock`, `cloud`, `function`.
    pub name: String,
    /// Health of the item.
    pub health: Health,
    /// Description of the result.
    pub finding: String,
    /// Remedy, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Time that the answer took, if a server was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
}

/// Health of a checked item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Good,
    /// Not known, or not wrong but worth knowing.
    Unknown,
    /// Faulty, and to be repaired.
    Bad,
}

/// Rebuilds damaged databases from the rows that can still be read.
///
/// # Errors
/// [`ContextError::Busy`] while another process syncs; when nothing can be written.
pub fn mend(home: &Home) -> Result<Vec<Mended>, Error> {
    home.check()?;
    if !home.is_there()? {
        return Ok(Vec::new());
    }
    let lock = home.lock_file(context::SYNC_LOCK)?;
    if let Err(TryLockError::WouldBlock) = lock.try_lock() {
        return Err(ContextError::Busy.into());
    }
    home::mend(home)
}

impl Check {
    /// Returns the result of a check that found nothing wrong.
    pub fn good(name: impl Into<String>, finding: impl Into<String>) -> Self {
        Self { name: name.into(), health: Health::Good, finding: finding.into(), hint: None, milliseconds: None }
    }

    /// Returns the result of a check that found nothing, or something that is worth knowing.
    pub fn unknown(name: impl Into<String>, finding: impl Into<String>) -> Self {
        Self { health: Health::Unknown, ..Self::good(name, finding) }
    }

    /// Returns the result of a check that found a fault.
    pub fn bad(name: impl Into<String>, finding: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { health: Health::Bad, hint: Some(hint.into()), ..Self::good(name, finding) }
    }

    /// Returns the result of a check that ended with an error.
    pub fn failed(name: impl Into<String>, error: &Error) -> Self {
        Self::bad(name, error.to_string(), error.hint())
    }

    /// Adds the time that a server took to answer.
    #[must_use]
    pub fn took(self, time: Duration) -> Self {
        Self { milliseconds: u64::try_from(time.as_millis()).ok(), ..self }
    }
}
