//! What the person should know although nobody asked.

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

/// Hands notices to a callable of Python, from whatever thread they come.
pub(crate) fn listener(callback: Py<PyAny>) -> impl Fn(&coditect::Notice) + Send + Sync + 'static {
    move |notice| {
        let notice = Notice { code: notice.code().to_owned(), message: notice.to_string() };
        // While the interpreter ends, nobody is there any more to be told.
        Python::try_attach(|py| {
            if let Err(error) = callback.call1(py, (notice,)) {
                // To sys.unraisablehook: there is nobody to raise it to, and a seat does not end with it.
                error.write_unraisable(py, Some(callback.bind(py)));
            }
        });
    }
}
