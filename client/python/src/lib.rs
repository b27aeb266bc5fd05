//! The client of CODITECT Cloud for Python: the native module that `coditect_license/__init__.py` re-exports.
//!
//! No decision is made here. Each class is one of the library's, and this module adds the requirements of Python:
//!
//! - A blocking call runs on a thread of its own, without the interpreter's lock, while the calling thread checks for signals:
//!   Ctrl-C ends the wait (`interrupt`).
//! - Notices come from threads of Rust. An exception in a callback is reported and has no other effect (`notice`).
//! - After a fork, only the parent has the threads that keep seats, so objects from before it are refused in the child
//!   (`process`); when the interpreter ends, seats are given back (`seat`).
//!
//! No lock is waited for while the interpreter's is held, except for those that are held for moments and never around a call
//! of Python.

mod client;
mod context;
mod error;
mod interrupt;
mod license;
mod notice;
mod process;
mod record;
mod seat;
mod seat_counts;
mod status;
mod waiting;

use pyo3::prelude::*;

// The stable ABI of the wheels is not that of free-threaded interpreters, and none of them was tested.
#[pymodule(gil_used = true)]
mod _native {
    #[pymodule_export]
    use crate::client::LicenseClient;
    #[pymodule_export]
    use crate::context::Context;
    #[pymodule_export]
    use crate::license::{License, Verdict};
    #[pymodule_export]
    use crate::notice::Notice;
    #[pymodule_export]
    use crate::record::{Record, SyncStatus, Synced};
    #[pymodule_export]
    use crate::seat::Seat;
    #[pymodule_export]
    use crate::seat_counts::SeatCounts;
    #[pymodule_export]
    use crate::status::{Allowance, LastError, Status};

    use super::{Bound, PyModule, PyModuleMethods, PyResult, seat};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        seat::give_back_at_exit(module.py())
    }
}
