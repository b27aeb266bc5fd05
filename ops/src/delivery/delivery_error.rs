//! Errors of delivering an entry of the outbox.

use common::Problem;
use protocol::problem::Code;

use crate::mail_template;
use crate::printer::Failure;

/// Maximum length of a stored error, in characters.
const ERROR_MAX: usize = 500;

/// Error of delivering an entry; decides whether it is tried again.
pub(super) enum DeliveryError {
    /// A later attempt may succeed.
    Transient(String),
    /// The recipient's side refused it.
    Permanent(String),
    /// The entry itself can't be delivered, until an operator changes it.
    InvalidEntry(String),
    /// One of our own systems failed: no entry can be delivered now.
    Fatal(Failure),
}

/// Returns the error of an entry whose key was sealed under another pepper.
pub(super) fn undecryptable_key() -> DeliveryError {
    DeliveryError::Transient(
        "The license key can't be decrypted: LICENSE_KEY_PEPPER is not the one it was encrypted under.".to_owned(),
    )
}

/// Returns the error of a database that gave no answer, or refused a statement.
pub(super) fn database_error(problem: Problem) -> DeliveryError {
    match problem.code() {
        Code::Unavailable => DeliveryError::Fatal(problem.into()),
        _ => DeliveryError::Transient(cause(&problem)),
    }
}

/// Returns an error as it is stored and shown: of bounded length, on one line, and without the license key, which a mail
/// server may well repeat.
pub(super) fn sanitized(why: &str, key: Option<&str>) -> String {
    let bare = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
    let body = key.and_then(|key| key.split('-').nth(2)).map(bare);
    if body.is_some_and(|body| bare(why).contains(&body)) {
        return "What was said about it repeats the license key, and is left out.".to_owned();
    }
    mail_template::line(why).chars().take(ERROR_MAX).collect()
}

/// Returns the cause of a problem, or its code.
pub(super) fn cause(problem: &Problem) -> String {
    problem.internal().unwrap_or_else(|| problem.code().as_str()).to_owned()
}
