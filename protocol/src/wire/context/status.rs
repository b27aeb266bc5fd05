//! `GET /api/v1/context/status`.

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::Kind;
use crate::id::DeviceId;

/// What the cloud holds of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ContextStatus {
    /// Per kind that there ever was a record of.
    #[serde(deserialize_with = "known_kinds")]
    pub kinds: Vec<KindStatus>,
    /// Who has pushed, the latest first; at most 200.
    pub devices: Vec<Device>,
    /// How many records there are, deleted ones not counted, and how many the plan allows.
    pub records: Usage,
    /// How many bytes their contents have, and how many the plan allows.
    pub bytes: Usage,
    /// Bytes of the history, with 256 for each version beside its content, and the most that the plan allows. The
    /// oldest versions make room for new ones. Older clouds don't send it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Usage>,
    /// Which key the tenant's contents are encrypted with; null when they are not.
    pub encryption: Option<Encryption>,
}

/// What there is of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KindStatus {
    /// The kind.
    pub kind: Kind,
    /// How many there are, deleted ones not counted.
    pub count: u64,
    /// How many were deleted.
    pub deleted: u64,
    /// How many bytes the contents have.
    pub bytes: u64,
    /// When one was last changed.
    pub last_change: Timestamp,
}

/// A device that has pushed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Device {
    /// Its id.
    pub device_id: DeviceId,
    /// When it last pushed, to the minute.
    pub last_seen_at: Timestamp,
}

/// How much of a quota is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Usage {
    /// So much.
    pub used: u64,
    /// Of so much; -1: no limit.
    #[cfg_attr(feature = "openapi", schema(minimum = -1, example = 100_000))]
    pub limit: i64,
}

/// How a tenant's contents are encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Encryption {
    /// Names the key; the cloud never has it.
    pub key_id: String,
}

/// Reads what there is of each kind, and leaves out the kinds that this version does not know.
fn known_kinds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<KindStatus>, D::Error> {
    let known = |status: &Value| status["kind"].as_str().is_some_and(|word| word.parse::<Kind>().is_ok());
    let all = Vec::<Value>::deserialize(deserializer)?;
    all.into_iter().filter(known).map(|status| serde_json::from_value(status).map_err(D::Error::custom)).collect()
}
