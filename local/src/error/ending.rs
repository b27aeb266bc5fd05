//! Endings of a seat.

use std::fmt;

use super::Refusal;

/// Reason why a seat has ended. [`Display`](fmt::Display) writes it as a sentence.
#[derive(Debug, Clone)]
pub enum Ending {
    /// The cloud has ended the seat.
    Refused(Box<Refusal>),
    /// The cloud could not be reached before the license token expired.
    Unreachable,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "This seat has ended. {refusal}"),
            Self::Unreachable => f.write_str(
                "This seat has ended. The cloud could not be reached before the license token expired. \
                 Connect to the network and start again.",
            ),
        }
    }
}
