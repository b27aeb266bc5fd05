//! `GET /api/v1/context/pull`.

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::Kind;
use crate::content::ContentHash;
use crate::id::{DeviceId, ProjectId, RecordId, UserId};

/// A page of the tenant's stream.
// Clients read records one by one, so `R` is something else where a newer kind must not harm the others.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PullAnswer<R = Record> {
    /// The records that changed since the cursor, each once, in the order of their last changes.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Record>))]
    pub records: Vec<R>,
    /// Cursor of the next page.
    pub next_cursor: String,
    /// True if there are more records at this moment.
    pub has_more: bool,
}

/// A record, unless it is of a kind that this version does not know.
#[derive(Clone, Debug)]
pub enum AnyRecord {
    /// A record.
    Known(Box<Record>),
    /// A record of this kind.
    Unknown(String),
}

impl<'de> Deserialize<'de> for AnyRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Kinded {
            kind: String,
        }

        let text = <&RawValue>::deserialize(deserializer)?.get();
        match serde_json::from_str(text) {
            Ok(record) => Ok(Self::Known(Box::new(record))),
            Err(error) => match serde_json::from_str::<Kinded>(text) {
                Ok(Kinded { kind }) if kind.parse::<Kind>().is_err() => Ok(Self::Unknown(kind)),
                _ => Err(D::Error::custom(error)),
            },
        }
    }
}

/// A record as the cloud has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Record {
    /// The record's kind.
    pub kind: Kind,
    /// The record's id, unique within its kind.
    pub id: RecordId,
    /// The project it belongs to, or null.
    pub project_id: Option<ProjectId>,
    /// Its content, as canonical JSON; null once it is deleted.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub content: Box<RawValue>,
    /// The hash of the content.
    pub content_hash: ContentHash,
    /// Counts the record's changes from 1.
    #[cfg_attr(feature = "openapi", schema(example = 4))]
    pub version: u64,
    /// When it was changed, by the clock of its device.
    pub updated_at: Timestamp,
    /// True if it was deleted.
    pub deleted: bool,
    /// The device it was changed on.
    pub device_id: DeviceId,
    /// The user who changed it, where a person had signed in; else null.
    pub user_id: Option<UserId>,
    /// When the change reached the cloud.
    pub written_at: Timestamp,
}
