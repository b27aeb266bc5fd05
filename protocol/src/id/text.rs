//! Short texts from outside, with the bound of each in one place.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Error of a short text, as the sentence that its sender reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextError(&'static str);

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for TextError {}

/// Defines types of texts, each with a rule and the sentence that states the rule.
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident, $max:literal, $schema:meta, $rule:expr, $error:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[cfg_attr(feature = "openapi", $schema)]
        pub struct $name(String);

        impl $name {
            /// Maximum length in characters.
            pub const MAX_CHARS: usize = $max;

            /// Parses a text; the error states the rule.
            pub fn parse(text: impl Into<String>) -> Result<Self, TextError> {
                let text = text.into();
                let rule: fn(&str) -> bool = $rule;
                // Characters are counted only when the bytes leave it open, so that a huge text costs nothing.
                let fits = text.len() <= 4 * Self::MAX_CHARS && text.chars().count() <= Self::MAX_CHARS;
                if fits && rule(&text) { Ok(Self(text)) } else { Err(TextError($error)) }
            }

            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = TextError;

            fn from_str(text: &str) -> Result<Self, TextError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;

            fn try_from(text: String) -> Result<Self, TextError> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }
    )*};
}

texts! {
    /// The host name that a machine reports: shown to people who ask which machine holds a seat, and never relied on.
    Hostname, 253,
    schema(value_type = String, max_length = 253, example = "ada-laptop"),
    |text| !text.chars().any(char::is_control),
    "A host name has at most 253 characters and no control characters. Shorten it, or leave it out.";

    /// The version of the program that asks, e.g. `coditect/1.4.0`.
    ClientVersion, 64,
    schema(value_type = String, max_length = 64, pattern = "^[ -~]{0,64}$", example = "1.4.0"),
    |text| text.bytes().all(|b| matches!(b, b' '..=b'~')),
    "A version has at most 64 printable ASCII characters, such as 1.4.0.";

    /// The name of a command of the command line, with those above it.
    CommandName, 40,
    schema(value_type = String, min_length = 1, max_length = 40, pattern = "^[a-z -]{1,40}$", example = "task add"),
    |text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b' ' | b'-')),
    "A command has 1 to 40 lower-case letters, spaces and hyphens, such as task add.";

    /// The name of an operating system or a kind of processor.
    SystemName, 32,
    schema(value_type = String, min_length = 1, max_length = 32, pattern = "^[a-z0-9_]{1,32}$", example = "linux"),
    |text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
    "A system has 1 to 32 lower-case letters, digits and underscores, such as linux or x86_64.";

    /// The name that a client gives to one attempt, so that a repeated request has the same answer.
    IdempotencyKey, 255,
    schema(value_type = String, min_length = 1, max_length = 255, pattern = "^[!-~]{1,255}$", example = "9b2f6c1e-seat-1"),
    |text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()),
    "An Idempotency-Key has 1 to 255 visible ASCII characters. A random UUID is a good one.";

    /// The code of a plan in the catalog.
    PlanCode, 32,
    schema(value_type = String, min_length = 2, max_length = 32, pattern = "^[A-Z][A-Z0-9_]{1,31}$", example = "TEAM"),
    |text| {
        text.len() >= 2
            && text.starts_with(|first: char| first.is_ascii_uppercase())
            && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    },
    "A plan has 2 to 32 capital letters, digits and underscores, such as TEAM.";

    /// The client's id of a record; unique among the records of its kind in a tenant.
    RecordId, 128,
    schema(value_type = String, min_length = 1, max_length = 128, example = "01890a5d-ac96-774b-bcce-b302099a8057"),
    |text| !text.is_empty() && !text.chars().any(char::is_control),
    "A record's id has 1 to 128 characters and no control characters. A UUID is a good one.";

    /// The client's id of a project.
    ProjectId, 128,
    schema(value_type = String, min_length = 1, max_length = 128, example = "billing-rewrite"),
    |text| !text.is_empty() && !text.chars().any(char::is_control),
    "A project's id has 1 to 128 characters and no control characters. Leave it out for what belongs to no project.";

    /// The client's id of the device that it runs on.
    DeviceId, 128,
    schema(value_type = String, min_length = 1, max_length = 128, pattern = "^[!-~]{1,128}$", example = "ada-laptop"),
    |text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()),
    "A device's id has 1 to 128 visible ASCII characters, such as its hardware id.";

    /// The status of a task; the usual words are `pending`, `in_progress`, `completed`.
    TaskStatus, 32,
    schema(value_type = String, min_length = 1, max_length = 32, pattern = "^[a-z][a-z0-9_]{0,31}$", example = "in_progress"),
    |text| {
        text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    },
    "A task's status has 1 to 32 small letters, digits and underscores, such as in_progress.";

    /// The address that a browser is sent back to: `https`, or this very machine.
    ReturnUrl, 2048,
    schema(
        value_type = String, max_length = 2048, example = "https://app.example.com/billing",
        pattern = "^(https://|http://(localhost|127\\.0\\.0\\.1|\\[::1\\])([:/?#]|$))[!-~]*$"
    ),
    |text| text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') && leads_back_safely(text),
    "An address to come back to begins with https:// (or http:// on a loopback address) and a host without user name, and \
     has at most 2048 visible ASCII characters. Percent-encode others.";
}

/// Returns true if no party on the way can read or change data that is sent there.
fn leads_back_safely(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // In brackets, an IPv6 address has colons of its own.
    let host_len = match authority.find(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(host_len);
    let plain = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')),
    };
    let port = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    let loopback = host.eq_ignore_ascii_case("localhost") || matches!(host, "127.0.0.1" | "[::1]");
    plain && port && (scheme.eq_ignore_ascii_case("https") || (scheme.eq_ignore_ascii_case("http") && loopback))
}
