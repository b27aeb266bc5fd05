//! Diagnostics: checks everything that this program depends on, and names a remedy for each fault.
//!
//! No check stops at the first fault. Each check has a timeout, and those that use the network run in parallel.

mod home;
mod hook;
mod memory;
mod network;

use std::fs::TryLockError;
use std::time::Duration;

use serde::Serialize;

use crate::home::Home;
use crate::update::{Memory, this_version};
use crate::{ContextError, Error, LicenseClient, LicenseClientBuilder, Mended, sync};

/// Result of all checks.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// True if no check found a fault.
    pub healthy: bool,
    /// Results of the single checks.
    pub checks: Vec<Check>,
}

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

impl LicenseClientBuilder {
    /// Checks everything that the client depends on, even if the client cannot be [built](Self::build).
    ///
    /// ```no_run
    /// // Asks the network, for some seconds at most.
    /// for check in coditect::LicenseClient::builder().diagnose().checks {
    ///     println!("{}: {}", check.name, check.finding);
    /// }
    /// ```
    pub fn diagnose(self) -> Diagnosis {
        let mut checks = Vec::new();
        match self.config() {
            Err(error) => checks.push(Check::failed("home", &error)),
            Ok(config) => {
                checks.push(version(config.home()));
                checks.extend(home::check(config.home()));
                checks.extend(hook::check(config.home()));
                match self.build() {
                    // Without an address and a machine's id nothing can be asked.
                    Err(error) => checks.push(Check::failed("settings", &error)),
                    Ok(client) => checks.extend(of_client(&client)),
                }
            }
        }
        Diagnosis { healthy: checks.iter().all(|check| check.health != Health::Bad), checks }
    }
}

impl LicenseClientBuilder {
    /// Rebuilds damaged databases from the rows that can still be read, and keeps the damaged files. The next sync fetches
    /// the cloud's data.
    ///
    /// # Errors
    /// [`ContextError::Busy`] while another process syncs; when nothing can be written.
    pub fn mend(self) -> Result<Vec<Mended>, Error> {
        let config = self.config()?;
        let home = config.home();
        home.check()?;
        if !home.is_there()? {
            return Ok(Vec::new());
        }
        let lock = home.lock_file(sync::LOCK)?;
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            return Err(ContextError::Busy.into());
        }
        home::mend(home)
    }
}

fn version(home: &Home) -> Check {
    const NAME: &str = "version";
    let here = this_version();
    match Memory::read(home).newest().filter(|newest| *newest > here) {
        None => Check::good(NAME, format!("coditect {here}; no newer one is known")),
        Some(newest) => {
            Check::unknown(NAME, format!("coditect {here}; {newest} is there, and `coditect self update` fetches it"))
        }
    }
}

fn of_client(client: &LicenseClient) -> Vec<Check> {
    std::thread::scope(|scope| {
        // The disk is checked while the network checks wait for answers.
        let outside = scope.spawn(|| network::check(client));
        let mut checks = memory::check(client);
        checks.extend(outside.join().unwrap_or_default());
        checks
    })
}

impl Check {
    fn good(name: impl Into<String>, finding: impl Into<String>) -> Self {
        Self { name: name.into(), health: Health::Good, finding: finding.into(), hint: None, milliseconds: None }
    }

    fn unknown(name: impl Into<String>, finding: impl Into<String>) -> Self {
        Self { health: Health::Unknown, ..Self::good(name, finding) }
    }

    fn bad(name: impl Into<String>, finding: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { health: Health::Bad, hint: Some(hint.into()), ..Self::good(name, finding) }
    }

    fn failed(name: impl Into<String>, error: &Error) -> Self {
        Self::bad(name, error.to_string(), error.hint())
    }

    fn took(self, time: Duration) -> Self {
        Self { milliseconds: u64::try_from(time.as_millis()).ok(), ..self }
    }
}
