//! `POST /api/v1/licenses/{acquire,heartbeat,release}`: acquiring, keeping and releasing a seat.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::time::in_whole_seconds;
use super::{Feature, Quotas, Tier, known_features, words};
use crate::id::{ClientVersion, HardwareId, Hostname, InstanceId, LicenseId, SessionId};

/// Numbers of a license's seats and of those in use. More may be in use than there are, after a plan has shrunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SeatCounts {
    /// All seats of the license.
    #[cfg_attr(feature = "openapi", schema(example = 5))]
    pub limit: u32,
    /// Seats in use.
    #[cfg_attr(feature = "openapi", schema(example = 3))]
    pub in_use: u32,
}

/// Asks for a seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AcquireRequest {
    /// The machine that will hold it.
    pub hardware_id: HardwareId,
    /// The license; needed only by callers who may use several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license_id: Option<LicenseId>,
    /// The host name that the machine reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Hostname>,
    /// The version of the program that asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<ClientVersion>,
    /// The instance that asks, of those that share the machine's session: each releases it for itself, and it ends with the
    /// last. All that send none count as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
}

/// A seat: `201` when it is new, `200` when the holder had it already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AcquireAnswer {
    /// The session's id, which heartbeats and the release send.
    pub session_id: SessionId,
    /// The signed proof of the seat, which is checked offline.
    #[cfg_attr(feature = "openapi", schema(example = "eyJhbGciOiJSUzI1NiIsImtpZCI6…"))]
    pub license_token: String,
    /// When the license token expires.
    #[serde(serialize_with = "in_whole_seconds")]
    #[cfg_attr(feature = "openapi", schema(example = "2026-11-22T09:30:00Z"))]
    pub expires_at: Timestamp,
    /// When the seat is free again, unless a heartbeat comes before.
    #[serde(serialize_with = "in_whole_seconds")]
    #[cfg_attr(feature = "openapi", schema(example = "2026-11-21T09:36:00Z"))]
    pub seat_expires_at: Timestamp,
    /// Seconds between heartbeats.
    #[cfg_attr(feature = "openapi", schema(example = 300))]
    pub heartbeat_interval_seconds: u32,
    /// The license's seats, this one counted.
    pub seats: SeatCounts,
    /// The license's tier.
    #[serde(deserialize_with = "Tier::or_other")]
    pub tier: Tier,
    /// Features of the plan.
    #[serde(deserialize_with = "known_features")]
    pub features: Vec<Feature>,
    /// Limits of the plan.
    pub quotas: Quotas,
}

/// Keeps a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HeartbeatRequest {
    /// The session that holds the seat.
    pub session_id: SessionId,
    /// The instance that acquired the seat, when it was named.
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
    /// When to send the next heartbeat.
    #[serde(serialize_with = "in_whole_seconds")]
    #[cfg_attr(feature = "openapi", schema(example = "2026-11-21T09:35:00Z"))]
    pub next_heartbeat_at: Timestamp,
    /// When the seat is free again without another heartbeat.
    #[serde(serialize_with = "in_whole_seconds")]
    #[cfg_attr(feature = "openapi", schema(example = "2026-11-21T09:36:00Z"))]
    pub seat_expires_at: Timestamp,
}

words! {
    /// Result of a heartbeat.
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
    /// The session that holds the seat.
    pub session_id: SessionId,
    /// The instance that acquired the seat, when it was named.
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
    /// Result of a release.
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
