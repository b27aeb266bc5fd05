//! The client.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use coditect::{Address, Error, HardwareId, LicenseKey, Profile};
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

/// How often to ask for a seat at least, and at most, while somebody waits for one: it may come free at any moment.
const SELDOM: Duration = Duration::from_secs(10);
const OFTEN: Duration = Duration::from_secs(1);

/// Asks the cloud on behalf of one machine, and remembers what it said.
#[pyclass(frozen, module = "coditect_license")]
#[derive(Debug)]
pub(crate) struct LicenseClient {
    client: coditect::LicenseClient,
    /// Those of the `with` statements that are under way. Held for moments, and with the interpreter's lock.
    seats: Mutex<Vec<Py<Seat>>>,
    process: Process,
}

/// How long to wait for a seat.
#[derive(FromPyObject)]
enum Wait {
    /// As long as it takes, or not at all.
    Flag(bool),
    Seconds(f64),
    Time(Duration),
}

impl Wait {
    /// Until when.
    fn deadline(&self) -> PyResult<Option<Instant>> {
        let time = match *self {
            Self::Flag(true) => return Ok(None),
            Self::Flag(false) => Duration::ZERO,
            Self::Seconds(seconds) => {
                Duration::try_from_secs_f64(seconds).map_err(|error| wrong(format!("wait={seconds}: {error}")))?
            }
            Self::Time(time) => time,
        };
        Ok(Instant::now().checked_add(time))
    }
}

impl LicenseClient {
    fn seats(&self) -> MutexGuard<'_, Vec<Py<Seat>>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the library, on a thread of its own.
    fn ask<T: Send + 'static>(
        &self,
        py: Python<'_>,
        ask: impl FnOnce(&coditect::LicenseClient) -> Result<T, Error> + Send + 'static,
    ) -> PyResult<T> {
        self.process.guard()?;
        let client = self.client.clone();
        interruptibly(py, move || ask(&client))?.map_err(exception)
    }

    /// Takes a seat, and asks again until the deadline while all are taken.
    fn take(&self, py: Python<'_>, deadline: Option<Instant>) -> PyResult<Seat> {
        loop {
            let pause = match self.ask(py, |client| Ok(client.acquire()))? {
                Ok(seat) => return Ok(Seat::new(seat)),
                Err(Error::Refused(refusal)) if refusal.problem.code == "no_seats_available" => {
                    let asked = refusal.problem.retry_after_seconds.map_or(SELDOM, Duration::from_secs);
                    let left = deadline.map_or(SELDOM, |deadline| deadline.saturating_duration_since(Instant::now()));
                    if left.is_zero() {
                        return Err(exception(Error::Refused(refusal)));
                    }
                    asked.clamp(OFTEN, SELDOM).min(left)
                }
                Err(error) => return Err(exception(error)),
            };
            sleep(py, pause)?;
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

    #[getter]
    fn home(&self) -> PathBuf {
        self.client.home().to_owned()
    }

    #[getter]
    fn profile(&self) -> String {
        self.client.profile().to_string()
    }

    #[getter]
    fn cloud_url(&self) -> String {
        self.client.cloud_url().to_string()
    }

    #[getter]
    fn hardware_id(&self) -> String {
        self.client.hardware_id().to_string()
    }

    #[getter]
    fn seat(&self, py: Python<'_>) -> Option<Py<Seat>> {
        self.seats().last().map(|seat| seat.clone_ref(py))
    }

    fn validate(&self, py: Python<'_>) -> PyResult<Verdict> {
        let verdict = self.ask(py, coditect::LicenseClient::validate)?;
        Verdict::of(py, verdict)
    }

    fn activate(&self, py: Python<'_>, key: &str) -> PyResult<Verdict> {
        let key = LicenseKey::parse(key).map_err(|error| exception(Error::Key(error)))?;
        let verdict = self.ask(py, move |client| client.activate(&key))?;
        Verdict::of(py, verdict)
    }

    fn status(&self, py: Python<'_>) -> PyResult<Status> {
        self.ask(py, coditect::LicenseClient::status).map(Status::from)
    }

    fn count_command(&self, py: Python<'_>) -> PyResult<Option<Allowance>> {
        Ok(self.ask(py, coditect::LicenseClient::count_command)?.map(Allowance::from))
    }

    #[pyo3(signature = (*, wait=Wait::Flag(false)), text_signature = "($self, *, wait=False)")]
    fn acquire(&self, py: Python<'_>, wait: Wait) -> PyResult<Seat> {
        self.take(py, wait.deadline()?)
    }

    fn context(&self) -> PyResult<Context> {
        self.process.guard()?;
        Ok(Context::new(self.client.clone()))
    }

    fn __enter__<'py>(slf: Bound<'py, Self>, py: Python<'py>) -> PyResult<Bound<'py, Self>> {
        let client = slf.get();
        let seat = Py::new(py, client.take(py, Some(Instant::now()))?)?;
        client.seats().push(seat);
        Ok(slf)
    }

    #[pyo3(signature = (*_raised))]
    fn __exit__(&self, py: Python<'_>, _raised: &Bound<'_, PyTuple>) -> PyResult<()> {
        // Not while it is given back.
        let seat = self.seats().pop();
        seat.map_or(Ok(()), |seat| seat.get().leave(py))
    }

    fn __repr__(&self) -> String {
        format!("<LicenseClient home='{}' cloud_url='{}'>", self.home().display(), self.cloud_url())
    }
}
