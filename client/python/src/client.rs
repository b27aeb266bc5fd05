//! The Python class `LicenseClient`.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use coditect::{Address, Again, Error, HardwareId, LicenseKey, Profile};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::context::Context;
use crate::error::{exception, wrong};
use crate::interrupt::{interruptibly, sleep};
use crate::license::Verdict;
use crate::notice;
use crate::process::Process;
use crate::seat::Seat;
use crate::status::{Allowance, Status};
use crate::waiting::Wait;

/// Asks the cloud on behalf of one machine, and remembers what it said.
///
/// Arguments that are not passed come from the environment and the home folder, as for the command line. Threads may share a
/// client. As a context manager it holds a seat: `with LicenseClient() as client` takes one, and gives it back at the end.
#[pyclass(frozen, module = "coditect_license")]
#[derive(Debug)]
pub(crate) struct LicenseClient {
    client: coditect::LicenseClient,
    /// The seats of the `with` statements that are under way. Locked for moments only, while the interpreter's lock is held.
    seats: Mutex<Vec<Py<Seat>>>,
    process: Process,
}

impl LicenseClient {
    fn seats(&self) -> MutexGuard<'_, Vec<Py<Seat>>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls the library on a thread of its own.
    fn ask<T: Send + 'static>(
        &self,
        py: Python<'_>,
        ask: impl FnOnce(&coditect::LicenseClient) -> Result<T, Error> + Send + 'static,
    ) -> PyResult<T> {
        self.process.guard()?;
        let client = self.client.clone();
        interruptibly(py, move || ask(&client))?.map_err(exception)
    }

    /// Takes a seat; while all are taken, tries again until the caller's `wait` is over.
    fn take(&self, py: Python<'_>, wait: &Wait) -> PyResult<Seat> {
        let mut wait = wait.begin()?;
        loop {
            let error = match self.ask(py, |client| Ok(client.acquire()))? {
                Ok(seat) => return Ok(Seat::new(seat)),
                Err(error) => error,
            };
            match wait.after(&error) {
                Again::In(pause) => sleep(py, pause)?,
                Again::NoUse | Again::LongEnough => return Err(exception(error)),
            }
        }
    }
}

#[pymethods]
impl LicenseClient {
    #[new]
    #[pyo3(signature = (*, home=None, cloud_url=None, profile=None, hardware_id=None, on_notice=None))]
    fn new(
        py: Python<'_>,
        home: Option<PathBuf>,
        cloud_url: Option<&str>,
        profile: Option<&str>,
        hardware_id: Option<&str>,
        on_notice: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let mut builder = coditect::LicenseClient::builder();
        if let Some(home) = home {
            builder = builder.home(home);
        }
        if let Some(url) = cloud_url {
            builder = builder.cloud_url(url.parse::<Address>().map_err(exception)?);
        }
        if let Some(name) = profile {
            builder = builder.profile(name.parse::<Profile>().map_err(exception)?);
        }
        if let Some(id) = hardware_id {
            builder = builder.hardware_id(id.parse::<HardwareId>().map_err(|error| wrong(error.to_string()))?);
        }
        if let Some(callback) = on_notice {
            builder = builder.on_notice(notice::listener(callback));
        }
        let client = py.detach(|| builder.build()).map_err(exception)?;
        Ok(Self { client, seats: Mutex::default(), process: Process::current() })
    }

    /// The folder in which everything is kept.
    #[getter]
    fn home(&self) -> PathBuf {
        self.client.home().to_owned()
    }

    /// The home folder.
    #[getter]
    fn profile(&self) -> String {
        self.client.profile().to_string()
    }

    /// Where the cloud is.
    #[getter]
    fn cloud_url(&self) -> String {
        self.client.cloud_url().to_string()
    }

    /// This machine's id.
    #[getter]
    fn hardware_id(&self) -> String {
        self.client.hardware_id().to_string()
    }

    /// The seat of the `with` statement that is under way.
    #[getter]
    fn seat(&self, py: Python<'_>) -> Option<Py<Seat>> {
        self.seats().last().map(|seat| seat.clone_ref(py))
    }

    /// Returns the license of this machine and its limits.
    ///
    /// An answer of the last 24 hours is used without a call. While the cloud cannot be reached, the last answer serves
    /// for 7 days from when it was made. Without a license key the answer is the one of the signed-in user's seat,
    /// and the free tier if no user is signed in.
    fn validate(&self, py: Python<'_>) -> PyResult<Verdict> {
        let verdict = self.ask(py, coditect::LicenseClient::validate)?;
        Verdict::of(py, verdict)
    }

    /// Validates a license key on this machine; stores it and the answer if it is valid.
    ///
    /// Raises `InvalidKey` for what is no key, without a call, and `Unavailable`: an activation has no grace.
    fn activate(&self, py: Python<'_>, key: &str) -> PyResult<Verdict> {
        let key = LicenseKey::parse(key).map_err(|error| exception(Error::Key(error)))?;
        let verdict = self.ask(py, move |client| client.activate(&key))?;
        Verdict::of(py, verdict)
    }

    /// Returns the state of this machine, without asking the cloud.
    fn status(&self, py: Python<'_>) -> PyResult<Status> {
        self.ask(py, coditect::LicenseClient::status).map(Status::from)
    }

    /// Counts a command of today, where the license limits them; `None` where it does not.
    ///
    /// Raises `QuotaExceeded` when today's are used up.
    fn count_command(&self, py: Python<'_>) -> PyResult<Option<Allowance>> {
        Ok(self.ask(py, coditect::LicenseClient::count_command)?.map(Allowance::from))
    }

    /// Takes a seat of the signed-in user, else of the license key's license: `with client.acquire() as seat`.
    ///
    /// While all are taken, `wait` says how long to wait for one: seconds, a `timedelta`, or `True` for as long as it
    /// takes. While the cloud cannot be reached, the last license token of this machine serves, as long as it is good.
    ///
    /// Raises `NoSeatsAvailable`, `NoLicenseKey`, `NotSignedIn`, `Refused` when the license is not active, and `Unavailable`.
    #[pyo3(signature = (*, wait=Wait::Flag(false)), text_signature = "($self, *, wait=False)")]
    fn acquire(&self, py: Python<'_>, wait: Wait) -> PyResult<Seat> {
        self.take(py, &wait)
    }

    /// The context that is kept in this client's home folder, and its sync with this client's cloud.
    fn context(&self) -> PyResult<Context> {
        self.process.guard()?;
        Ok(Context::new(self.client.clone()))
    }

    fn __enter__<'py>(slf: Bound<'py, Self>, py: Python<'py>) -> PyResult<Bound<'py, Self>> {
        let client = slf.get();
        let seat = Py::new(py, client.take(py, &Wait::Flag(false))?)?;
        client.seats().push(seat);
        Ok(slf)
    }

    #[pyo3(signature = (*_raised))]
    fn __exit__(&self, py: Python<'_>, _raised: &Bound<'_, PyTuple>) -> PyResult<()> {
        // The lock is not held while the seat is given back.
        let seat = self.seats().pop();
        seat.map_or(Ok(()), |seat| seat.get().leave(py))
    }

    fn __repr__(&self) -> String {
        format!("<LicenseClient home='{}' cloud_url='{}'>", self.home().display(), self.cloud_url())
    }
}
