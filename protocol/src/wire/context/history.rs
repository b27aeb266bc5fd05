//! `GET /api/v1/context/history`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::content::ContentHash;
use crate::id::{DeviceId, ProjectId, UserId};
use crate::wire::words;

/// What a record was, and when; newest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoryPage {
    /// The entries.
    pub data: Vec<HistoryEntry>,
    /// Where to go on; null at the end.
    pub next_cursor: Option<String>,
    /// Whether there is more.
    pub has_more: bool,
}

/// A record at one time.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoryEntry {
    /// What became of it.
    #[serde(deserialize_with = "Outcome::or_other")]
    pub outcome: Outcome,
    /// Its version; null for what lost a conflict and never was one.
    pub version: Option<u64>,
    /// The project it belonged to, or null.
    pub project_id: Option<ProjectId>,
    /// What it said, as canonical JSON; null where it was deleted.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub content: Box<RawValue>,
    /// The hash of the content.
    pub content_hash: ContentHash,
    /// Whether it was deleted.
    pub deleted: bool,
    /// When it was changed, by the clock of its device.
    pub updated_at: Timestamp,
    /// The device it was changed on.
    pub device_id: DeviceId,
    /// Who changed it, where a person had signed in; else null.
    pub user_id: Option<UserId>,
    /// When the change reached the cloud.
    pub written_at: Timestamp,
    /// When another took its place; null for what holds, and for what never did.
    pub replaced_at: Option<Timestamp>,
}

words! {
    /// What became of a change.
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
