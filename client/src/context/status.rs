//! Status of the sync, for people.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Queued;

/// Status of this home's sync, as far as it is known without asking the cloud.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SyncStatus {
    /// True if sync is turned on.
    pub enabled: bool,
    /// Number of changes that wait to be sent, parked ones not counted.
    pub waiting: u64,
    /// Time since which the oldest of them waits.
    pub waiting_since: Option<Timestamp>,
    /// The cloud's last message about one of them.
    pub waiting_error: Option<String>,
    /// Number of parked changes.
    pub parked: u64,
    /// The first parked changes; at most 20.
    pub parked_changes: Vec<Queued>,
    /// Time at which everything that waited was last sent.
    pub last_push_at: Option<Timestamp>,
    /// Time at which everything that was new was last fetched.
    pub last_pull_at: Option<Timestamp>,
    /// True if the next pull continues where the last one ended.
    pub cursor_known: bool,
    /// True while everything is being fetched again, as when the cloud did not know the cursor.
    pub starting_over: bool,
    /// Reason why the last push did not get through.
    pub push_trouble: Option<Trouble>,
    /// Reason why the last pull did not get through.
    pub pull_trouble: Option<Trouble>,
    /// Number of changes made here that have lost a conflict within the last week. They are in their records' history.
    pub conflicts_lost: u64,
}

/// Reason why a push or pull did not get through.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Trouble {
    /// Error code, for programs.
    pub code: String,
    /// Error message: a sentence.
    pub detail: String,
    /// Command that helps.
    pub hint: String,
    /// Time of the failure.
    pub at: Timestamp,
}
