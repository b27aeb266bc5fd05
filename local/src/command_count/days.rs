//! The current day, and the number of commands counted in it.
//!
//! Each date has at most one day. A day begins with its first command, and ends at midnight of the time zone in which it
//! began. A user who flies east gets the next day a few hours late, one who flies west stays longer in the current one, and
//! no user gets a date twice.
//!
//! A clock set forward cannot be distinguished from time that passes, so it may begin tomorrow's day; but once it is set
//! back, the days that were begun ahead count as used up.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};
use serde::{Deserialize, Serialize};

use crate::Allowance;

/// A clock that is corrected by less than this does not count as set back.
const TOLERANCE: SignedDuration = SignedDuration::from_hours(1);

/// Number of begun dates that are remembered.
const MEMORY: usize = 100;

/// The current day, and the dates of those before it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Days {
    /// None before the first command.
    day: Option<Day>,
    /// Commands counted in the current day.
    pub(super) used: i64,
    /// The dates that have begun; the last is the current day's.
    begun: Vec<Date>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Day {
    date: Date,
    began_at: Timestamp,
    ends_at: Timestamp,
}

impl Days {
    /// Returns the days as of this time: begins a new day if the current one is over or the clock was set back.
    pub(super) fn at(mut self, now: &Zoned) -> Self {
        let today = now.date();
        match self.day {
            Some(day) if now.timestamp() < day.began_at - TOLERANCE => {
                let had = self.begun.iter().filter(|date| **date >= today).count();
                self.begun.retain(|date| *date < today);
                for days in 0..had {
                    self.begin(later(today, days), now);
                }
            }
            Some(day) if now.timestamp() < day.ends_at || today <= day.date => {}
            _ => {
                self.begin(today, now);
                self.used = 0;
            }
        }
        self
    }

    fn begin(&mut self, date: Date, now: &Zoned) {
        let ends_at = midnight_after(date, now.time_zone()).unwrap_or(now.timestamp());
        self.day = Some(Day { date, began_at: now.timestamp(), ends_at });
        if self.begun.last() != Some(&date) {
            self.begun.push(date);
        }
        let forgotten = self.begun.len().saturating_sub(MEMORY);
        self.begun.drain(..forgotten);
    }

    /// Returns the allowance of the current day under a limit.
    pub(super) fn allowance(&self, limit: i64, zone: &TimeZone) -> Allowance {
        let next = self.day.map(|day| midnight_after(day.date, zone).map_or(day.ends_at, |next| next.max(day.ends_at)));
        Allowance { limit, used: self.used, next_day_at: next.unwrap_or_default() }
    }
}

fn later(date: Date, days: usize) -> Date {
    i64::try_from(days).ok().and_then(|days| date.checked_add(days.days()).ok()).unwrap_or(Date::MAX)
}

/// Returns the end of a date: one o'clock, instead of midnight, where daylight saving time begins at midnight.
fn midnight_after(date: Date, zone: &TimeZone) -> Option<Timestamp> {
    Some(date.tomorrow().ok()?.to_zoned(zone.clone()).ok()?.timestamp())
}

#[cfg(test)]
mod tests;
