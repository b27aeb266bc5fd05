//! Which day it is, and how many commands it has had.
//!
//! A day has a date, and a date has one day: it begins with its first command, and ends at the midnight of the time zone in
//! which it began. Who flies east meets the next day a few hours late, who flies west stays longer in this one, and nobody
//! has one twice.
//!
//! A clock that goes forward cannot be told from time that passes. So a clock set forward may begin tomorrow's day; but
//! once it is set back, the days that were begun ahead have been had.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};
use serde::{Deserialize, Serialize};

use super::Allowance;

/// A clock that is corrected by less was not set back.
const TOLERANCE: SignedDuration = SignedDuration::from_hours(1);

/// As many days are remembered as having begun.
const MEMORY: usize = 100;

/// The day, and those before it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Days {
    /// None before the first command.
    day: Option<Day>,
    /// How many commands the day has had.
    pub(super) used: i64,
    /// The dates that have begun, this day's last.
    begun: Vec<Date>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Day {
    date: Date,
    began_at: Timestamp,
    ends_at: Timestamp,
}

impl Days {
    /// The same as it is now: perhaps a new day.
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

    /// What that leaves of a limit.
    pub(super) fn allowance(&self, limit: i64, zone: &TimeZone) -> Allowance {
        let next = self.day.map(|day| midnight_after(day.date, zone).map_or(day.ends_at, |next| next.max(day.ends_at)));
        Allowance { limit, used: self.used, next_day_at: next.unwrap_or_default() }
    }
}

fn later(date: Date, days: usize) -> Date {
    i64::try_from(days).ok().and_then(|days| date.checked_add(days.days()).ok()).unwrap_or(Date::MAX)
}

/// Some days end at one o'clock, where summer begins at midnight.
fn midnight_after(date: Date, zone: &TimeZone) -> Option<Timestamp> {
    Some(date.tomorrow().ok()?.to_zoned(zone.clone()).ok()?.timestamp())
}

#[cfg(test)]
mod tests;
