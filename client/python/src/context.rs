//! The context that is stored on this machine, and its sync.

use std::sync::{Mutex, PoisonError};

use coditect::{Change, Config, ContextStore, Draft, Error, Filter, Kind, LicenseClient, RecordId};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping};
use serde_json::Value;

use crate::error::{exception, wrong};
use crate::interrupt::interruptibly;
use crate::notice::refuse_in_callback;
use crate::process::Process;
use crate::record::{Record, SyncStatus, Synced};

/// Tasks, decisions, learnings and messages, on this machine. It needs no license key and no cloud, except to sync.
///
/// Every method raises `ContextFailed` for what cannot be kept, and `ValueError` for a kind that there is not.
#[pyclass(frozen, module = "coditect_license")]
#[derive(Debug)]
pub(crate) struct Context {
    client: LicenseClient,
    /// The local store. Its lock is waited for without the interpreter's lock.
    context: Mutex<coditect::Context>,
    process: Process,
}

impl Context {
    pub(crate) fn new(client: LicenseClient) -> Self {
        Self { context: Mutex::new(client.context()), client, process: Process::current() }
    }

    /// Runs an action on the local store. It takes a moment, so it can't be interrupted.
    fn with<T: Send>(&self, py: Python<'_>, act: impl FnOnce(&ContextStore) -> Result<T, Error> + Send) -> PyResult<T> {
        self.process.guard()?;
        refuse_in_callback()?;
        let done = py.detach(|| act(self.context.lock().unwrap_or_else(PoisonError::into_inner).store()));
        done.map_err(exception)
    }
}

#[pymethods]
impl Context {
    /// The record is to be this: kept before it returns, and queued to be sent. Returns true if that is a change.
    #[pyo3(signature = (kind, id, content, *, project_id=None))]
    fn put(
        &self,
        py: Python<'_>,
        kind: &str,
        id: &str,
        content: &Bound<'_, PyMapping>,
        project_id: Option<&str>,
    ) -> PyResult<bool> {
        let content = json_dumps(content)?;
        let draft = Draft {
            kind: kind_of(kind)?,
            id: id_of(id)?,
            project_id: project_id
                .map(str::parse)
                .transpose()
                .map_err(|error: coditect::TextError| exception(error.into()))?,
            content,
        };
        self.with(py, move |store| Ok(store.put(&draft)? != Change::Unchanged))
    }

    /// A record as it is seen here; `None` where there is none, or it was deleted.
    fn get(&self, py: Python<'_>, kind: &str, id: &str) -> PyResult<Option<Record>> {
        let (kind, id) = (kind_of(kind)?, id_of(id)?);
        let entry = self.with(py, |store| store.get(kind, &id))?;
        entry.map(|entry| Record::of(py, entry)).transpose()
    }

    /// The records of a kind, the latest change first; those of a project, or with a `status`, only.
    #[pyo3(signature = (kind, *, project_id=None, status=None, limit=100))]
    fn list(
        &self,
        py: Python<'_>,
        kind: &str,
        project_id: Option<&str>,
        status: Option<String>,
        limit: usize,
    ) -> PyResult<Vec<Record>> {
        let kind = kind_of(kind)?;
        let project_id =
            project_id.map(str::parse).transpose().map_err(|error: coditect::TextError| exception(error.into()))?;
        let filter = Filter { project_id, status, limit };
        let entries = self.with(py, |store| store.list(kind, &filter))?;
        entries.into_iter().map(|entry| Record::of(py, entry)).collect()
    }

    /// Queues a record's deletion. Returns true if there was such a record.
    fn delete(&self, py: Python<'_>, kind: &str, id: &str) -> PyResult<bool> {
        let (kind, id) = (kind_of(kind)?, id_of(id)?);
        self.with(py, |store| store.delete(kind, &id))
    }

    /// Turns the sync on, or off. It is off until the person has turned it on.
    #[pyo3(signature = (on=true))]
    fn enable(&self, py: Python<'_>, on: bool) -> PyResult<()> {
        let home = self.client.home().to_owned();
        self.with(py, |_| Config::open(Some(home))?.set_sync(on))
    }

    /// Sends what waits, and fetches what is new. Raises `Unavailable` and `Refused`; nothing is lost then.
    fn sync(&self, py: Python<'_>) -> PyResult<Synced> {
        self.process.guard()?;
        // Opens files of its own, so that records can be read and written meanwhile.
        let context = self.client.context();
        let synced = interruptibly(py, move || context.sync(|_| ()))?;
        synced.map(Synced::from).map_err(exception)
    }

    /// Returns the state of the sync, without asking the cloud.
    fn status(&self, py: Python<'_>) -> PyResult<SyncStatus> {
        self.with(py, ContextStore::status).map(SyncStatus::from)
    }

    fn __repr__(&self) -> String {
        format!("<Context home='{}'>", self.client.home().display())
    }
}

fn kind_of(word: &str) -> PyResult<Kind> {
    word.parse().map_err(|error: coditect::UnknownWord| wrong(error.to_string()))
}

fn id_of(text: &str) -> PyResult<RecordId> {
    text.parse().map_err(|error: coditect::TextError| exception(error.into()))
}

/// Converts with Python's own JSON writer, so that its rules hold: a value that it can't write raises a `TypeError`, and
/// `NaN` a `ValueError`.
fn json_dumps(content: &Bound<'_, PyMapping>) -> PyResult<Value> {
    let py = content.py();
    let strict = PyDict::new(py);
    strict.set_item("allow_nan", false)?;
    let text: String = py.import("json")?.call_method("dumps", (content,), Some(&strict))?.extract()?;
    serde_json::from_str(&text).map_err(|error| wrong(format!("The content cannot be kept: {error}.")))
}
