//! Sync of the context with the cloud: changes are pushed in order, records are pulled by pages.
//!
//! Invariants after a crash at any point:
//! - A change leaves the queue after the cloud has confirmed that it has it. Sent twice, it is a `duplicate` the second
//!   time.
//! - The cursor moves in the transaction that writes the last of a page's records. Pulled twice, a page changes nothing.
//!
//! One process syncs at a time, by a lock that the operating system releases when the process ends; writers and readers of
//! the queue do not wait for it. No write transaction is open while the cloud is asked.

mod cipher;
mod content_crypto;
mod encryption;
pub(crate) mod keys;
mod pull;
mod push;
mod pushed;
mod record;
mod session;
pub(crate) mod tenant_key;
mod watch;

use std::fs::File;
use std::sync::Arc;

use local::context::Progress;
use local::notice::Notice;
use protocol::id::{DeviceId, RecordId};
use protocol::wire::{ContextStatus, HistoryPage, Kind};

use crate::core::Core;
use crate::{Config, ContextError, ContextStore, Error, Trouble};

pub use pull::Pulled;
pub use pushed::Pushed;

/// The context of a home folder and the cloud it is synced with.
///
/// ```no_run
/// # fn main() -> Result<(), coditect::Error> {
/// let client = coditect::LicenseClient::builder().build()?;
/// let context = client.context();
/// let synced = context.sync(|_| ())?;
/// println!("{} changes sent, {} records fetched", synced.pushed.sent(), synced.pulled.records);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Context {
    core: Arc<Core>,
    store: ContextStore,
    device: DeviceId,
}

/// Progress of a push or pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncProgress {
    /// Changes are being pushed.
    Pushing {
        /// Number of changes answered in this run.
        done: u64,
        /// Number of changes that waited when it began.
        total: u64,
    },
    /// Records are being pulled.
    Pulling {
        /// Number of records that came since the last pull that got through, in this run or interrupted ones.
        done: u64,
        /// Number of all records, where that is known: when everything is fetched.
        total: Option<u64>,
    },
}

/// Result of a sync.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Synced {
    /// Result of its pushes.
    pub pushed: Pushed,
    /// Result of its pulls.
    pub pulled: Pulled,
}

impl Context {
    /// Returns the context of a client's home folder.
    pub(crate) fn new(core: &Arc<Core>) -> Self {
        let store = ContextStore::with(Config::in_home(core.home.clone()), core.time.clock());
        let device = DeviceId::parse(core.machine.as_str()).expect("a hardware id is 64 hex characters");
        Self { core: core.clone(), store, device }
    }

    /// Returns the context on this machine.
    pub fn store(&self) -> &ContextStore {
        &self.store
    }

    /// Sends the changes that wait.
    pub fn push(&self, mut on: impl FnMut(SyncProgress)) -> Result<Pushed, Error> {
        let _turn = self.turn()?;
        self.push_in_turn(&mut on)
    }

    /// Fetches the records that are new.
    pub fn pull(&self, mut on: impl FnMut(SyncProgress)) -> Result<Pulled, Error> {
        let _turn = self.turn()?;
        self.pull_in_turn(&mut on)
    }

    /// Fetches everything, whatever was fetched before.
    ///
    /// Records that are here and not in the cloud are sent again by the next push.
    pub fn pull_everything(&self, mut on: impl FnMut(SyncProgress)) -> Result<Pulled, Error> {
        let _turn = self.turn()?;
        // A cloud that knows the cursor has lost nothing, and all changes of others have come before the comparison.
        let pulled = self.pull_in_turn(&mut on)?;
        if pulled.started_over {
            return Ok(pulled);
        }
        self.store.start_over("everything was asked for")?;
        self.pull_in_turn(&mut on)
    }

    /// Sends the changes that wait, fetches the records that are new, and sends those that the cloud turns out to have lost.
    pub fn sync(&self, mut on: impl FnMut(SyncProgress)) -> Result<Synced, Error> {
        let _turn = self.turn()?;
        let pushed = self.push_in_turn(&mut on);
        if matches!(&pushed, Err(Error::Unavailable(outage)) if outage.refusal.is_some()) {
            // Pushes and pulls are served apart: the one may be overloaded, and the other not.
            self.pull_in_turn(&mut on)?;
        }
        let mut pushed = pushed?;
        let mut pulled = self.pull_in_turn(&mut on)?;
        if pulled.queued_again > 0 || pulled.compared > 0 || pulled.bare > 0 {
            pushed.add(self.push_in_turn(&mut on)?);
            pulled.records += self.pull_in_turn(&mut on)?.records;
        }
        Ok(Synced { pushed, pulled })
    }

    /// Returns a page of a record's versions in the cloud with their times; the newest first. `cursor` goes on where a page
    /// ended.
    pub fn history(&self, kind: Kind, id: &RecordId, limit: u16, cursor: Option<&str>) -> Result<HistoryPage, Error> {
        self.ask_history(kind, id, limit, cursor)
    }

    /// Returns the cloud's status of the tenant's context.
    pub fn cloud_status(&self) -> Result<ContextStatus, Error> {
        let status = self.ask("/api/v1/context/status", &[])?;
        self.note_encryption(&status)?;
        Ok(status)
    }

    /// Makes sure that every file holds the records that were fetched into it, or that everything is fetched again; before
    /// anything is sent or fetched.
    fn ready(&self) -> Result<(), Error> {
        let files = self.store.compare_positions()?;
        if !files.is_empty() {
            self.core.notify.send(&Notice::Incomplete { files });
        }
        Ok(())
    }

    fn push_in_turn(&self, on: &mut dyn FnMut(SyncProgress)) -> Result<Pushed, Error> {
        let result = self.push_all(on);
        let trouble = match &result {
            Ok(pushed) => pushed.trouble(self.store.now()),
            Err(error) => Some(Trouble::of(error, self.store.now())),
        };
        self.note(result, |progress| progress.push_trouble = trouble)
    }

    fn pull_in_turn(&self, on: &mut dyn FnMut(SyncProgress)) -> Result<Pulled, Error> {
        let result = self.pull_all(on);
        let trouble = result.as_ref().err().map(|error| Trouble::of(error, self.store.now()));
        self.note(result, |progress| progress.pull_trouble = trouble)
    }

    /// Keeps the reason why a push or pull did not get through, for the status.
    fn note<T>(&self, result: Result<T, Error>, set: impl FnOnce(&mut Progress)) -> Result<T, Error> {
        let noted = self.store.set_progress(set);
        // The first error counts more than the failure to note it.
        let result = result?;
        noted.map(|()| result)
    }

    /// Takes the lock of the sync if sync is on; held for as long as the file is open.
    fn turn(&self) -> Result<File, Error> {
        if !self.store.is_on()? {
            return Err(ContextError::Off.into());
        }
        self.store.lock_sync()
    }
}
