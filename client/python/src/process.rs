//! Cleanup at the end of a process, and the refusal of objects that were made before a fork.

use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use pyo3::prelude::*;
use pyo3::types::PyCFunction;

use crate::error::Forked;
use crate::seat::Held;

/// The process in which an object was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(u32);

impl Process {
    /// Returns the current process.
    pub(crate) fn current() -> Self {
        Self(std::process::id())
    }

    /// Returns true if it is the current process.
    pub(crate) fn is_here(self) -> bool {
        self.0 == std::process::id()
    }

    /// Refuses an object that was made before a fork: its threads are in the parent alone, its locks may be held by them for
    /// ever, and its connections are the parent's.
    pub(crate) fn guard(self) -> PyResult<()> {
        if self.is_here() { Ok(()) } else { Err(Forked::new()) }
    }
}

/// The seats of this process. Locked for moments only, while the interpreter's lock is held.
static SEATS: Mutex<Vec<Weak<Held>>> = Mutex::new(Vec::new());

fn seats() -> MutexGuard<'static, Vec<Weak<Held>>> {
    SEATS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Registers a seat to be given back when the interpreter ends, if it still is held.
pub(crate) fn remember(seat: Weak<Held>) {
    let mut seats = seats();
    seats.retain(|seat| seat.strong_count() > 0);
    seats.push(seat);
}

/// Gives back the seats when the interpreter ends: a module's objects are not always dropped then, and an object that is
/// dropped that late can't run a callback any more.
pub(crate) fn give_back_at_exit(py: Python<'_>) -> PyResult<()> {
    let give_back = PyCFunction::new_closure(py, None, None, |arguments, _| {
        // The lock is released at once: a thread that takes a seat meanwhile would wait for it with the interpreter's lock held.
        let seats = std::mem::take(&mut *seats());
        for seat in seats {
            if let Some(seat) = seat.upgrade() {
                seat.drop_in_peace(arguments.py());
            }
        }
    })?;
    py.import("atexit")?.call_method1("register", (give_back,)).map(drop)
}
