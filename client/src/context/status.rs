//! How the sync is doing, for people.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Queued;

/// How the sync of this home is doing, as far as is known without asking the cloud.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SyncStatus {
    /// Whether it is turned on.
    pub enabled: bool,
    /// How many changes wait to be sent, parked ones not counted.
    pub waiting: u64,
    /// Since when the oldest of them waits.
    pub waiting_since: Option<Timestamp>,
    /// What the cloud last said about one of them.
    pub waiting_error: Option<String>,
    /// How many changes are parked.
    pub parked: u64,
    /// The first of them; at most 20.
    pub parked_changes: Vec<Queued>,
    /// When everything that waited was last sent.
    pub last_push_at: Option<Timestamp>,
    /// When everything that was new was last fetched.
    pub last_pull_at: Option<Timestamp>,
    /// Whether the next pull goes on where the last one ended.
    pub cursor_known: bool,
    /// Whether everything is being fetched again, since the cloud did not know the cursor.
    pub starting_over: bool,
    /// Why the last push did not get through.
    pub push_trouble: Option<Trouble>,
    /// Why the last pull did not get through.
    pub pull_trouble: Option<Trouble>,
    /// How many changes made here have lost a conflict within the last week. They are in their records' history.
    pub conflicts_lost: u64,
}

/// Why something did not get through.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Trouble {
    /// For programs.
    pub code: String,
    /// The sentence.
    pub detail: String,
    /// The command that helps.
    pub hint: String,
    /// When.
    pub at: Timestamp,
}
