//! `GET /api/v1/context/status`.

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::Kind;
use crate::id::DeviceId;

/// Status of a tenant's records in the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ContextStatus {
    /// One entry for each kind that there ever was a record of.
    #[serde(deserialize_with = "known_kinds")]
    pub kinds: Vec<KindStatus>,
    /// Devices that have pushed, the latest first; at most 200.
    pub devices: Vec<Device>,
    /// Number of records, deleted ones not counted, and the most that the plan allows.
    pub records: Usage,
    /// Bytes of the records' contents, and the most that the plan allows.
    pub bytes: Usage,
    /// Bytes of the history, with 256 for each version beside its content, and the most that the plan allows. The
    /// oldest versions make room for new ones. Older clouds don't send it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Usage>,
    /// The key that the tenant's contents are encrypted with; null when they are not.
    pub encryption: Option<Encryption>,
}

/// Numbers of the records of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KindStatus {
    /// The kind.
    pub kind: Kind,
    /// Number of records, deleted ones not counted.
    pub count: u64,
    /// Number of deleted records.
    pub deleted: u64,
    /// Bytes of the contents.
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

/// Use of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Usage {
    /// The amount in use.
    pub used: u64,
    /// The quota; -1: no limit.
    #[cfg_attr(feature = "openapi", schema(minimum = -1, example = 100_000))]
    pub limit: i64,
}

/// Encryption of a tenant's contents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Encryption {
    /// Id of the key; the cloud never has the key itself.
    pub key_id: String,
}

/// Reads the status of each kind, and leaves out the kinds that this version does not know.
fn known_kinds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<KindStatus>, D::Error> {
    let known = |status: &Value| status["kind"].as_str().is_some_and(|word| word.parse::<Kind>().is_ok());
    let all = Vec::<Value>::deserialize(deserializer)?;
    all.into_iter().filter(known).map(|status| serde_json::from_value(status).map_err(D::Error::custom)).collect()
}
