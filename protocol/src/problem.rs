//! Error answers: problem documents (RFC 9457). Programs switch on the [`Code`]; people read the sentences.

mod code;

pub use code::{Code, UnknownCode};

use serde::{Deserialize, Serialize};

use crate::wire::{OtherLicense, SeatCounts};

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Base address of the codes' pages: [`ProblemDocument::type`](ProblemDocument#structfield.type) is this and the code.
pub const TYPE_BASE: &str = "https://coditect.ai/problems/";

/// A problem as it is sent. Readers ignore fields that they do not know, and fields that do not apply are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProblemDocument {
    /// A page about this code.
    #[serde(default)]
    #[cfg_attr(
        feature = "openapi",
        schema(required = true, example = "https://coditect.ai/problems/no_seats_available")
    )]
    pub r#type: String,
    /// Summary of the problem, in a sentence that is the same for every problem of this code.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = true, example = "All seats of this license are taken."))]
    pub title: String,
    /// The HTTP status.
    #[cfg_attr(feature = "openapi", schema(minimum = 400, maximum = 599, example = 409))]
    pub status: u16,
    /// Explanation of this occurrence, and what to do about it.
    #[serde(default)]
    #[cfg_attr(
        feature = "openapi",
        schema(
            required = true,
            example = "All 5 seats are in use. Try again in 120 seconds, or ask your admin for more seats."
        )
    )]
    pub detail: String,
    /// The stable word for programs; [`ProblemDocument::known_code`] is the typed one. Text, so that a program can read the
    /// problems of a newer server.
    #[cfg_attr(feature = "openapi", schema(value_type = Code, example = "no_seats_available"))]
    pub code: String,
    /// Id of the request, to report to support: it is in the server's log.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required = true, example = "01890a5d-ac96-774b-bcce-b302099a8057"))]
    pub request_id: String,
    /// Seconds to wait before asking again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, example = 120))]
    pub retry_after_seconds: Option<u64>,
    /// With `no_seats_available`: the license's seats, and those in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub seats: Option<SeatCounts>,
    /// With `license_inactive` and `session_ended`: the state that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, example = "suspended"))]
    pub reason: Option<String>,
    /// With `validation_failed`: each field that is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// With `plan_lacks_feature`: the missing feature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, example = "cloud_sync"))]
    pub feature: Option<String>,
    /// With `plan_lacks_feature`: the smallest plan that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, example = "PRO"))]
    pub plan: Option<String>,
    /// With `license_inactive` and `invalid_license_key`: another license of the organization that can be used instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub other_license: Option<OtherLicense>,
}

impl ProblemDocument {
    /// Makes the problem of a code: its title, its status, and its advice as the detail until a better one is set.
    pub fn new(code: Code) -> Self {
        Self {
            r#type: format!("{TYPE_BASE}{code}"),
            title: code.title().to_owned(),
            status: code.status(),
            detail: code.advice().to_owned(),
            code: code.as_str().to_owned(),
            request_id: String::new(),
            retry_after_seconds: None,
            seats: None,
            reason: None,
            errors: Vec::new(),
            feature: None,
            plan: None,
            other_license: None,
        }
    }

    /// Returns the code, unless it is newer than this program.
    pub fn known_code(&self) -> Option<Code> {
        self.code.parse().ok()
    }
}

/// A field of the request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldError {
    /// Place of the field, as a JSON pointer (RFC 6901) into the body.
    #[cfg_attr(feature = "openapi", schema(example = "/hardware_id"))]
    pub pointer: String,
    /// The rule for the field's value.
    #[cfg_attr(feature = "openapi", schema(example = "A machine's id is 64 hex characters."))]
    pub detail: String,
}
