//! Resources that entries of the outbox are delivered with.

use common::Setup;
use common::license_key::KeyHasher;
use seats::Seats;

use crate::mailer::Mailer;

/// Destinations of the entries: seats in Redis, hashes of license keys, and mail.
#[derive(Debug)]
pub struct Destinations {
    pub(super) seats: Seats,
    pub(super) hasher: KeyHasher,
    pub(super) mailer: Mailer,
}

impl Destinations {
    /// Makes them from the configuration; `None` where that has mistakes.
    pub fn from_setup(setup: &mut Setup) -> Option<Self> {
        let (seats, hasher) = (Seats::from_setup(setup), KeyHasher::from_setup(setup));
        Some(Self { mailer: Mailer::from_setup(setup)?, seats: seats?, hasher: hasher? })
    }
}
