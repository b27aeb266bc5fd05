//! The client of CODITECT Cloud for Python: what `coditect_license/__init__.py` hands on.
//!
//! Nothing is decided here. Each class is one of the library's, and what this adds is what Python asks for:
//!
//! - What blocks does so on a thread of its own, without the interpreter's lock, while the one that called looks for signals:
//!   Ctrl-C ends the wait (`interrupt`).
//! - Notices come from threads of Rust. What a callback raises is reported and stops nobody (`notice`).
//! - After a fork, only the parent has the threads that keep seats, so what was made before is refused in the child; when the
//!   interpreter ends, seats are given back (`process`).
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
mod status;
mod waiting;

use pyo3::prelude::*;

// The stable ABI of the wheels is not that of the interpreters without a global lock, and nothing was tried on one.
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
    use crate::seat::{Seat, SeatCounts};
    #[pymodule_export]
    use crate::status::{Allowance, LastError, Status};

    use super::{Bound, PyModule, PyModuleMethods, PyResult, process};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        process::give_back_at_exit(module.py())
    }
}
