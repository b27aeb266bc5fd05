//! Times for people: how far away they are, and the date.

use std::io::{self, IsTerminal};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use protocol::wire::whole_seconds;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Time below which people count in hours.
const TWO_DAYS: i64 = 2 * DAY;

/// Format of times: relative to the current time, with the date in the reader's time zone.
pub(crate) struct TimeFormat {
    now: Timestamp,
    /// A person's own time zone; programs read UTC.
    zone: Option<TimeZone>,
}

impl TimeFormat {
    /// Returns the format of what is printed to standard output.
    pub(crate) fn for_stdout(now: Timestamp) -> Self {
        Self { now, zone: io::stdout().is_terminal().then(TimeZone::system) }
    }

    /// `in 5 days (2026-11-26 14:00)`, `3 minutes ago (…)`, `just now (…)`.
    pub(crate) fn format(&self, time: Timestamp) -> String {
        format!("{} ({})", relative(self.now, time), self.date(time))
    }

    /// `for 5 days (until 2026-11-26 14:00)`.
    pub(crate) fn format_until(&self, until: Timestamp) -> String {
        let duration = approximate(until.duration_since(self.now)).unwrap_or_else(|| "a moment".to_owned());
        format!("for {duration} (until {})", self.date(until))
    }

    fn date(&self, time: Timestamp) -> String {
        match &self.zone {
            Some(zone) => time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string(),
            None => whole_seconds(time).to_string(),
        }
    }
}

/// Formats how far away a time is: `5 days ago`, `just now`, `in 2 hours`.
pub(crate) fn relative(now: Timestamp, time: Timestamp) -> String {
    let duration = time.duration_since(now);
    match approximate(duration) {
        None => "just now".to_owned(),
        Some(words) if duration.is_negative() => format!("{words} ago"),
        Some(words) => format!("in {words}"),
    }
}

/// Rounds a duration to the nearest unit. None if it is less than a minute.
fn approximate(duration: SignedDuration) -> Option<String> {
    let seconds = duration.as_secs().abs();
    let (unit, name) = match seconds {
        TWO_DAYS.. => (DAY, "day"),
        HOUR.. => (HOUR, "hour"),
        MINUTE.. => (MINUTE, "minute"),
        _ => return None,
    };
    let count = (seconds + unit / 2) / unit;
    Some(format!("{count} {name}{}", if count == 1 { "" } else { "s" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_by_how_far_it_is() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let programs = TimeFormat { now, zone: None };
        let person = TimeFormat { now, zone: Some(TimeZone::fixed(jiff::tz::offset(2))) };
        for (seconds, expected) in [
            (5, "just now (2026-11-21T12:00:05Z)"),
            (-90, "2 minutes ago (2026-11-21T11:58:30Z)"),
            (HOUR, "in 1 hour (2026-11-21T13:00:00Z)"),
            (DAY - 1, "in 24 hours (2026-11-22T11:59:59Z)"),
            (5 * DAY, "in 5 days (2026-11-26T12:00:00Z)"),
        ] {
            assert_eq!(programs.format(now + SignedDuration::from_secs(seconds)), expected);
        }
        assert_eq!(person.format(now - SignedDuration::from_hours(50)), "2 days ago (2026-11-19 12:00)");
        assert_eq!(
            person.format_until(now + SignedDuration::from_hours(7 * 24)),
            "for 7 days (until 2026-11-28 14:00)"
        );
    }
}
