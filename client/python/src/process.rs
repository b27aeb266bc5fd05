//! The refusal of objects that were made before a fork.

use pyo3::prelude::*;

use crate::error::Forked;

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
