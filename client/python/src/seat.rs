//! A seat, as a context manager, and the seats that are given back when the interpreter ends.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::SystemTime;

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyFrozenSet, PyMappingProxy};

use crate::error;
use crate::interrupt::interruptibly;
use crate::license::{features, quotas};
use crate::notice::{is_being_told, refuse_in_callback};
use crate::process::Process;
use crate::seat_counts::SeatCounts;
use crate::status::Allowance;

/// One of the license's simultaneous uses, until the `with` block ends, or `release` is called.
///
/// A thread keeps it, and goes on trying while the cloud is away, until the license token ends. After it was given
/// back, what is asked of it raises `SeatEnded`.
#[pyclass(frozen, module = "coditect_license")]
#[derive(Debug)]
pub(crate) struct Seat(Arc<Held>);

/// A seat, until it is given back.
pub(crate) struct Held {
    /// Locked for moments only.
    seat: Mutex<Option<Arc<coditect::Seat>>>,
    process: Process,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}

impl Held {
    fn seat(&self) -> MutexGuard<'_, Option<Arc<coditect::Seat>>> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the seat back, if it still is held here. A failure is ignored.
    pub(crate) fn drop_in_peace(self: &Arc<Self>, py: Python<'_>) {
        if self.process.is_here() {
            let seat = self.seat().take();
            if is_being_told() {
                // This may be the thread that keeps the seat, which can't wait for itself.
                thread::spawn(move || drop(seat));
            } else {
                // The seat's thread may be about to run a callback, which needs the interpreter's lock.
                py.detach(|| drop(seat));
            }
        } else {
            // The seat is the parent's: its thread is not here to be waited for, and its locks may be held for ever.
            std::mem::forget(self.clone());
        }
    }
}

impl Seat {
    pub(crate) fn new(seat: coditect::Seat) -> Self {
        let held = Arc::new(Held { seat: Mutex::new(Some(Arc::new(seat))), process: Process::current() });
        remember(Arc::downgrade(&held));
        Self(held)
    }

    /// Reads a property of the seat, while it is held.
    fn about<T>(&self, read: impl FnOnce(&coditect::Seat) -> T) -> PyResult<T> {
        self.0.process.guard()?;
        self.0.seat().as_deref().map(read).ok_or_else(error::given_back)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // A Python object is dropped where the interpreter is available; elsewhere its end gives the seat back.
        Python::try_attach(|py| self.0.drop_in_peace(py));
    }
}

#[pymethods]
impl Seat {
    /// Id of the session in the cloud. It changes when a lost seat is taken again.
    #[getter]
    fn session_id(&self) -> PyResult<String> {
        self.about(|seat| seat.session_id().to_string())
    }

    /// The proof that is checked offline. It is a secret, and is renewed from time to time.
    #[getter]
    fn license_token(&self) -> PyResult<String> {
        self.about(coditect::Seat::license_token)
    }

    /// Until when the license token, and so this seat, serves without the cloud.
    #[getter]
    fn expires_at(&self) -> PyResult<SystemTime> {
        self.about(|seat| seat.expires_at().into())
    }

    /// When the seat is free for others, unless a heartbeat comes before.
    #[getter]
    fn seat_expires_at(&self) -> PyResult<SystemTime> {
        self.about(|seat| seat.seat_expires_at().into())
    }

    /// The license's tier.
    #[getter]
    fn tier(&self) -> PyResult<&'static str> {
        self.about(|seat| seat.tier().as_str())
    }

    /// Features of the plan.
    #[getter]
    fn features<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyFrozenSet>> {
        features(py, &self.about(coditect::Seat::features)?)
    }

    /// The plan's limits by name; -1 is none.
    #[getter]
    fn quotas<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMappingProxy>> {
        quotas(py, &self.about(coditect::Seat::quotas)?)
    }

    /// Number of seats of the license when this one was taken, if the cloud has reported it.
    #[getter]
    fn seats(&self) -> PyResult<Option<SeatCounts>> {
        self.about(|seat| seat.seats().map(SeatCounts::from))
    }

    /// Counts a command of today, where this seat's plan limits them; `None` where it does not.
    ///
    /// Raises `QuotaExceeded` when today's are used up.
    fn count_command(&self, py: Python<'_>) -> PyResult<Option<Allowance>> {
        self.0.process.guard()?;
        refuse_in_callback()?;
        // Without the lock, since counting locks a file, and dropped here, since it may be the last reference.
        let counted = py.detach(|| {
            let seat = self.0.seat().clone();
            seat.as_deref().map(coditect::Seat::count_command)
        });
        Ok(counted.ok_or_else(error::given_back)?.map_err(error::exception)?.map(Allowance::from))
    }

    /// Why there is no seat any more, to be raised or shown; `None` while there is.
    #[getter]
    fn ended(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.0.process.guard()?;
        let ending = self.0.seat().as_deref().map(coditect::Seat::ended);
        // Without the lock: making an exception runs Python code.
        let ended = match ending {
            Some(ending) => ending.as_ref().map(error::ended),
            None => Some(error::given_back()),
        };
        ended.map(|error| error.into_py_any(py)).transpose()
    }

    /// Gives the seat back now. Raises `Unavailable` when the cloud does not hear of it: then the seat comes free by
    /// itself within minutes. Again, it does nothing.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        self.0.process.guard()?;
        refuse_in_callback()?;
        let Some(seat) = self.0.seat().take() else { return Ok(()) };
        let release = |seat: Arc<coditect::Seat>| match Arc::try_unwrap(seat) {
            Ok(seat) => seat.release(),
            // The call that still counts a command gives it back.
            Err(_) => Ok(()),
        };
        interruptibly(py, move || release(seat))?.map_err(error::exception)
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        slf.get().about(|_| ())?;
        Ok(slf)
    }

    #[pyo3(signature = (*_raised))]
    pub(crate) fn __exit__(&self, py: Python<'_>, _raised: &Bound<'_, pyo3::types::PyTuple>) -> PyResult<()> {
        self.leave(py)
    }

    fn __repr__(&self) -> String {
        if !self.0.process.is_here() {
            return "<Seat of another process>".to_owned();
        }
        match self.0.seat().as_deref() {
            Some(seat) if seat.ended().is_none() => format!("<Seat {} {}>", seat.tier(), seat.session_id()),
            Some(seat) => format!("<Seat {} ended>", seat.session_id()),
            None => "<Seat released>".to_owned(),
        }
    }
}

impl Seat {
    /// Gives the seat back. A failure is ignored: the seat comes free by itself within minutes.
    pub(crate) fn leave(&self, py: Python<'_>) -> PyResult<()> {
        if !self.0.process.is_here() {
            return Ok(());
        }
        refuse_in_callback()?;
        let Some(seat) = self.0.seat().take() else { return Ok(()) };
        interruptibly(py, move || drop(seat))
    }
}

/// The seats of this process. Locked for moments only, while the interpreter's lock is held.
static SEATS: Mutex<Vec<Weak<Held>>> = Mutex::new(Vec::new());

fn seats() -> MutexGuard<'static, Vec<Weak<Held>>> {
    SEATS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Registers a seat to be given back when the interpreter ends, if it still is held.
fn remember(seat: Weak<Held>) {
    let mut seats = seats();
    seats.retain(|seat| seat.strong_count() > 0);
    seats.push(seat);
}

/// Gives back the seats when the interpreter ends: a module's objects are not always dropped then, and an object that is
/// dropped that late can't run a callback any more.
pub(crate) fn give_back_at_exit(py: Python<'_>) -> PyResult<()> {
    let give_back = PyCFunction::new_closure(py, None, None, |arguments, _| {
        // The lock is released at once: a thread that takes a seat meanwhile would wait for it with the interpreter's lock held.
        let seats = std::mem::take(&mut *seats());
        for seat in seats {
            if let Some(seat) = seat.upgrade() {
                seat.drop_in_peace(arguments.py());
            }
        }
    })?;
    py.import("atexit")?.call_method1("register", (give_back,)).map(drop)
}
