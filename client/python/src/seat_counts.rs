//! The number of seats of a license.

use pyo3::prelude::*;

/// Seats of a license: all, and those that are taken.
#[pyclass(frozen, eq, get_all, module = "coditect_license")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SeatCounts {
    /// All of them.
    limit: u32,
    /// Those taken. They may be more, after a plan has shrunk.
    in_use: u32,
}

impl From<coditect::SeatCounts> for SeatCounts {
    fn from(seats: coditect::SeatCounts) -> Self {
        Self { limit: seats.limit, in_use: seats.in_use }
    }
}

#[pymethods]
impl SeatCounts {
    fn __repr__(&self) -> String {
        format!("SeatCounts(limit={}, in_use={})", self.limit, self.in_use)
    }
}
