//! The cloud's last refusal of the license key that is stored here, so that it can be shown until the next answer.

use jiff::Timestamp;
use protocol::problem::Code;
use protocol::wire::InvalidLicense;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::client::Inner;

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

/// Stores a refusal, as far as that is possible: the answer itself matters more.
pub(crate) fn keep(client: &Inner, answer: &InvalidLicense) {
    let last = LastRefusal { at: client.time.wall(), answer: answer.clone() };
    if let Ok(json) = serde_json::to_vec(&last) {
        let _ = client.vault.seal(FILE, &json);
    }
}

/// Returns the last refusal, unless another answer has come since.
pub(crate) fn read(client: &Inner) -> Option<LastRefusal> {
    serde_json::from_slice(&client.vault.open(FILE).ok()??).ok()
}

/// Deletes the last refusal: it is about another key, or no longer true.
pub(crate) fn forget(client: &Inner) {
    let _ = client.vault.remove(FILE);
}

/// Returns an error with the reason that is stored here, where the cloud names none: to a request for a seat it doesn't say
/// whether a key never existed or has ended.
pub(crate) fn explain(client: &Inner, mut error: Error) -> Error {
    if let Error::Refused(refusal) = &mut error
        && refusal.problem.known_code() == Some(Code::InvalidLicenseKey)
        && let Some(last) = read(client)
    {
        refusal.problem.detail = last.answer.message;
    }
    error
}
