//! Uptime of the machine, which cannot be set.

use serde::{Deserialize, Serialize};

/// Time for which a machine has been running since it was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uptime {
    /// Id of the start; another start has another id.
    pub start: String,
    /// Seconds since the start, including those in which the machine slept.
    pub seconds: i64,
}

impl Uptime {
    /// Returns the seconds from another reading to this one; none if the machine was started between them.
    pub fn since(&self, then: &Self) -> Option<i64> {
        (self.start == then.start).then(|| (self.seconds - then.seconds).max(0))
    }
}

/// Returns this machine's uptime.
#[cfg(target_os = "linux")]
pub(crate) fn system() -> Option<Uptime> {
    use rustix::time::{ClockId, clock_gettime};

    // In memory, as everything below /proc.
    let start = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(Uptime { start: start.trim().to_owned(), seconds: clock_gettime(ClockId::Boottime).tv_sec })
}

/// Returns none: elsewhere each reading counts as one after a start.
#[cfg(not(target_os = "linux"))]
pub(crate) fn system() -> Option<Uptime> {
    None
}
