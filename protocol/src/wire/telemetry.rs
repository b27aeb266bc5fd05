//! `POST /api/v1/telemetry`: usage counts of a command line, once its user has turned telemetry on.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::{UnknownWord, words};
use crate::id::{ClientVersion, CommandName, InstallationId, SystemName};

/// The most events in one request.
pub const MAX_TELEMETRY_EVENTS: usize = 100;

words! {
    /// Outcome of a command.
    ExitClass {
        /// Yes.
        Yes = "yes",
        /// The answer was no.
        No = "no",
        /// Something broke.
        Broken = "broken",
        /// Wrong usage.
        Usage = "usage",
        /// It ran another program, and passed on how that ended.
        Passed = "passed",
    }
}

words! {
    /// Duration of a command, no more exact than this.
    DurationBucket {
        /// Less than 10 milliseconds.
        Under10Ms = "under_10_ms",
        /// Less than 100 milliseconds.
        Under100Ms = "under_100_ms",
        /// Less than a second.
        Under1S = "under_1_s",
        /// Less than 10 seconds.
        Under10S = "under_10_s",
        /// Less than a minute.
        Under1Min = "under_1_min",
        /// Longer.
        Longer = "longer",
    }
}

impl DurationBucket {
    /// Returns the bucket that a time falls into.
    pub fn of(time: Duration) -> Self {
        match time.as_millis() {
            0..10 => Self::Under10Ms,
            10..100 => Self::Under100Ms,
            100..1_000 => Self::Under1S,
            1_000..10_000 => Self::Under10S,
            10_000..60_000 => Self::Under1Min,
            _ => Self::Longer,
        }
    }
}

/// A command that was run. There is no more of it than this: no argument, no path, no time of day, no person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TelemetryEvent {
    /// Its name.
    pub command: CommandName,
    /// The command's outcome.
    #[serde(deserialize_with = "word")]
    pub exit: ExitClass,
    /// The command's duration.
    #[serde(deserialize_with = "word")]
    pub duration: DurationBucket,
    /// The version of the program.
    pub version: ClientVersion,
    /// The operating system.
    pub os: SystemName,
    /// The kind of processor.
    pub arch: SystemName,
}

/// Reads a word of a list by way of a string: the parser takes a number in a word's place for broken JSON, and not for a wrong
/// value.
fn word<'de, D: Deserializer<'de>, T: FromStr<Err = UnknownWord>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// One event, or up to 100 of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<TelemetryEvent>", into = "Vec<TelemetryEvent>")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = Vec<TelemetryEvent>, min_items = 1, max_items = 100))]
pub struct TelemetryEvents(Vec<TelemetryEvent>);

impl TelemetryEvents {
    /// The events, in the order in which they happened.
    pub fn as_slice(&self) -> &[TelemetryEvent] {
        &self.0
    }
}

impl TryFrom<Vec<TelemetryEvent>> for TelemetryEvents {
    type Error = TelemetryEventsError;

    fn try_from(events: Vec<TelemetryEvent>) -> Result<Self, TelemetryEventsError> {
        if (1..=MAX_TELEMETRY_EVENTS).contains(&events.len()) { Ok(Self(events)) } else { Err(TelemetryEventsError) }
    }
}

impl From<TelemetryEvents> for Vec<TelemetryEvent> {
    fn from(events: TelemetryEvents) -> Self {
        events.0
    }
}

/// There are none, or too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelemetryEventsError;

impl fmt::Display for TelemetryEventsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("There must be 1 to 100 events. Send the others in another request.")
    }
}

impl std::error::Error for TelemetryEventsError {}

/// Telemetry of an installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TelemetryRequest {
    /// A random number that was made when telemetry was turned on, and is deleted when it is turned off.
    pub installation_id: InstallationId,
    /// The events.
    pub events: TelemetryEvents,
}

/// The events were accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TelemetryAnswer {
    /// Number of accepted events.
    pub accepted: u32,
}
