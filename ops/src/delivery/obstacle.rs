//! Why an entry of the outbox is not delivered.

use common::Problem;
use protocol::problem::Code;

use super::cause;
use crate::printer::Failure;

/// Why an entry isn't delivered.
pub(super) enum Obstacle {
    /// It may be gone later.
    ForNow(String),
    /// It was refused.
    ForGood(String),
    /// It lies in the entry, until an operator changes it.
    InEntry(String),
    /// It lies in our own systems, not in the entry: nothing more can be done now.
    Ours(Failure),
}

/// The entry's key was sealed under another pepper.
pub(super) fn not_decrypted() -> Obstacle {
    Obstacle::ForNow(
        "The license key can't be decrypted: LICENSE_KEY_PEPPER is not the one it was encrypted under.".to_owned(),
    )
}

/// The database gave no answer, or refused a statement.
pub(super) fn of_database(problem: Problem) -> Obstacle {
    match problem.code() {
        Code::Unavailable => Obstacle::Ours(problem.into()),
        _ => Obstacle::ForNow(cause(&problem)),
    }
}
