//! The answer to "may I run?": a verdict, with the license.

use std::time::SystemTime;

use coditect::Quotas;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFrozenSet, PyMappingProxy};

use crate::error;

/// The license in use: tier, features and limits.
#[pyclass(frozen, eq, module = "coditect_license")]
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct License(coditect::License);

impl From<coditect::License> for License {
    fn from(license: coditect::License) -> Self {
        Self(license)
    }
}

#[pymethods]
impl License {
    /// The plan's rank.
    #[getter]
    fn tier(&self) -> &'static str {
        self.0.tier.as_str()
    }

    /// Features of the plan, such as `"cloud_sync"`.
    #[getter]
    fn features<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyFrozenSet>> {
        features(py, &self.0.features)
    }

    /// Its limits by name, such as `"commands_per_day"`; -1 is none.
    #[getter]
    fn quotas<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMappingProxy>> {
        quotas(py, &self.0.quotas)
    }

    /// On whose word: the cloud's just now, of the last day, of the last week while it cannot be asked; the last
    /// seat's, where a user is signed in; or of none.
    #[getter]
    fn source(&self) -> &'static str {
        self.0.source.as_str()
    }

    /// When the cloud will be asked again; `None` without a key.
    #[getter]
    fn refresh_after(&self) -> Option<SystemTime> {
        self.0.refresh_after.map(SystemTime::from)
    }

    /// Until when this serves if the cloud cannot be asked; `None` without a key.
    #[getter]
    fn grace_until(&self) -> Option<SystemTime> {
        self.0.grace_until.map(SystemTime::from)
    }

    pub(crate) fn __repr__(&self) -> String {
        format!("License(tier='{}', source='{}')", self.tier(), self.source())
    }
}

/// Returns the names of a plan's features.
pub(crate) fn features<'py>(py: Python<'py>, features: &[coditect::Feature]) -> PyResult<Bound<'py, PyFrozenSet>> {
    PyFrozenSet::new(py, features.iter().map(|feature| feature.as_str()))
}

/// Returns a plan's limits, as a read-only mapping.
pub(crate) fn quotas<'py>(py: Python<'py>, quotas: &Quotas) -> PyResult<Bound<'py, PyMappingProxy>> {
    let limits = PyDict::new(py);
    for (name, limit) in &quotas.0 {
        limits.set_item(name, limit)?;
    }
    Ok(PyMappingProxy::new(py, limits.as_mapping()))
}

/// The answer to "may I run?". It is true if it is a yes.
#[pyclass(frozen, module = "coditect_license")]
#[derive(Debug)]
pub(crate) struct Verdict {
    state: &'static str,
    license: Option<Py<License>>,
    reason: Option<&'static str>,
    message: Option<String>,
    outage: Option<Py<PyAny>>,
}

impl Verdict {
    /// Converts the library's verdict.
    pub(crate) fn of(py: Python<'_>, verdict: coditect::Verdict) -> PyResult<Self> {
        let license = |license: coditect::License| Py::new(py, License(license));
        let none = Self { state: "valid", license: None, reason: None, message: None, outage: None };
        Ok(match verdict {
            coditect::Verdict::Valid(granted) => Self { license: Some(license(granted)?), ..none },
            coditect::Verdict::Invalid(no) => {
                Self { state: "invalid", reason: Some(no.reason.as_str()), message: Some(no.message), ..none }
            }
            coditect::Verdict::Lapsed { outage } => Self {
                state: "lapsed",
                license: Some(license(coditect::License::free())?),
                message: Some(outage.to_string()),
                outage: Some(error::exception(outage).into_py_any(py)?),
                ..none
            },
        })
    }
}

#[pymethods]
impl Verdict {
    /// `lapsed`: the cloud cannot be asked, and nothing that it said before still serves; the free tier applies.
    #[getter]
    fn state(&self) -> &'static str {
        self.state
    }

    /// True if the license is valid.
    #[getter]
    fn valid(&self) -> bool {
        self.state == "valid"
    }

    /// The license in use, the free tier where it has lapsed, `None` where it is not valid.
    #[getter]
    fn license(&self, py: Python<'_>) -> Option<Py<License>> {
        self.license.as_ref().map(|license| license.clone_ref(py))
    }

    /// Why it is not valid, as a word for programs, such as `"expired"`.
    #[getter]
    fn reason(&self) -> Option<&'static str> {
        self.reason
    }

    /// Why it is no yes, as a sentence.
    #[getter]
    fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// Why the cloud cannot be asked, where it has lapsed.
    #[getter]
    fn outage(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.outage.as_ref().map(|outage| outage.clone_ref(py))
    }

    fn __bool__(&self) -> bool {
        self.valid()
    }

    fn __repr__(&self) -> String {
        match (&self.license, self.reason) {
            (Some(license), _) => format!("Verdict(state='{}', license={})", self.state, license.get().__repr__()),
            (None, reason) => format!("Verdict(state='{}', reason='{}')", self.state, reason.unwrap_or_default()),
        }
    }
}
