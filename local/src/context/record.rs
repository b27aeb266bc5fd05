//! Records as they are written and read here.

use jiff::Timestamp;
use protocol::content::{ContentError, ContentHash, canonical_json};
use protocol::id::{DeviceId, ProjectId, RecordId};
use protocol::wire::{Kind, MAX_CONTENT_BYTES};
use serde::Serialize;
use serde_json::Value;

use crate::ContextError;
use crate::project::is_found_under;

/// Content of a deleted record.
pub(super) const NOTHING: &str = "null";

/// A record as the caller wants it to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// Kind of the record.
    pub kind: Kind,
    /// Id of the record, unique within its kind.
    pub id: RecordId,
    /// The project it belongs to, if any.
    pub project_id: Option<ProjectId>,
    /// Content of the record: a JSON object.
    pub content: Value,
}

/// Result of writing a [`Draft`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The change waits to be sent, under this number.
    Queued(i64),
    /// The record is as before, so there is nothing to send.
    Unchanged,
}

/// A record as a user sees it: with the changes made here that are not sent yet.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// Kind of the record.
    pub kind: Kind,
    /// Id of the record, unique within its kind.
    pub id: RecordId,
    /// The project it belongs to, if any.
    pub project_id: Option<ProjectId>,
    /// Content of the record; null once it is deleted.
    pub content: Value,
    /// The version in the cloud that it is, or was made from; none if the cloud has none as far as is known here.
    pub version: Option<u64>,
    /// Time of the change, by the clock of its device.
    pub updated_at: Timestamp,
    /// True if the record was deleted.
    pub deleted: bool,
    /// The device it was changed on; none for this one, while the change is queued.
    pub device_id: Option<DeviceId>,
    /// True if this is a change that the cloud does not have yet.
    pub queued: bool,
    /// True if the content is encrypted with a key that is not here; then it is as it came.
    pub locked: bool,
}

/// Selection of the records to list.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Only records of a project: the one with this id, or all that have it as their name.
    pub project_id: Option<ProjectId>,
    /// Only records whose content has this `status`.
    pub status: Option<String>,
    /// Maximum number of records, the latest first.
    pub limit: usize,
}

impl Default for Filter {
    fn default() -> Self {
        Self { project_id: None, status: None, limit: 100 }
    }
}

impl Filter {
    pub(super) fn admits(&self, entry: &Entry) -> bool {
        let project = || entry.project_id.as_ref();
        let status = || entry.content.get("status").and_then(Value::as_str);
        self.project_id.as_ref().is_none_or(|wanted| project().is_some_and(|id| is_found_under(id, wanted)))
            && self.status.as_deref().is_none_or(|wanted| status() == Some(wanted))
    }
}

/// A change that waits to be sent.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Queued {
    /// Its number: changes are sent in this order.
    pub n: i64,
    /// Kind of the record that was changed.
    pub kind: Kind,
    /// Id of the record, unique within its kind.
    pub id: RecordId,
    /// True if it is a deletion.
    pub deleted: bool,
    /// Time at which it was queued.
    pub queued_at: Timestamp,
    /// Number of times that the cloud has refused it for a fault of its own.
    pub attempts: u32,
    /// The cloud's last message about it.
    pub error: Option<String>,
    /// True if it is not sent any more until the user retries it.
    pub parked: bool,
}

/// A content in the form in which it is kept.
#[derive(Clone, Debug)]
pub(super) struct Canonical {
    pub(super) text: String,
    pub(super) hash: ContentHash,
}

impl Canonical {
    /// Returns the canonical form of a content that the cloud would take.
    pub(super) fn of(content: &Value) -> Result<Self, ContextError> {
        let fields = content.as_object().ok_or(ContextError::NoObject)?;
        // A plain content of this form would be mistaken for an encrypted one.
        if fields.len() == 1 && fields.contains_key("encrypted") {
            return Err(ContextError::Content(ContentError::Envelope));
        }
        let json = canonical_json(content).map_err(ContextError::Content)?;
        if json.len() > MAX_CONTENT_BYTES {
            return Err(ContextError::TooLarge { bytes: json.len() });
        }
        let hash = ContentHash::of_canonical(&json);
        let text = String::from_utf8(json).expect("JSON is UTF-8");
        Ok(Self { text, hash })
    }

    /// Returns the canonical form of a deleted record's content.
    pub(super) fn nothing() -> Self {
        Self { text: NOTHING.to_owned(), hash: ContentHash::of_canonical(NOTHING.as_bytes()) }
    }
}
