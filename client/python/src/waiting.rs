//! How long Python wants to wait for a seat.

use std::time::Duration;

use coditect::SeatWait;
use pyo3::prelude::*;

use crate::error::wrong;

/// What Python says of how long to wait.
#[derive(FromPyObject)]
pub(crate) enum Wait {
    /// As long as it takes, or not at all.
    Flag(bool),
    /// So many seconds.
    Seconds(f64),
    /// So long.
    Time(Duration),
}

impl Wait {
    /// Begins to wait now.
    pub(crate) fn begin(&self) -> PyResult<SeatWait> {
        Ok(SeatWait::new(match *self {
            Self::Flag(true) => None,
            Self::Flag(false) => Some(Duration::ZERO),
            Self::Seconds(seconds) => {
                Some(Duration::try_from_secs_f64(seconds).map_err(|error| wrong(format!("wait={seconds}: {error}")))?)
            }
            Self::Time(time) => Some(time),
        }))
    }
}
