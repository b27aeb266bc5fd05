//! How long the machine has been running, which nobody can set.

use serde::{Deserialize, Serialize};

/// How long a machine has been running since it was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uptime {
    /// Which start; another one has another name.
    pub start: String,
    /// Seconds since then, those included in which the machine slept.
    pub seconds: i64,
}

impl Uptime {
    /// How many seconds after another look this one is; none if the machine was started between them.
    pub(crate) fn since(&self, then: &Self) -> Option<i64> {
        (self.start == then.start).then(|| (self.seconds - then.seconds).max(0))
    }
}

/// This machine's, where the operating system says.
#[cfg(target_os = "linux")]
pub(crate) fn system() -> Option<Uptime> {
    use rustix::time::{ClockId, clock_gettime};

    // In memory, as everything below /proc.
    let start = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(Uptime { start: start.trim().to_owned(), seconds: clock_gettime(ClockId::Boottime).tv_sec })
}

/// Elsewhere each look counts as one after a start.
#[cfg(not(target_os = "linux"))]
pub(crate) fn system() -> Option<Uptime> {
    None
}
