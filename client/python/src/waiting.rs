//! The `wait` argument of `acquire`.

use std::time::Duration;

use coditect::SeatWait;
use pyo3::prelude::*;

use crate::error::wrong;

/// Time for which to wait for a seat.
#[derive(FromPyObject)]
pub(crate) enum Wait {
    /// Without a limit, or not at all.
    Flag(bool),
    /// A number of seconds.
    Seconds(f64),
    /// A `timedelta`.
    Time(Duration),
}

impl Wait {
    /// Starts the wait now.
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
