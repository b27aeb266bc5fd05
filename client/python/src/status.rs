//! The state that is stored on this machine, without a call to the cloud.

use std::path::PathBuf;
use std::time::SystemTime;

use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::license::License;
use crate::record::SyncStatus;

/// The commands of a day, where they are limited.
#[pyclass(frozen, eq, module = "coditect_license")]
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Allowance(coditect::Allowance);

impl From<coditect::Allowance> for Allowance {
    fn from(today: coditect::Allowance) -> Self {
        Self(today)
    }
}

#[pymethods]
impl Allowance {
    /// Number allowed a day.
    #[getter]
    fn limit(&self) -> i64 {
        self.0.limit
    }

    /// Number used.
    #[getter]
    fn used(&self) -> i64 {
        self.0.used
    }

    /// Number left.
    #[getter]
    fn left(&self) -> i64 {
        self.0.left()
    }

    /// When the next day begins: midnight on this machine.
    #[getter]
    fn next_day_at(&self) -> SystemTime {
        self.0.next_day_at.into()
    }

    fn __repr__(&self) -> String {
        format!("Allowance(limit={}, used={}, left={})", self.limit(), self.used(), self.left())
    }
}

/// Last error in a home folder: `str(error)` is a sentence.
#[pyclass(frozen, get_all, module = "coditect_license")]
#[derive(Clone, Debug)]
pub(crate) struct LastError {
    /// When.
    at: SystemTime,
    /// The stable word for programs.
    code: String,
    /// The sentence.
    message: String,
}

impl From<coditect::LastError> for LastError {
    fn from(error: coditect::LastError) -> Self {
        Self { at: error.at.into(), code: error.code, message: error.detail }
    }
}

#[pymethods]
impl LastError {
    fn __str__(&self) -> &str {
        &self.message
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let message = PyString::new(py, &self.message).repr()?;
        Ok(format!("LastError(code='{}', message={message})", self.code))
    }
}

/// State of this machine.
#[pyclass(frozen, get_all, module = "coditect_license")]
#[derive(Debug)]
pub(crate) struct Status {
    /// The signed-in user. Seats are taken for this user, whether there is a license key or not.
    signed_in_as: Option<String>,
    /// The license key's beginning, if one has been activated.
    license_key: Option<String>,
    /// The license in use; `None` if the last answer is no longer valid.
    license: Option<License>,
    /// The commands of today, where they are limited.
    commands_today: Option<Allowance>,
    /// Until when the last seat's token lets a program start while the cloud is away.
    seat_token_until: Option<SystemTime>,
    /// State of the sync; `None` where there is no context, or none that can be read.
    sync: Option<SyncStatus>,
    /// Last error.
    last_error: Option<LastError>,
    /// Where the cloud is.
    cloud_url: String,
    /// This machine's id.
    hardware_id: String,
    /// The folder in which everything is kept.
    home: PathBuf,
}

impl From<coditect::Status> for Status {
    fn from(status: coditect::Status) -> Self {
        Self {
            signed_in_as: status.signed_in_as,
            license_key: status.license_key,
            license: status.license.map(License::from),
            commands_today: status.commands_today.map(Allowance::from),
            seat_token_until: status.seat_token_until.map(SystemTime::from),
            sync: status.sync.map(SyncStatus::from),
            last_error: status.last_error.map(LastError::from),
            cloud_url: status.cloud_url,
            hardware_id: status.hardware_id.to_string(),
            home: status.home,
        }
    }
}

#[pymethods]
impl Status {
    fn __repr__(&self) -> String {
        let license = self.license.as_ref().map_or_else(|| "None".to_owned(), License::__repr__);
        format!("Status(license={license}, cloud_url='{}', home='{}')", self.cloud_url, self.home.display())
    }
}
