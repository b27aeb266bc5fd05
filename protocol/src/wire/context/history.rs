//! `GET /api/v1/context/history`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::content::ContentHash;
use crate::id::{DeviceId, ProjectId, UserId};
use crate::wire::words;

/// A page of a record's history, newest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoryPage {
    /// The entries.
    pub data: Vec<HistoryEntry>,
    /// Cursor of the next page; null at the end.
    pub next_cursor: Option<String>,
    /// True if there are more entries.
    pub has_more: bool,
}

/// A record at one time.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoryEntry {
    /// The outcome of the change.
    #[serde(deserialize_with = "Outcome::or_other")]
    pub outcome: Outcome,
    /// Its version; null for a change that lost a conflict and never was one.
    pub version: Option<u64>,
    /// The project it belonged to, or null.
    pub project_id: Option<ProjectId>,
    /// Its content, as canonical JSON; null where it was deleted.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub content: Box<RawValue>,
    /// The hash of the content.
    pub content_hash: ContentHash,
    /// True if it was deleted.
    pub deleted: bool,
    /// When it was changed, by the clock of its device.
    pub updated_at: Timestamp,
    /// The device it was changed on.
    pub device_id: DeviceId,
    /// The user who changed it, where a person had signed in; else null.
    pub user_id: Option<UserId>,
    /// When the change reached the cloud.
    pub written_at: Timestamp,
    /// When another version took its place; null for the current version, and for a change that lost a conflict.
    pub replaced_at: Option<Timestamp>,
}

words! {
    /// Outcome of a change.
    Outcome {
        /// It is what the record is now.
        Current = "current",
        /// A later change took its place.
        Replaced = "replaced",
        /// It lost a conflict, and never was the record's.
        Lost = "lost",
    } else {
        /// A newer server's word.
        Other = "other"
    }
}
