//! Times on the wire have whole seconds: a token's times do, and the two must say the same.

use jiff::Timestamp;
use serde::Serializer;

/// The beginning of the second that a time falls in.
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    // `as_second` rounds towards 1970; what is on the wire is never that old.
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// For `#[serde(serialize_with)]`, so that no answer can forget it.
pub(super) fn in_whole_seconds<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&whole_seconds(*time))
}

/// The same where there may be none.
pub(super) fn in_whole_seconds_if_any<S: Serializer>(
    time: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => in_whole_seconds(time, serializer),
        None => serializer.serialize_none(),
    }
}
