//! Notices: messages for the user that are not the answer to a call.

use std::cell::Cell;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Something worth telling: `str(notice)` is a sentence.
#[pyclass(frozen, eq, get_all, module = "coditect_license")]
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Notice {
    /// The stable word for programs, such as `"seat_ended"`.
    code: String,
    /// The sentence.
    message: String,
}

#[pymethods]
impl Notice {
    fn __str__(&self) -> &str {
        &self.message
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let message = PyString::new(py, &self.message).repr()?;
        Ok(format!("Notice(code='{}', message={message})", self.code))
    }
}

thread_local! {
    /// True while this thread runs a callback.
    static TELLING: Cell<bool> = const { Cell::new(false) };
}

/// Returns true if a callback is running on this thread.
pub(crate) fn is_being_told() -> bool {
    TELLING.get()
}

/// Refuses calls that a callback must not make: it runs in the middle of an answer, or on the thread that keeps a seat, and
/// would wait for itself.
pub(crate) fn refuse_in_callback() -> PyResult<()> {
    if !is_being_told() {
        return Ok(());
    }
    Err(PyRuntimeError::new_err("on_notice must not ask the client in turn. Note what happened, and ask afterwards."))
}

/// Passes notices to a Python callable, from whatever thread they come.
pub(crate) fn listener(callback: Py<PyAny>) -> impl Fn(&coditect::Notice) + Send + Sync + 'static {
    move |notice| {
        let notice = Notice { code: notice.code().to_owned(), message: notice.to_string() };
        // While the interpreter ends, the notice is dropped.
        Python::try_attach(|py| {
            let before = TELLING.replace(true);
            let told = callback.call1(py, (notice,));
            TELLING.set(before);
            if let Err(error) = told {
                // To sys.unraisablehook: there is no caller to raise it to, and a seat does not end with it.
                error.write_unraisable(py, Some(callback.bind(py)));
            }
        });
    }
}
