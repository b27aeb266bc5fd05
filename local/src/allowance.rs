//! The daily limit of commands, and its use so far.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

/// The daily limit of commands, and its use so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Allowance {
    /// Commands allowed per day.
    pub limit: i64,
    /// Commands used today.
    pub used: i64,
    /// When the next day begins: midnight on this machine.
    pub next_day_at: Timestamp,
}

impl Allowance {
    /// Returns the number of commands left today.
    pub fn left(&self) -> i64 {
        (self.limit - self.used).max(0)
    }

    /// Formats the start of the next day in the system's time zone.
    pub(crate) fn next_day(&self) -> String {
        let next = self.next_day_at.to_zoned(TimeZone::system());
        let at = next.strftime("%Y-%m-%d %H:%M");
        if next.start_of_day().is_ok_and(|midnight| midnight == next) {
            format!("at midnight ({at})")
        } else {
            format!("on {at}, since today began in another time zone")
        }
    }
}
