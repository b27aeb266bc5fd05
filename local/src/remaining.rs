//! Durations as text, in the unit in which people think of them.

use jiff::SignedDuration;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// `5 more days`, `3 more hours`, `1 more minute`.
pub(crate) fn more(left: SignedDuration) -> String {
    let (count, unit) = count(left.max(SignedDuration::ZERO));
    format!("{count} more {unit}")
}

/// `5 days`, `3 hours`, `1 minute`, whichever way the time goes.
pub fn about(time: SignedDuration) -> String {
    let (count, unit) = count(time.abs());
    format!("{count} {unit}")
}

/// Rounds a time to the nearest unit, so that five days less a second are five days; and to one unit at least.
fn count(time: SignedDuration) -> (i64, String) {
    let seconds = time.as_secs();
    let (unit, name) = match seconds {
        DAY.. => (DAY, "day"),
        HOUR.. => (HOUR, "hour"),
        _ => (MINUTE, "minute"),
    };
    let count = ((seconds + unit / 2) / unit).max(1);
    (count, format!("{name}{}", if count == 1 { "" } else { "s" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_its_own_unit() {
        let told = [
            (5 * DAY - 1, "5 more days"),
            (DAY, "1 more day"),
            (DAY - 1, "24 more hours"),
            (HOUR, "1 more hour"),
            (90, "2 more minutes"),
            (0, "1 more minute"),
            (-7, "1 more minute"),
        ];
        for (seconds, words) in told {
            assert_eq!(more(SignedDuration::from_secs(seconds)), words);
        }
        assert_eq!(about(SignedDuration::from_secs(-2 * HOUR)), "2 hours");
    }
}
