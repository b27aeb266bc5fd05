//! Records, and the state of their sync.

use std::time::SystemTime;

use coditect::{Entry, SyncStatus as Progress};
use pyo3::prelude::*;
use pyo3::types::PyString;
use serde_json::Value;

/// A record as a person sees it: with what was changed here and is not sent yet.
#[pyclass(frozen, get_all, module = "coditect_license")]
#[derive(Debug)]
pub(crate) struct Record {
    /// Kind of the record.
    kind: &'static str,
    /// Which one of its kind.
    id: String,
    /// The project it belongs to, if any.
    project_id: Option<String>,
    /// Content of the record.
    content: Py<PyAny>,
    /// The version in the cloud that it is, or was made from; `None` if the cloud has none as far as is known here.
    version: Option<u64>,
    /// When it was changed, by the clock of its device.
    updated_at: SystemTime,
    /// The device it was changed on; `None` for this one, while the change is queued.
    device_id: Option<String>,
    /// True if this is a change that the cloud does not have yet.
    queued: bool,
    /// True if the content is encrypted with a key that is not here; then it is as it came.
    locked: bool,
}

impl Record {
    /// Converts the library's record.
    pub(crate) fn of(py: Python<'_>, entry: Entry) -> PyResult<Self> {
        Ok(Self {
            kind: entry.kind.as_str(),
            id: entry.id.to_string(),
            project_id: entry.project_id.map(|id| id.to_string()),
            content: json_loads(py, &entry.content)?,
            version: entry.version,
            updated_at: entry.updated_at.into(),
            device_id: entry.device_id.map(|id| id.to_string()),
            queued: entry.queued,
            locked: entry.locked,
        })
    }
}

#[pymethods]
impl Record {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (id, queued) = (PyString::new(py, &self.id).repr()?, python_word(self.queued));
        Ok(format!("Record(kind='{}', id={id}, queued={queued})", self.kind))
    }
}

/// Result of a sync.
#[pyclass(frozen, eq, get_all, module = "coditect_license")]
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Synced {
    /// Number of changes that the cloud has accepted.
    sent: u64,
    /// Number of records received, those that were sent from here among them.
    fetched: u64,
    /// Number of changes that were refused for a fault of their own.
    refused: u64,
    /// Number of changes that lost against a later one that was made elsewhere. They are in their records' history.
    conflicts_lost: u64,
    /// Number of changes that were not accepted for a reason that is not theirs, and still wait.
    hindered: u64,
}

impl From<coditect::Synced> for Synced {
    fn from(synced: coditect::Synced) -> Self {
        Self {
            sent: synced.pushed.sent(),
            fetched: synced.pulled.records,
            refused: synced.pushed.refused,
            conflicts_lost: synced.pushed.conflicts_lost,
            hindered: synced.pushed.hindered,
        }
    }
}

#[pymethods]
impl Synced {
    fn __repr__(&self) -> String {
        format!("Synced(sent={}, fetched={})", self.sent, self.fetched)
    }
}

/// State of the sync, as far as is known without asking the cloud.
#[pyclass(frozen, get_all, module = "coditect_license")]
#[derive(Clone, Debug)]
pub(crate) struct SyncStatus {
    /// True if it is turned on.
    enabled: bool,
    /// Number of changes that wait to be sent.
    waiting: u64,
    /// Number of changes that are not sent any more until they are retried.
    parked: u64,
    /// When everything that waited was last sent.
    last_push_at: Option<SystemTime>,
    /// When everything that was new was last fetched.
    last_pull_at: Option<SystemTime>,
    /// Why the last sync did not get through, as a sentence.
    trouble: Option<String>,
}

impl From<Progress> for SyncStatus {
    fn from(status: Progress) -> Self {
        Self {
            enabled: status.enabled,
            waiting: status.waiting,
            parked: status.parked,
            last_push_at: status.last_push_at.map(SystemTime::from),
            last_pull_at: status.last_pull_at.map(SystemTime::from),
            trouble: status.push_trouble.or(status.pull_trouble).map(|trouble| trouble.detail),
        }
    }
}

#[pymethods]
impl SyncStatus {
    fn __repr__(&self) -> String {
        let enabled = python_word(self.enabled);
        format!("SyncStatus(enabled={enabled}, waiting={}, parked={})", self.waiting, self.parked)
    }
}

/// Formats a boolean as Python does.
fn python_word(truth: bool) -> &'static str {
    if truth { "True" } else { "False" }
}

/// Converts JSON to a Python value.
fn json_loads(py: Python<'_>, value: &Value) -> PyResult<Py<PyAny>> {
    Ok(py.import("json")?.call_method1("loads", (value.to_string(),))?.unbind())
}
