//! The cloud's last refusal of the license key that is stored here, so that it can be shown until the next answer.

use jiff::Timestamp;
use protocol::problem::Code;
use protocol::wire::InvalidLicense;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::vault::Vault;

/// The sealed file.
const FILE: &str = "last-refusal";

/// The cloud's last refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LastRefusal {
    /// Time at which it came.
    pub at: Timestamp,
    /// The reason, and what to do about it.
    pub answer: InvalidLicense,
}

impl LastRefusal {
    /// Stores a refusal, as far as that is possible: the answer itself matters more.
    pub fn keep(vault: &Vault, at: Timestamp, answer: &InvalidLicense) {
        let _ = vault.seal_json(FILE, &Self { at, answer: answer.clone() });
    }

    /// Returns the last refusal, unless another answer has come since.
    pub fn read(vault: &Vault) -> Option<Self> {
        vault.open_json(FILE).ok()?
    }

    /// Deletes the last refusal: it is about another key, or no longer true.
    pub fn forget(vault: &Vault) {
        let _ = vault.remove(FILE);
    }

    /// Returns an error with the reason that is stored here, where the cloud names none: to a request for a seat it doesn't
    /// say whether a key never existed or has ended.
    pub fn explain(vault: &Vault, mut error: Error) -> Error {
        if let Error::Refused(refusal) = &mut error
            && refusal.problem.known_code() == Some(Code::InvalidLicenseKey)
            && let Some(last) = Self::read(vault)
        {
            refusal.problem.detail = last.answer.message;
        }
        error
    }
}
