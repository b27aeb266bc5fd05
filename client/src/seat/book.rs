//! Which seats this machine has: each with its session, whoever keeps it, and how long it lasts. For people who ask, and for
//! scripts that took a seat in one process and give it back in another.

use jiff::Timestamp;
use protocol::id::SessionId;
use protocol::wire::Tier;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::grant::Grant;
use crate::client::Inner;
use crate::{Error, random};

/// The sealed file; sealed, since a session's token gives it back.
const FILE: &str = "seats";

/// The file that is locked while it changes.
const LOCK: &str = "seats.lock";

/// A seat that this machine has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HeldSeat {
    /// What the cloud calls this use.
    pub session_id: SessionId,
    /// The process that keeps it; none where one has taken it and left it.
    pub process: Option<u32>,
    /// The license's tier.
    #[serde(deserialize_with = "Tier::or_other")]
    pub tier: Tier,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// When the cloud last heard of it; none if it could not be reached since it was taken.
    pub last_heartbeat_at: Option<Timestamp>,
    /// When it is free for others, unless a heartbeat comes before.
    pub seat_expires_at: Timestamp,
}

/// The same with what the book alone has to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Which [`Seat`](super::Seat): a process can have several.
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

    /// The cloud has just heard of it.
    pub(super) fn beat(&mut self, grant: &Grant, now: Timestamp) {
        self.seat.session_id = grant.session_id;
        self.seat.seat_expires_at = grant.seat_expires_at;
        self.seat.last_heartbeat_at = Some(now);
        self.token.clone_from(&grant.token);
    }

    /// Whether this session was taken, and left to itself.
    fn is_left_of(&self, session: SessionId) -> bool {
        self.seat.session_id == session && self.seat.process.is_none()
    }

    /// A process that was killed keeps nothing.
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

/// All that are current.
pub(super) fn entries(client: &Inner) -> Result<Vec<Entry>, Error> {
    let json = match client.vault.open(FILE) {
        // As good as deleted.
        Err(Error::Sealed { .. }) => None,
        other => other?,
    };
    let all: Vec<Entry> = json.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
    let now = client.time.wall();
    Ok(all.into_iter().filter(|entry| entry.is_current(now)).collect())
}

/// Writes an entry in place of its former self. What was left of its session lasts as long.
pub(super) fn enter(client: &Inner, entry: &Entry) -> Result<(), Error> {
    change(client, |entries| {
        let again = |other: &Entry| entry.seat.process.is_none() && other.is_left_of(entry.seat.session_id);
        entries.retain(|other| other.id != entry.id && !again(other));
        for other in entries.iter_mut().filter(|other| other.is_left_of(entry.seat.session_id)) {
            other.seat.seat_expires_at = other.seat.seat_expires_at.max(entry.seat.seat_expires_at);
        }
        entries.push(entry.clone());
    })
}

/// Takes one out.
pub(super) fn strike(client: &Inner, entry: &Entry) -> Result<(), Error> {
    change(client, |entries| entries.retain(|other| other.id != entry.id))
}

/// Takes those of a session out that nobody keeps.
pub(super) fn strike_left(client: &Inner, session: SessionId) -> Result<(), Error> {
    change(client, |entries| entries.retain(|entry| !entry.is_left_of(session)))
}

/// A session that was left to itself, and is not for whoever keeps it now to give back.
pub(super) fn left(client: &Inner, session: SessionId) -> Result<Option<Entry>, Error> {
    Ok(entries(client)?.into_iter().find(|entry| entry.is_left_of(session)))
}

fn change(client: &Inner, change: impl FnOnce(&mut Vec<Entry>)) -> Result<(), Error> {
    // Let go of when this returns.
    let _held = client.home.lock(LOCK)?;
    let mut entries = entries(client)?;
    change(&mut entries);
    client.vault.seal(FILE, &serde_json::to_vec(&entries).expect("texts, numbers and times are JSON"))
}
