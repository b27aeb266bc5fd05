//! `POST /api/v1/context/push`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Kind;
use crate::content::ContentHash;
use crate::id::{DeviceId, ProjectId, RecordId};
use crate::wire::words;

/// Pushes changed records.
// They are read one by one, so `R` is their text where a wrong one must not harm the others.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PushRequest<R = PushRecord> {
    /// The device that the records were changed on.
    pub device_id: DeviceId,
    /// The records, at most 500.
    #[cfg_attr(feature = "openapi", schema(max_items = 500, value_type = Vec<PushRecord>))]
    pub records: Vec<R>,
}

/// A record as its client has it now.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PushRecord {
    /// The record's kind.
    pub kind: Kind,
    /// The record's id, unique within its kind.
    pub id: RecordId,
    /// The project it belongs to, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// Its content: an object of at most 256 KiB. Not needed for a deleted record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Object, example = json!({"title": "Use Postgres", "why": "One store."})))]
    pub content: Option<Box<RawValue>>,
    /// When it was changed, by the clock of its device; the later of two conflicting changes wins.
    pub updated_at: Timestamp,
    /// The version that was changed; none for a new record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(maximum = 9_007_199_254_740_991_u64, example = 3))]
    pub base_version: Option<u64>,
    /// True if it was deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

/// Results of a push, in the order in which the records were sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PushAnswer {
    /// One for each record.
    pub results: Vec<PushResult>,
    /// The end of the tenant's stream after this push. A client that had pulled everything before its push need not pull what
    /// it pushed, unless another client pushed in between.
    pub cursor: String,
}

/// Result of a pushed record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PushResult {
    /// Its id; null where none could be read.
    pub id: Option<String>,
    /// Its status.
    #[serde(deserialize_with = "PushStatus::or_other")]
    pub status: PushStatus,
    /// The record's version in the cloud after this; null when it was rejected.
    #[cfg_attr(feature = "openapi", schema(example = 4))]
    pub version: Option<u64>,
    /// The hash of the content that the cloud has after this; after a conflict it shows which change won. Null when the record
    /// was rejected.
    pub content_hash: Option<ContentHash>,
    /// Why it was rejected, else null.
    pub error: Option<Rejection>,
}

words! {
    /// Status of a pushed record.
    PushStatus {
        /// It is new in the cloud.
        Created = "created",
        /// It took the place of the version it was made from.
        Updated = "updated",
        /// The cloud had it already.
        Duplicate = "duplicate",
        /// The cloud had another version than the one it was made from. The later change is the record's, the other one is in its
        /// history.
        Conflict = "conflict",
        /// It was not kept; the error says why.
        Rejected = "rejected",
    } else {
        /// A newer server's word. A version and a hash say whether the record was kept.
        Other = "other"
    }
}

/// Why a record was not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rejection {
    /// For programs; text, so that older programs can read the codes of newer servers.
    #[cfg_attr(feature = "openapi", schema(value_type = RejectionCode))]
    pub code: String,
    /// A sentence that says what is wrong and what to do.
    pub detail: String,
}

impl Rejection {
    /// A rejection.
    pub fn new(code: RejectionCode, detail: impl Into<String>) -> Self {
        Self { code: code.as_str().to_owned(), detail: detail.into() }
    }

    /// Returns true if the same record will be rejected however often it is sent, which a newer server's code is taken for.
    pub fn is_the_records_own_fault(&self) -> bool {
        self.code.parse().map_or(true, RejectionCode::is_the_records_own_fault)
    }
}

words! {
    /// Why a record was not kept, for programs.
    RejectionCode {
        /// A field is missing, of a wrong type or out of range.
        InvalidRecord = "invalid_record",
        /// The content has no canonical form: a number too large, a text with NUL or half a surrogate pair, too deep.
        InvalidContent = "invalid_content",
        /// The content is too large.
        ContentTooLarge = "content_too_large",
        /// An earlier record of the same push has this kind and id.
        RepeatedId = "repeated_id",
        /// Only the cloud writes records of this kind.
        ReadOnlyKind = "read_only_kind",
        /// The plan's quota is used up.
        QuotaExceeded = "quota_exceeded",
        /// The tenant encrypts its contents, and this one is not encrypted with its key.
        EncryptionRequired = "encryption_required",
    }
}

impl RejectionCode {
    /// Returns true if the reason is in the record itself, and not in the plan or the tenant's encryption.
    pub const fn is_the_records_own_fault(self) -> bool {
        !matches!(self, Self::QuotaExceeded | Self::EncryptionRequired)
    }
}
