//! Waiting that Ctrl-C can end.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::notice::refuse_in_callback;

/// Interval at which signals are checked. So short a delay is not noticeable, and its cost is negligible.
const LOOK: Duration = Duration::from_millis(50);

/// Runs work on a thread of its own, and waits for it without the interpreter's lock.
///
/// When a signal's handler raises, the exception is returned at once; the work goes on in the background, and its result is
/// dropped.
pub(crate) fn interruptibly<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> T + Send + 'static,
) -> PyResult<T> {
    refuse_in_callback()?;
    let (send, mut receive) = mpsc::channel();
    thread::Builder::new().name("coditect".to_owned()).spawn(move || send.send(work()))?;
    loop {
        // Moved there and back, since only one thread at a time may use it.
        let (come, back) = py.detach(move || (receive.recv_timeout(LOOK), receive));
        receive = back;
        match come {
            Ok(result) => return Ok(result),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(PyRuntimeError::new_err("a thread of coditect panicked"));
            }
        }
    }
}

/// Sleeps; a signal's handler that raises ends it.
pub(crate) fn sleep(py: Python<'_>, time: Duration) -> PyResult<()> {
    let begin = Instant::now();
    while let Some(left) = time.checked_sub(begin.elapsed()).filter(|left| !left.is_zero()) {
        py.detach(|| thread::sleep(left.min(LOOK)));
        py.check_signals()?;
    }
    Ok(())
}
