//! Result of a push.

use jiff::Timestamp;
use local::context::Settled;
use protocol::id::RecordId;
use protocol::wire::{Kind, Rejection, RejectionCode};
use serde::Serialize;

use crate::Trouble;

/// Result of a push: numbers of changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Pushed {
    /// Changes that are new in the cloud.
    pub created: u64,
    /// Changes that took the place of the version they were made from.
    pub updated: u64,
    /// Changes that were in the cloud already.
    pub duplicates: u64,
    /// Changes that met another change of the same record, and were the later one.
    pub conflicts_won: u64,
    /// Changes that met another change of the same record that was later. They are in its history.
    pub conflicts_lost: u64,
    /// Changes that were refused for a fault of their own.
    pub refused: u64,
    /// Refused changes that are sent no more.
    pub parked: u64,
    /// Changes that were not sent, or not taken for want of room, and are not needed any more: a later change of the same
    /// record was taken.
    pub superseded: u64,
    /// Changes that were not taken for a reason that is not theirs, and still wait.
    pub hindered: u64,
    /// Reason why the first of the hindered changes was not taken.
    pub hindrance: Option<Rejection>,
    /// The records of the changes that lost a conflict.
    #[serde(skip)]
    pub(super) lost: Vec<(Kind, RecordId)>,
    /// The records of the changes that are sent no more.
    #[serde(skip)]
    pub(super) given_up: Vec<(Kind, RecordId)>,
}

impl Pushed {
    /// Returns the number of changes that the cloud has now.
    pub fn sent(&self) -> u64 {
        self.created + self.updated + self.duplicates + self.conflicts_won + self.conflicts_lost
    }

    /// Returns the number of changes that were answered.
    pub(super) fn answered(&self) -> u64 {
        self.sent() + self.refused + self.hindered
    }

    /// Adds the effect of the answers on the queue.
    pub(super) fn settled(&mut self, settled: Settled) {
        self.parked += settled.parked.len() as u64;
        self.given_up.extend(settled.parked);
        self.superseded += settled.superseded.changes;
        self.hindered = self.hindered.saturating_sub(settled.superseded.hindered);
        if self.hindered == 0 {
            self.hindrance = None;
        }
    }

    pub(super) fn add(&mut self, more: Self) {
        self.created += more.created;
        self.updated += more.updated;
        self.duplicates += more.duplicates;
        self.conflicts_won += more.conflicts_won;
        self.conflicts_lost += more.conflicts_lost;
        self.refused += more.refused;
        self.parked += more.parked;
        self.superseded += more.superseded;
        // These were tried again.
        self.hindered = more.hindered;
        self.hindrance = more.hindrance;
    }

    /// Returns the reason why not everything has got through, if that is not in the records.
    pub(super) fn trouble(&self, at: Timestamp) -> Option<Trouble> {
        let Rejection { code, detail } = self.hindrance.clone()?;
        let hint = match code.parse() {
            Ok(RejectionCode::EncryptionRequired) => {
                "`coditect sync keys import FILE` takes over the key from another machine."
            }
            _ => "`coditect sync status` shows how much waits.",
        };
        Some(Trouble::new(code, detail, hint.to_owned(), at))
    }
}
