//! Converts the library's errors to exceptions. Their classes are in `coditect_license/exceptions.py`.

use std::time::Duration;

use coditect::{Error, Refusal};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::seat_counts::SeatCounts;

mod class {
    use pyo3::import_exception;

    import_exception!(coditect_license.exceptions, CoditectError);
    import_exception!(coditect_license.exceptions, ContextFailed);
    import_exception!(coditect_license.exceptions, ForkedProcess);
    import_exception!(coditect_license.exceptions, InvalidKey);
    import_exception!(coditect_license.exceptions, MachineError);
    import_exception!(coditect_license.exceptions, NoLicenseKey);
    import_exception!(coditect_license.exceptions, NoSeatsAvailable);
    import_exception!(coditect_license.exceptions, NotSignedIn);
    import_exception!(coditect_license.exceptions, QuotaExceeded);
    import_exception!(coditect_license.exceptions, Refused);
    import_exception!(coditect_license.exceptions, SeatEnded);
    import_exception!(coditect_license.exceptions, Unavailable);
    import_exception!(coditect_license.exceptions, Untrusted);
}

/// Converts the library's error to the exception with the same meaning.
pub(crate) fn exception(error: Error) -> PyErr {
    let said = (error.to_string(), error.code().to_owned(), error.hint());
    match error {
        Error::NoKey => class::NoLicenseKey::new_err(said),
        Error::Key(_) => class::InvalidKey::new_err(said),
        Error::UsedUp(_) => class::QuotaExceeded::new_err(said),
        Error::Refused(refusal) => {
            let made = match refusal.problem.code.as_str() {
                "no_seats_available" => class::NoSeatsAvailable::new_err(said),
                _ => class::Refused::new_err(said),
            };
            with_refusal(made, &refusal)
        }
        Error::Unavailable(outage) => {
            let wait = outage.retry_after.map(Duration::from_secs);
            Python::attach(|py| with(py, class::Unavailable::new_err(said), "retry_after", wait))
        }
        Error::SignIn(_) => class::NotSignedIn::new_err(said),
        Error::Untrusted(_) => class::Untrusted::new_err(said),
        Error::Context(_) | Error::Hook(_) | Error::Keys(_) => class::ContextFailed::new_err(said),
        Error::Address { .. }
        | Error::Exposed { .. }
        | Error::File { .. }
        | Error::Sealed { .. }
        | Error::Keychain { .. }
        | Error::Settings { .. }
        | Error::NoHome
        | Error::Profile { .. }
        | Error::HardwareId(_) => class::MachineError::new_err(said),
        _ => class::CoditectError::new_err(said),
    }
}

/// Returns the exception for the end of a seat.
pub(crate) fn ended(ending: &coditect::Ending) -> PyErr {
    let sentence = ending.to_string();
    match ending {
        coditect::Ending::Refused(refusal) => {
            let said = (sentence, refusal.problem.code.clone(), Error::Refused(refusal.clone()).hint());
            with_refusal(class::SeatEnded::new_err(said), refusal)
        }
        coditect::Ending::Unreachable => {
            let hint = "`coditect doctor` looks for the cause; acquire a seat again when the cloud can be reached.";
            class::SeatEnded::new_err((sentence, "cloud_unavailable", hint))
        }
    }
}

/// Returns the exception for a seat that its holder has given back.
pub(crate) fn given_back() -> PyErr {
    let hint = "Acquire another one: `with client.acquire() as seat`.";
    class::SeatEnded::new_err(("This seat has been given back.", "seat_released", hint))
}

/// Error of a parent's client or seat that is used in a forked child.
#[derive(Debug)]
pub(crate) struct Forked;

impl Forked {
    /// Returns the exception.
    #[expect(clippy::new_ret_no_self, reason = "there is no other use for it than to be raised")]
    pub(crate) fn new() -> PyErr {
        class::ForkedProcess::new_err((
            "This process was forked from the one that made this object, which alone keeps what it stands for.",
            "forked_process",
            "Make a LicenseClient in the child, or start processes with the `spawn` method of multiprocessing.",
        ))
    }
}

/// Returns a `ValueError` for an invalid argument.
pub(crate) fn wrong(sentence: impl Into<String>) -> PyErr {
    PyValueError::new_err(sentence.into())
}

fn with_refusal(error: PyErr, refusal: &Refusal) -> PyErr {
    let problem = &refusal.problem;
    Python::attach(|py| {
        let error = with(py, error, "reason", problem.reason.as_deref());
        let error = with(py, error, "request_id", problem.request_id.as_str());
        let error = with(py, error, "retry_after", problem.retry_after_seconds.map(Duration::from_secs));
        with(py, error, "seats", problem.seats.map(SeatCounts::from))
    })
}

/// Adds an attribute to an exception.
fn with<'py>(py: Python<'py>, error: PyErr, name: &str, value: impl IntoPyObject<'py>) -> PyErr {
    match error.value(py).setattr(name, value) {
        Ok(()) => error,
        Err(other) => other,
    }
}
