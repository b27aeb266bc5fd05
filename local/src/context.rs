//! The context that is kept on this machine: tasks, decisions, learnings, messages.
//!
//! # Four files
//!
//! | file | holds | from where |
//! |---|---|---|
//! | `platform.db` | components | the cloud only |
//! | `org.db` | decisions, skill_learnings, error_solutions | here and the cloud |
//! | `sessions.db` | messages, task_tracking, tool_analytics; the queue, the log and how far the sync is | here and the cloud |
//! | `projects.db` | project_context | here and the cloud |
//!
//! Each kind has a table, and all tables have one shape: what the cloud has, as far as it was pulled. A table is written only
//! by the sync of the crate `coditect`.
//!
//! # One place for local changes
//!
//! A change is one row in the queue and nothing else, so there is nothing that could tear. A user sees a record as its
//! newest queued change, or else as the row of its table ([`ContextStore::get`]). The sync writes the table before it takes
//! the change out of the queue; so a caller that reads the queue first and the table second never sees an old state again.
//!
//! A change has the version that it was made from, unless an earlier change of the same record is still queued: then it is
//! set when that one is answered. While sync is off, a record has at most one queued change, so that the queue is never
//! longer than there are records.
//!
//! # Several processes
//!
//! The files are in WAL mode: readers do not wait, and writers wait only for each other, briefly. No write transaction is
//! open during a call of the cloud. An operation that reads before it writes (to find the version that a change is made
//! from) does both in one transaction on `sessions.db`.

mod change;
mod database;
mod encrypted;
mod entries;
mod envelope;
mod exchange;
mod journal;
mod mend;
mod position;
mod progress;
mod queue;
mod record;
mod requeue;
mod search;
mod start_over;
mod status;
mod store;
mod table;

pub use journal::{JournalEntry, JournalEvent};
pub use mend::Mended;
pub use progress::Trouble;
pub use record::{Change, Draft, Entry, Filter, Queued};
pub use status::SyncStatus;
pub use store::ContextStore;

pub use envelope::locked;
pub use exchange::{Answered, Page, Settled};
pub use progress::Progress;
pub use queue::{Answer, Scope, Superseded, Waiting};
pub use start_over::Requeued;
pub use table::Row;

pub(crate) use database::{Database, may_be_readable};

/// The file that the syncing process holds a lock on.
pub(crate) const SYNC_LOCK: &str = "sync.lock";
