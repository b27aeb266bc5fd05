//! `POST /api/v1/licenses/{acquire,heartbeat,release}`: a seat's life.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::time::in_whole_seconds;
use super::{Feature, Quotas, Tier, known_features, words};
use crate::id::{ClientVersion, HardwareId, Hostname, InstanceId, LicenseId, SessionId};

/// How many seats a license has, and how many are taken. Taken may be more, after a plan has shrunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SeatCounts {
    /// All of them.
    #[cfg_attr(feature = "openapi", schema(example = 5))]
    pub limit: u32,
    /// Those taken.
    #[cfg_attr(feature = "openapi", schema(example = 3))]
    pub in_use: u32,
}

/// Asks for a seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AcquireRequest {
    /// The machine that will hold it.
    pub hardware_id: HardwareId,
    /// Of which license; needed only by those who may use several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license_id: Option<LicenseId>,
    /// What the machine calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Hostname>,
    /// The version of the program that asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<ClientVersion>,
    /// Which of those that share the machine's session asks: each gives it back for itself, and it ends with the last.
    /// All that send none count as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
}

/// A seat: `201` when it is new, `200` when the holder had it already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AcquireAnswer {
    /// What heartbeats and the release name.
    pub session_id: SessionId,
    /// The proof that is checked offline.
    #[cfg_attr(feature = "openapi", schema(example = "eyJhbGciOiJSUzI1NiIsImtpZCI6…"))]
    pub license_token: String,
    /// When that proof ends.
    #[serde(serialize_with = "in_whole_seconds")]
    #[cfg_attr(feature = "openapi", schema(example = "2026-11-22T09:30:00Z"))]
    pub expires_at: Timestamp,
    /// When the seat is free again, unless a heartbeat comes before.
    #[serde(serialize_with = "in_whole_seconds")]
    #[cfg_attr(feature = "openapi", schema(example = "2026-11-21T09:36:00Z"))]
    pub seat_expires_at: Timestamp,
    /// How often to send one.
    #[cfg_attr(feature = "openapi", schema(example = 300))]
    pub heartbeat_interval_seconds: u32,
    /// The license's seats, this one counted.
    pub seats: SeatCounts,
    /// The license's tier.
    #[serde(deserialize_with = "Tier::or_other")]
    pub tier: Tier,
    /// What the plan includes.
    #[serde(deserialize_with = "known_features")]
    pub features: Vec<Feature>,
    /// Its limits.
    pub quotas: Quotas,
}

/// Keeps a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HeartbeatRequest {
    /// The session that holds it.
    pub session_id: SessionId,
    /// The instance that acquired it, when it was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
}

/// The seat is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HeartbeatAnswer {
    /// Always `ok`.
    #[serde(deserialize_with = "HeartbeatStatus::or_other")]
    pub status: HeartbeatStatus,
    /// When to send the next one.
    #[serde(serialize_with = "in_whole_seconds")]
    #[cfg_attr(feature = "openapi", schema(example = "2026-11-21T09:35:00Z"))]
    pub next_heartbeat_at: Timestamp,
    /// When the seat is free again otherwise.
    #[serde(serialize_with = "in_whole_seconds")]
    #[cfg_attr(feature = "openapi", schema(example = "2026-11-21T09:36:00Z"))]
    pub seat_expires_at: Timestamp,
}

words! {
    /// How a heartbeat went.
    HeartbeatStatus {
        /// The seat is kept.
        Ok = "ok",
    } else {
        /// A newer server's word; the seat is kept as well.
        Other = "other"
    }
}

/// Gives a seat back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseRequest {
    /// The session that holds it.
    pub session_id: SessionId,
    /// The instance that acquired it, when it was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
}

/// This instance has given the seat back; it is free, now or since before, unless other instances share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseAnswer {
    /// Always `released`.
    #[serde(deserialize_with = "ReleaseStatus::or_other")]
    pub status: ReleaseStatus,
}

words! {
    /// How a release went.
    ReleaseStatus {
        /// It is given back.
        Released = "released",
    } else {
        /// A newer server's word; the seat is free as well.
        Other = "other"
    }
}

words! {
    /// Why a session has ended; with `session_ended`.
    EndedReason {
        /// No heartbeat came in time, or the license has reached its end.
        Expired = "expired",
        /// It was given back, or an operator freed it.
        Released = "released",
        /// The license was revoked.
        Revoked = "revoked",
        /// The license was suspended.
        Suspended = "suspended",
    }
}
