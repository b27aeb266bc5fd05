//! `POST /api/v1/licenses/validate`: may this machine run?

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::time::{in_whole_seconds, in_whole_seconds_if_any};
use super::{Feature, Quotas, Tier, UnverifiedKey, known_features, words};
use crate::id::{ClientVersion, HardwareId, LicenseId};

/// Asks whether a key is good on a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ValidateRequest {
    /// The key.
    pub license_key: UnverifiedKey,
    /// The machine that asks.
    pub machine_id: HardwareId,
    /// The version of the program that asks.
    pub version: ClientVersion,
}

/// Result of a validation: valid, or not valid and why; both are answers, not errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ValidateAnswer {
    /// `"valid": true`
    Valid(ValidLicense),
    /// `"valid": false`
    Invalid(InvalidLicense),
}

impl ValidateAnswer {
    /// Makes the answer that a key is not valid, with the reason's own sentence.
    pub fn invalid(reason: InvalidReason) -> Self {
        Self::Invalid(InvalidLicense::new(reason, reason.message()))
    }

    /// Returns true if the key is valid.
    pub fn is_valid(&self) -> bool {
        matches!(self, Self::Valid(_))
    }
}

/// Grants of a valid key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ValidLicense {
    /// Always `true`.
    #[cfg_attr(feature = "openapi", schema(value_type = bool, example = true))]
    pub valid: Bool<true>,
    /// The license's tier.
    #[serde(deserialize_with = "Tier::or_other")]
    pub tier: Tier,
    /// When the license ends; `null` if never.
    #[serde(default, serialize_with = "in_whole_seconds_if_any")]
    #[cfg_attr(feature = "openapi", schema(example = "2027-11-23T00:00:00Z"))]
    pub expires_at: Option<Timestamp>,
    /// Features of the plan.
    #[serde(deserialize_with = "known_features")]
    pub features: Vec<Feature>,
    /// Limits of the plan.
    pub quotas: Quotas,
    /// The grants as a signed token, which a client stores, and which is the only thing it trusts.
    #[cfg_attr(feature = "openapi", schema(example = "eyJhbGciOiJSUzI1NiIsImtpZCI6…"))]
    pub validation_token: String,
    /// When to ask again.
    #[serde(serialize_with = "in_whole_seconds")]
    #[cfg_attr(feature = "openapi", schema(example = "2026-11-22T09:30:00Z"))]
    pub refresh_after: Timestamp,
    /// End of the grace period, for which the token serves while the cloud cannot be reached.
    #[serde(serialize_with = "in_whole_seconds")]
    #[cfg_attr(feature = "openapi", schema(example = "2026-11-28T09:30:00Z"))]
    pub grace_until: Timestamp,
    /// When this key ends, if the license has another key meanwhile. Then the other one is needed.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "in_whole_seconds_if_any")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, example = "2026-11-28T09:30:00Z"))]
    pub key_replaced_until: Option<Timestamp>,
}

/// The reason why a key is not valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InvalidLicense {
    /// Always `false`.
    #[cfg_attr(feature = "openapi", schema(value_type = bool, example = false))]
    pub valid: Bool<false>,
    /// The first reason that was found.
    #[serde(deserialize_with = "known_reason")]
    pub reason: InvalidReason,
    /// A message for people that says what happened and what to do.
    #[cfg_attr(feature = "openapi", schema(example = "This license has expired. Ask your admin to renew it."))]
    pub message: String,
    /// Another license of the organization, which is active and can be used instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub other_license: Option<OtherLicense>,
}

impl InvalidLicense {
    /// A "no" with its reason and a message.
    pub fn new(reason: InvalidReason, message: impl Into<String>) -> Self {
        Self { valid: Bool, reason, message: message.into(), other_license: None }
    }

    /// Adds another license that can be used instead, which the message then says too.
    #[must_use]
    pub fn with_other_license(mut self, other: Option<OtherLicense>) -> Self {
        if let Some(other) = &other {
            self.message = format!("{} {}", self.message, other.advice());
        }
        Self { other_license: other, ..self }
    }
}

/// A license of the same organization that is active. Its key is never disclosed here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OtherLicense {
    /// The license; the mail with its key names it.
    pub license_id: LicenseId,
    /// The plan's code.
    #[cfg_attr(feature = "openapi", schema(example = "TEAM"))]
    pub plan: String,
    /// The plan's tier. Text, so that a program can read the tiers of a newer server.
    #[cfg_attr(feature = "openapi", schema(value_type = Tier))]
    pub tier: String,
}

impl OtherLicense {
    /// Describes the license, and how to use it.
    pub fn advice(&self) -> String {
        format!(
            "Your organization has another license that is active (plan {}, license {}). Ask the owner of your organization \
             for its key and run `coditect activate` with it; where people sign in, `coditect login` needs no key.",
            self.plan, self.license_id
        )
    }
}

words! {
    /// Why a license cannot be used. The order is that of the checks.
    InvalidReason {
        /// Mistyped.
        InvalidFormat = "invalid_format",
        /// Well formed, but unknown.
        NotFound = "not_found",
        /// Ended for good.
        Revoked = "revoked",
        /// Stopped for the time being.
        Suspended = "suspended",
        /// Expired.
        Expired = "expired",
        /// Not paid.
        SubscriptionInactive = "subscription_inactive",
        /// On as many devices as the plan allows.
        DeviceLimitExceeded = "device_limit_exceeded",
        /// Used up.
        QuotaExceeded = "quota_exceeded",
    }
}

impl InvalidReason {
    /// Returns the sentences that say what happened and what to do.
    pub const fn message(self) -> &'static str {
        match self {
            Self::InvalidFormat => "This is not a license key. Compare it with the original, character by character.",
            Self::NotFound => {
                "This license key is not known. Compare it with the original, or ask your admin for yours."
            }
            Self::Revoked => "This license has been revoked. Ask your admin for another key.",
            Self::Suspended => "This license is suspended. Ask your admin, or support, to resume it.",
            Self::Expired => "This license has expired. Ask your admin to renew it.",
            Self::SubscriptionInactive => "The subscription is not paid. Ask your admin to check the payment.",
            Self::DeviceLimitExceeded => {
                "This license is in use on as many devices as the plan allows. \
                 Deactivate it on another device, or ask your admin for a larger plan."
            }
            Self::QuotaExceeded => "The plan's quota is used up. Wait until it renews, or choose a larger plan.",
        }
    }
}

/// Reads a reason. One that is newer than this program reads as `not_found`, which promises least, so that the answer stays
/// a "no"; its message then has the reason.
fn known_reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<InvalidReason, D::Error> {
    Ok(String::deserialize(deserializer)?.parse().unwrap_or(InvalidReason::NotFound))
}

/// Gives a machine's place on a license back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeactivateRequest {
    /// The license's key.
    pub license_key: UnverifiedKey,
    /// The machine whose place is given back.
    pub machine_id: HardwareId,
}

/// The machine has no place any more; perhaps it had none before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeactivateAnswer {
    /// Always `deactivated`.
    #[serde(deserialize_with = "Deactivated::or_other")]
    pub status: Deactivated,
    /// From when on another machine can be activated; `null`: now.
    #[serde(default, serialize_with = "in_whole_seconds_if_any")]
    #[cfg_attr(feature = "openapi", schema(example = "2026-11-22T09:30:00Z"))]
    pub next_activation_at: Option<Timestamp>,
}

words! {
    /// Always `deactivated`.
    Deactivated {
        /// It has no place.
        Deactivated = "deactivated",
    } else {
        /// A newer server's word; the place is given back as well.
        Other = "other"
    }
}

/// A boolean with a fixed value, which distinguishes two shapes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bool<const VALUE: bool>;

impl<const VALUE: bool> Serialize for Bool<VALUE> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(VALUE)
    }
}

impl<'de, const VALUE: bool> Deserialize<'de> for Bool<VALUE> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if bool::deserialize(deserializer)? == VALUE { Ok(Self) } else { Err(D::Error::custom(format!("not {VALUE}"))) }
    }
}
