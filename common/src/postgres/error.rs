//! Errors of Postgres as problems.

use tokio_postgres::error::SqlState;

use crate::problem::Problem;

/// Returns the problem of a statement or transaction that failed: `503` for an outage, `500` for a mistake of ours.
pub(super) fn failed(name: &'static str, error: &tokio_postgres::Error) -> Problem {
    const OUTAGES: [SqlState; 10] = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::QUERY_CANCELED,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::READ_ONLY_SQL_TRANSACTION,
    ];
    let cause = format!("{name}: {}", chain(error));
    match error.code() {
        Some(code) if !OUTAGES.contains(code) => Problem::internal_error(cause),
        Some(_) => Problem::unavailable("postgres", cause),
        // Without an SQLSTATE it is the connection, or a value that doesn't fit its column: a mistake of ours.
        None if error.is_closed() || std::error::Error::source(error).is_some_and(|s| s.is::<std::io::Error>()) => {
            Problem::unavailable("postgres", cause)
        }
        None => Problem::internal_error(cause),
    }
}

/// Returns the messages of an error and its causes: errors of Postgres say what happened only there.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |e| e.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
