//! Licenses: their tier, features and limits, and the source of these.

use jiff::Timestamp;
use protocol::token::ValidationClaims;
use protocol::wire::{Feature, InvalidLicense, Quotas, Tier};
use serde::Serialize;

use crate::Error;

/// Number of commands a day in the free tier.
pub const FREE_COMMANDS_PER_DAY: i64 = 10;

/// License that applies here and now: its tier, features and limits.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct License {
    /// The plan's rank.
    pub tier: Tier,
    /// Features that the plan includes.
    pub features: Vec<Feature>,
    /// Its limits.
    pub quotas: Quotas,
    /// Source of this answer.
    pub source: Source,
    /// Time of the cloud's answer; none without a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validated_at: Option<Timestamp>,
    /// Time from which on the cloud is asked again; none without a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_after: Option<Timestamp>,
    /// Time until which this is used if the cloud cannot be asked; none without a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_until: Option<Timestamp>,
}

/// Source of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The cloud, just now.
    Cloud,
    /// The cloud, less than a day ago.
    Cache,
    /// The cloud, less than a week ago; at the moment it cannot be asked.
    Grace,
    /// The token of the last seat, which the signed-in user took.
    Seat,
    /// No server: without a key the free tier needs no network and no account.
    Free,
}

impl Source {
    /// Returns the word that [`License`] has for it as JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::Cache => "cache",
            Self::Grace => "grace",
            Self::Seat => "seat",
            Self::Free => "free",
        }
    }
}

impl License {
    /// Returns the license of the free tier.
    pub fn free() -> Self {
        Self {
            tier: Tier::Free,
            features: Vec::new(),
            quotas: Quotas::with_commands_per_day(FREE_COMMANDS_PER_DAY),
            source: Source::Free,
            validated_at: None,
            refresh_after: None,
            grace_until: None,
        }
    }

    /// Returns the license that a seat grants until its license token expires.
    pub fn of_seat(tier: Tier, features: Vec<Feature>, quotas: Quotas, expires_at: Timestamp) -> Self {
        Self { tier, features, quotas, source: Source::Seat, grace_until: Some(expires_at), ..Self::free() }
    }

    /// Returns the license that an answer of the cloud grants.
    pub fn of(claims: ValidationClaims, source: Source) -> Self {
        Self {
            validated_at: Timestamp::from_second(claims.iat).ok(),
            refresh_after: Timestamp::from_second(claims.refresh_after).ok(),
            grace_until: Timestamp::from_second(claims.exp).ok(),
            tier: claims.tier,
            features: claims.features,
            quotas: claims.quotas,
            source,
        }
    }
}

/// The answer to "may I run?".
#[derive(Debug)]
pub enum Verdict {
    /// Yes, with this.
    Valid(License),
    /// No; the cloud says why.
    Invalid(InvalidLicense),
    /// The cloud cannot be asked, and no stored answer is valid any more: [`License::free`] applies.
    Lapsed {
        /// Reason why the cloud cannot be asked.
        outage: Error,
    },
}

impl Verdict {
    /// Returns true for [`Verdict::Valid`].
    pub fn is_valid(&self) -> bool {
        matches!(self, Self::Valid(_))
    }
}
