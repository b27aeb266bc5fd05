//! Waiting that Ctrl-C can end.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::notice::refuse_in_callback;

/// How often to look for signals. Nobody notices so little, and it costs nothing to speak of.
const LOOK: Duration = Duration::from_millis(50);

/// Does something on a thread of its own, and waits for it without the interpreter's lock.
///
/// When a signal's handler raises, that is the answer at once; the work goes on by itself, and what comes of it is dropped.
pub(crate) fn interruptibly<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> T + Send + 'static,
) -> PyResult<T> {
    refuse_in_callback()?;
    let (send, mut receive) = mpsc::channel();
    thread::Builder::new().name("coditect".to_owned()).spawn(move || send.send(work()))?;
    loop {
        // Moved there and back, since it may be used by one thread at a time only.
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

/// Sleeps.
pub(crate) fn sleep(py: Python<'_>, time: Duration) -> PyResult<()> {
    let begin = Instant::now();
    while let Some(left) = time.checked_sub(begin.elapsed()).filter(|left| !left.is_zero()) {
        py.detach(|| thread::sleep(left.min(LOOK)));
        py.check_signals()?;
    }
    Ok(())
}
