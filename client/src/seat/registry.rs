//! Record of the seats that this machine holds: each with its session, the process that keeps it, and its expiry. It serves
//! users who ask, and scripts that acquire a seat in one process and release it in another.

use jiff::Timestamp;
use local::random;
use protocol::id::SessionId;
use protocol::wire::Tier;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::grant::Grant;
use crate::Error;
use crate::core::Core;

/// The file with the seats; sealed, since a session's token can release it.
const FILE: &str = "seats";

/// The file that is locked while the record changes.
const LOCK: &str = "seats.lock";

/// A seat that this machine holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HeldSeat {
    /// The id of the session.
    pub session_id: SessionId,
    /// The process that keeps the seat; `None` if the seat was left.
    pub process: Option<u32>,
    /// The license's tier.
    #[serde(deserialize_with = "Tier::or_other")]
    pub tier: Tier,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// When the cloud last received a request about the seat; `None` if it could not be reached since the seat was taken.
    pub last_heartbeat_at: Option<Timestamp>,
    /// When the seat becomes free for others, unless a heartbeat comes before.
    pub seat_expires_at: Timestamp,
}

/// A held seat, with the fields that only the record needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Identifies the [`Seat`](super::Seat), since a process can have several.
    id: Uuid,
    #[serde(flatten)]
    pub(super) seat: HeldSeat,
    pub(super) token: String,
}

impl Entry {
    pub(super) fn new(grant: &Grant, now: Timestamp, reached: bool) -> Self {
        let seat = HeldSeat {
            session_id: grant.session_id,
            process: Some(std::process::id()),
            tier: grant.tier,
            taken_at: now,
            last_heartbeat_at: reached.then_some(now),
            seat_expires_at: grant.seat_expires_at,
        };
        Self { id: random::uuid(), seat, token: grant.token.clone() }
    }

    /// Updates the entry after a successful heartbeat.
    pub(super) fn beat(&mut self, grant: &Grant, now: Timestamp) {
        self.seat.session_id = grant.session_id;
        self.seat.seat_expires_at = grant.seat_expires_at;
        self.seat.last_heartbeat_at = Some(now);
        self.token.clone_from(&grant.token);
    }

    /// Returns true if the entry is of this session, and no process keeps it.
    fn is_left_of(&self, session: SessionId) -> bool {
        self.seat.session_id == session && self.seat.process.is_none()
    }

    /// Returns true while the entry counts: while its process runs, which a killed one does not, or until a left seat
    /// expires.
    fn is_current(&self, now: Timestamp) -> bool {
        match self.seat.process {
            Some(process) => {
                let process = i32::try_from(process).ok().and_then(Pid::from_raw);
                process.is_some_and(|process| test_kill_process(process).is_ok())
            }
            None => now < self.seat.seat_expires_at,
        }
    }
}

/// Returns the seats that this machine holds.
pub(crate) fn held(core: &Core) -> Result<Vec<HeldSeat>, Error> {
    Ok(entries(core)?.into_iter().map(|entry| entry.seat).collect())
}

/// Returns all current entries.
fn entries(core: &Core) -> Result<Vec<Entry>, Error> {
    let all: Vec<Entry> = core.vault.open_json(FILE)?.unwrap_or_default();
    let now = core.time.wall();
    Ok(all.into_iter().filter(|entry| entry.is_current(now)).collect())
}

/// Writes an entry in place of its previous version. A left entry of its session then lasts at least as long.
pub(super) fn insert(core: &Core, entry: &Entry) -> Result<(), Error> {
    change(core, |entries| {
        let again = |other: &Entry| entry.seat.process.is_none() && other.is_left_of(entry.seat.session_id);
        entries.retain(|other| other.id != entry.id && !again(other));
        for other in entries.iter_mut().filter(|other| other.is_left_of(entry.seat.session_id)) {
            other.seat.seat_expires_at = other.seat.seat_expires_at.max(entry.seat.seat_expires_at);
        }
        entries.push(entry.clone());
    })
}

/// Removes an entry.
pub(super) fn remove(core: &Core, entry: &Entry) -> Result<(), Error> {
    change(core, |entries| entries.retain(|other| other.id != entry.id))
}

/// Removes the left entries of a session.
pub(super) fn remove_left(core: &Core, session: SessionId) -> Result<(), Error> {
    change(core, |entries| entries.retain(|entry| !entry.is_left_of(session)))
}

/// Returns the entry of a session that was left, if there is one. A process that keeps such a session does not release it.
pub(super) fn left(core: &Core, session: SessionId) -> Result<Option<Entry>, Error> {
    Ok(entries(core)?.into_iter().find(|entry| entry.is_left_of(session)))
}

fn change(core: &Core, change: impl FnOnce(&mut Vec<Entry>)) -> Result<(), Error> {
    // Released when this function returns.
    let _held = core.home.lock(LOCK)?;
    let mut entries = entries(core)?;
    change(&mut entries);
    core.vault.seal_json(FILE, &entries)
}
