//! The cloud's last refusal of the license key that is kept here, so that it can be shown until the next answer.

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
    /// When it came.
    pub at: Timestamp,
    /// The reason, and what to do about it.
    pub answer: InvalidLicense,
}

/// Keeps a refusal, as far as that is possible: the answer itself matters more.
pub(crate) fn keep(client: &Inner, answer: &InvalidLicense) {
    let last = LastRefusal { at: client.time.wall(), answer: answer.clone() };
    if let Ok(json) = serde_json::to_vec(&last) {
        let _ = client.vault.seal(FILE, &json);
    }
}

/// The last refusal, unless another answer has come since.
pub(crate) fn read(client: &Inner) -> Option<LastRefusal> {
    serde_json::from_slice(&client.vault.open(FILE).ok()??).ok()
}

/// Forgets it: it is about another key, or no longer true.
pub(crate) fn forget(client: &Inner) {
    let _ = client.vault.remove(FILE);
}

/// An error with the reason that is known here, where the cloud names none: it doesn't tell a key that never was from one that
/// has ended to whoever asks for a seat.
pub(crate) fn explain(client: &Inner, mut error: Error) -> Error {
    if let Error::Refused(refusal) = &mut error
        && refusal.problem.known_code() == Some(Code::InvalidLicenseKey)
        && let Some(last) = read(client)
    {
        refusal.problem.detail = last.answer.message;
    }
    error
}
