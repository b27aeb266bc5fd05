//! Tiers, features and quotas, which plans grant.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use super::words;

/// Value of a quota that means no limit.
pub const UNLIMITED: i64 = -1;

words! {
    /// A plan's rank.
    Tier {
        /// Local, without registration.
        Free = "FREE",
        /// One developer.
        Pro = "PRO",
        /// A team with shared seats.
        Team = "TEAM",
        /// A company by quantity.
        Business = "BUSINESS",
        /// By contract.
        Enterprise = "ENTERPRISE",
    } else {
        /// A newer server's tier, which this version has no word for. Features and quotas say what it includes.
        Other = "OTHER"
    }
}

words! {
    /// Something that a plan can include.
    Feature {
        /// No daily limit of commands.
        UnlimitedCommands = "unlimited_commands",
        /// Context sync through the cloud.
        CloudSync = "cloud_sync",
        /// All agents, not only the basic ones.
        AllAgents = "all_agents",
        /// Hooks.
        Hooks = "hooks",
        /// Workflows of several agents.
        MultiAgent = "multi_agent",
        /// Several devices per user.
        MultiDevice = "multi_device",
        /// Context shared in the team.
        SharedContext = "shared_context",
        /// An organization with members.
        Organization = "organization",
        /// Roles.
        Rbac = "rbac",
        /// Analytics of the team.
        TeamAnalytics = "team_analytics",
        /// Installation in one's own network.
        OnPremise = "on_premise",
        /// Use without any network.
        AirGap = "air_gap",
        /// Single sign-on.
        Sso = "sso",
        /// Export of the audit log.
        AuditExport = "audit_export",
    }
}

/// Reads a list of features and leaves out those that this version does not know, so that a plan which gains a feature does
/// not invalidate the tokens of older programs.
pub(crate) fn known_features<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Feature>, D::Error> {
    let words = Vec::<String>::deserialize(deserializer)?;
    Ok(words.iter().filter_map(|word| word.parse().ok()).collect())
}

/// Limits by name; [`UNLIMITED`] is none. A map, because plans are data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, i64>, example = json!({"commands_per_day": -1})))]
pub struct Quotas(pub BTreeMap<String, i64>);

impl Quotas {
    /// The name of the quota of commands per day.
    pub const COMMANDS_PER_DAY: &str = "commands_per_day";

    /// The name of the quota of records that a tenant keeps in the cloud.
    pub const CONTEXT_RECORDS: &str = "context_records";
    /// The name of the quota of the bytes of the records' contents.
    pub const CONTEXT_BYTES: &str = "context_bytes";
    /// The name of the quota of the bytes of former versions that are kept.
    pub const CONTEXT_HISTORY_BYTES: &str = "context_history_bytes";
    /// The name of the quota of the days for which former versions are kept.
    pub const CONTEXT_HISTORY_DAYS: &str = "context_history_days";

    /// Returns quotas with only that of commands per day.
    pub fn with_commands_per_day(limit: i64) -> Self {
        Self(BTreeMap::from([(Self::COMMANDS_PER_DAY.to_owned(), limit)]))
    }

    /// Returns the quota of this name, if the plan has one.
    pub fn get(&self, name: &str) -> Option<i64> {
        self.0.get(name).copied()
    }

    /// Returns the number of commands per day, or [`UNLIMITED`], if the plan has that quota.
    pub fn commands_per_day(&self) -> Option<i64> {
        self.get(Self::COMMANDS_PER_DAY)
    }
}

/// A word that is none of those known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownWord(String);

impl UnknownWord {
    pub(crate) fn new(word: &str, known: impl Iterator<Item = &'static str>) -> Self {
        // The quoted word comes from outside, so that only enough of it to recognize it is kept.
        let quoted: String = word.chars().take(40).collect();
        Self(format!("{quoted:?} is not known here. It must be one of: {}.", known.collect::<Vec<_>>().join(", ")))
    }
}

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UnknownWord {}
