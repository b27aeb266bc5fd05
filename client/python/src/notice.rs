//! What the person should know although nobody asked.

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
    /// Whether this thread is in the middle of telling somebody.
    static TELLING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this is called by a callback.
pub(crate) fn is_being_told() -> bool {
    TELLING.get()
}

/// Refuses what a callback must not do: it is called in the middle of an answer, or by the thread that keeps a seat, and would
/// wait for itself.
pub(crate) fn refuse_in_callback() -> PyResult<()> {
    if !is_being_told() {
        return Ok(());
    }
    Err(PyRuntimeError::new_err("on_notice must not ask the client in turn. Note what happened, and ask afterwards."))
}

/// Hands notices to a callable of Python, from whatever thread they come.
pub(crate) fn listener(callback: Py<PyAny>) -> impl Fn(&coditect::Notice) + Send + Sync + 'static {
    move |notice| {
        let notice = Notice { code: notice.code().to_owned(), message: notice.to_string() };
        // While the interpreter ends, nobody is there any more to be told.
        Python::try_attach(|py| {
            let before = TELLING.replace(true);
            let told = callback.call1(py, (notice,));
            TELLING.set(before);
            if let Err(error) = told {
                // To sys.unraisablehook: there is nobody to raise it to, and a seat does not end with it.
                error.write_unraisable(py, Some(callback.bind(py)));
            }
        });
    }
}
