//! What is wrong, if something is: looks at everything that this program stands on, and says what helps.
//!
//! Nothing here stops at the first fault. Each look is bounded in time, and those that ask somebody run side by side.

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

/// What was found.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// Whether there is nothing to mend.
    pub healthy: bool,
    /// One by one.
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// What it is: `clock`, `cloud`, `function`.
    pub name: String,
    /// How it is.
    pub health: Health,
    /// The same in words.
    pub finding: String,
    /// What helps, where something does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// How long the answer took, where somebody was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Good,
    /// Not known, or not wrong but worth knowing.
    Unknown,
    /// To be mended.
    Bad,
}

impl LicenseClientBuilder {
    /// Looks at everything that the client would stand on. It need not be possible to [`build`](Self::build) it.
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
    /// Makes the databases new that are damaged, with what can be read of them, and keeps the damaged files. The next sync
    /// fetches what the cloud has.
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
        // What is on the disk is looked at while the network takes its time.
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
