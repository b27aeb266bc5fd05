//! The codes: one table of word, status, sentence and advice.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $word:tt, $status:literal, $title:literal, $advice:literal;)*) => {
        /// Code of a problem, for programs. Its word and status never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $word)] $name,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns the stable word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }

            /// Returns the HTTP status.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status),* }
            }

            /// Returns the sentence that says what happened.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }

            /// Returns the advice for the person, or the program.
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice),* }
            }
        }
    };
}

codes! {
    /// The body is not JSON.
    MalformedBody = "malformed_body", 400, "The body is not valid JSON.",
        "Send one JSON document in UTF-8. The detail says where reading stopped.";
    /// The cursor is not one of ours, or no longer valid.
    InvalidCursor = "invalid_cursor", 400, "The cursor cannot be read.",
        "Send a cursor exactly as you received it, or start again without one.";
    /// A webhook's signature does not match.
    InvalidSignature = "invalid_signature", 400, "The signature does not match the body.",
        "Sign the body exactly as it is sent, with the current secret and the current time.";
    /// No token, or one that is not valid.
    InvalidToken = "invalid_token", 401, "The token is missing or not valid.",
        "Sign in again, or exchange the license key for a new token, and send it as `Authorization: Bearer`.";
    /// The license key can't be used; the answer does not say why.
    InvalidLicenseKey = "invalid_license_key", 401, "This license key cannot be used.",
        "Compare the key with the original. If it is right, ask your admin whether the license is still active.";
    /// The token is good, but does not have this right.
    Forbidden = "forbidden", 403, "You may not do this.",
        "Ask an admin of your organization for the right, or use a credential that has it.";
    /// The license is suspended, revoked or expired.
    LicenseInactive = "license_inactive", 403, "The license is not active.",
        "The reason says why. Your admin can renew or reactivate it; asking again changes nothing until then.";
    /// The plan does not include this.
    PlanLacksFeature = "plan_lacks_feature", 403, "Your plan does not include this.",
        "Change to the plan that is named, or do without the feature.";
    /// There is no such thing, or it belongs to another tenant.
    NotFound = "not_found", 404, "There is nothing here.",
        "Check the address and the id.";
    /// The path exists, the method does not.
    MethodNotAllowed = "method_not_allowed", 405, "This address does not take that method.",
        "Use a method that the Allow header names.";
    /// The request took too long to arrive or to be answered.
    RequestTimeout = "request_timeout", 408, "The request took too long.",
        "Try again. It is safe to repeat with the same Idempotency-Key.";
    /// Every seat is taken.
    NoSeatsAvailable = "no_seats_available", 409, "All seats of this license are taken.",
        "Try again after the time given, ask a colleague to stop, or ask your admin for more seats.";
    /// The seat was lost or given back.
    SessionEnded = "session_ended", 410, "This session has ended.",
        "Acquire a seat again. The reason says why this one ended.";
    /// The body is over the limit.
    BodyTooLarge = "body_too_large", 413, "The body is too large.",
        "Send less at once. The detail names the limit.";
    /// The body is not declared as JSON.
    UnsupportedMediaType = "unsupported_media_type", 415, "The body's content type is not supported.",
        "Send JSON with `Content-Type: application/json`.";
    /// The body is JSON, but fields are missing, of the wrong type or out of range.
    ValidationFailed = "validation_failed", 422, "Some fields are missing or not valid.",
        "Correct the fields that `errors` points to.";
    /// An `Idempotency-Key` that came before with another body.
    IdempotencyKeyReused = "idempotency_key_reused", 422, "This Idempotency-Key was used for another request.",
        "Use a new key for a new request, and the old key only to repeat the old one unchanged.";
    /// Too many attempts.
    RateLimited = "rate_limited", 429, "Too many attempts.",
        "Wait for the time given by Retry-After, then try again.";
    /// An internal error.
    Internal = "internal", 500, "Something went wrong on our side.",
        "Try again later. If it stays, tell support the request id.";
    /// Stripe understood the request and refused it.
    PaymentServiceRefused = "payment_service_refused", 502, "The payment service refused the request.",
        "Nothing was bought or charged. The detail says what to change, or whom to tell; asking again changes nothing until then.";
    /// A dependency does not answer.
    Unavailable = "unavailable", 503, "The service cannot answer at the moment.",
        "Try again after the time given by Retry-After. Nothing was lost.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word is no code of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownCode;

impl fmt::Display for UnknownCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("This program does not know that problem code. A newer version may.")
    }
}

impl std::error::Error for UnknownCode {}

impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(word: &str) -> Result<Self, UnknownCode> {
        Self::ALL.iter().copied().find(|code| code.as_str() == word).ok_or(UnknownCode)
    }
}
