//! The requests and answers of every endpoint.
//!
//! Requests ignore fields they do not know, and hold no text without a bound. Times are RFC 3339 in UTC, in whole seconds.

mod auth;
mod billing;
mod context;
mod discovery;
mod plan;
mod seat;
mod telemetry;
mod time;
mod validate;

pub use crate::token::{Jwk, Jwks};
pub use auth::{
    AuthAnswer, AuthRequest, ClaimAnswer, PublicKeyAnswer, SigningAlgorithm, TokenType, UnverifiedKey,
    UnverifiedKeyError,
};
pub use billing::{CheckoutAnswer, CheckoutRequest, PortalAnswer, PortalRequest, SeatNumber, SeatNumberError};
pub use context::{
    AnyRecord, ContextStatus, Device, Encryption, HistoryEntry, HistoryPage, Kind, KindStatus, MAX_CONTENT_BYTES,
    MAX_PAGE_BYTES, MAX_PULL_RECORDS, MAX_PUSH_BYTES, MAX_PUSH_RECORDS, NoteView, Outcome, Page, PullAnswer,
    PushAnswer, PushRecord, PushRequest, PushResult, PushStatus, Record, Rejection, RejectionCode, TaskEvent,
    TaskEvents, TaskView, Usage,
};
pub use discovery::{Discovery, Oidc};
pub use plan::{Feature, Quotas, Tier, UNLIMITED, UnknownWord};
pub use seat::{
    AcquireAnswer, AcquireRequest, EndedReason, HeartbeatAnswer, HeartbeatRequest, HeartbeatStatus, ReleaseAnswer,
    ReleaseRequest, ReleaseStatus, SeatCounts,
};
pub use telemetry::{
    DurationBucket, ExitClass, MAX_TELEMETRY_EVENTS, TelemetryAnswer, TelemetryEvent, TelemetryEvents,
    TelemetryEventsError, TelemetryRequest,
};
pub use time::whole_seconds;
pub use validate::{
    Bool, DeactivateAnswer, DeactivateRequest, Deactivated, InvalidLicense, InvalidReason, OtherLicense, ValidLicense,
    ValidateAnswer, ValidateRequest,
};

pub(crate) use plan::known_features;

/// An enum whose values are words on the wire: `as_str`, `Display`, `FromStr` and `ALL` from one table.
///
/// `else` names the value that stands for a newer server's word. It is in no list and is read from nothing by itself: only a
/// field of an answer with `deserialize_with = "NAME::or_other"` is read so, and requests stay strict.
macro_rules! words {
    (
        $(#[$outer:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:tt,)* }
        $(else { $(#[$other_doc:meta])* $other:ident = $other_word:tt })?
    ) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)*
            $($(#[$other_doc])* #[serde(rename = $other_word, skip_deserializing)] $other,)?
        }

        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* $(Self::$other => $other_word,)? }
            }
        }

        $(impl $name {
            /// Reads a field of an answer, whose word may be newer than this program.
            ///
            /// # Errors
            /// When it is no text.
            pub fn or_other<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = <String as serde::Deserialize>::deserialize(deserializer)?;
                Ok(word.parse().unwrap_or(Self::$other))
            }
        })?

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::wire::UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                let known = Self::ALL.iter().copied().find(|value| value.as_str() == word);
                known.ok_or_else(|| crate::wire::UnknownWord::new(word, Self::ALL.iter().map(|value| value.as_str())))
            }
        }
    };
}
pub(crate) use words;
