//! Times and durations for people: how far away a time is and its date, and a duration in words.

use std::io::{self, IsTerminal};
use std::time::Duration;

use jiff::fmt::friendly::{Designator, Spacing, SpanPrinter};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRound, Timestamp, Unit};
use protocol::wire::whole_seconds;

/// Prints `5 days`, `1 minute 30 seconds`.
const WORDS: SpanPrinter =
    SpanPrinter::new().designator(Designator::Verbose).spacing(Spacing::BetweenUnitsAndDesignators);

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

/// Rounds a duration to one unit: hours below two days. None if it is less than a minute.
fn approximate(duration: SignedDuration) -> Option<String> {
    let duration = duration.abs();
    let unit = match (duration.as_hours(), duration.as_mins()) {
        (48.., _) => Unit::Day,
        (1.., _) => Unit::Hour,
        (_, 1..) => Unit::Minute,
        _ => return None,
    };
    let rounding = SpanRound::new().largest(unit).smallest(unit).days_are_24_hours();
    let rounded = Span::try_from(duration).and_then(|span| span.round(rounding)).ok()?;
    Some(WORDS.span_to_string(&rounded))
}

/// Formats a duration to the second: `10 minutes`, `1 minute 30 seconds`.
pub(crate) fn in_words(duration: Duration) -> String {
    // Only a duration of billions of years can't be rounded.
    let rounded = SignedDuration::try_from(duration).and_then(|duration| duration.round(Unit::Second));
    WORDS.duration_to_string(&rounded.unwrap_or(SignedDuration::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 60 * 60;
    const DAY: i64 = 24 * HOUR;

    #[test]
    fn a_time_is_told_by_how_far_it_is() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let programs = TimeFormat { now, zone: None };
        let person = TimeFormat { now, zone: Some(TimeZone::fixed(jiff::tz::offset(2))) };
        for (seconds, expected) in [
            (5, "just now (2026-11-21T12:00:05Z)"),
            (-90, "2 minutes ago (2026-11-21T11:58:30Z)"),
            (HOUR - 1, "in 60 minutes (2026-11-21T12:59:59Z)"),
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

    #[test]
    fn a_duration_is_written_in_hours_minutes_and_seconds() {
        assert_eq!(in_words(Duration::from_millis(119_999)), "2 minutes");
        assert_eq!(in_words(Duration::from_secs(180_001)), "50 hours 1 second");
        assert!(in_words(Duration::MAX).contains("hours"));
    }
}
