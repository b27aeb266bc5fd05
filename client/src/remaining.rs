//! How long something still lasts, in the unit in which people think of it.

use jiff::SignedDuration;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// `5 more days`, `3 more hours`, `1 more minute`.
pub(crate) fn more(left: SignedDuration) -> String {
    let seconds = left.as_secs().max(0);
    let (unit, name) = match seconds {
        DAY.. => (DAY, "day"),
        HOUR.. => (HOUR, "hour"),
        _ => (MINUTE, "minute"),
    };
    // To the nearest, so that five days less a second are five days.
    let count = ((seconds + unit / 2) / unit).max(1);
    format!("{count} more {name}{}", if count == 1 { "" } else { "s" })
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
    }
}
