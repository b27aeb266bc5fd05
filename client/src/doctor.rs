//! Diagnostics: checks everything that this program depends on, and names a remedy for each fault.
//!
//! No check stops at the first fault. Each check has a timeout, and those that use the network run in parallel.

mod network;
mod stored;

use local::doctor::{check_home, check_hook};
use local::home::Home;
use serde::Serialize;

use crate::core::Core;
use crate::update::{Memory, this_version};
use crate::{Check, Config, Error, Health};

/// Result of all checks.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// True if no check found a fault.
    pub healthy: bool,
    /// Results of the single checks.
    pub checks: Vec<Check>,
}

/// Checks everything that a client depends on, even if there can be none.
pub(crate) fn diagnose(config: Result<Config, Error>, core: impl FnOnce() -> Result<Core, Error>) -> Diagnosis {
    let mut checks = Vec::new();
    match config {
        Err(error) => checks.push(Check::failed("home", &error)),
        Ok(config) => {
            checks.push(version(config.home()));
            checks.extend(check_home(config.home()));
            checks.extend(check_hook(config.home()));
            match core() {
                // Without an address and a machine's id nothing can be asked.
                Err(error) => checks.push(Check::failed("settings", &error)),
                Ok(core) => checks.extend(of_client(&core)),
            }
        }
    }
    Diagnosis { healthy: checks.iter().all(|check| check.health != Health::Bad), checks }
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

fn of_client(core: &Core) -> Vec<Check> {
    std::thread::scope(|scope| {
        // The disk is checked while the network checks wait for answers.
        let outside = scope.spawn(|| network::check(core));
        let mut checks = stored::check(core);
        checks.extend(outside.join().unwrap_or_default());
        checks
    })
}
