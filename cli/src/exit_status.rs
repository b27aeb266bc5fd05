//! Exit codes of this program.

use std::process::ExitCode;

use coditect::{ContextError, Error, ExitClass, ExportFault, KeysError};
use protocol::problem::Code;

/// Outcome of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// Yes.
    Yes,
    /// The answer is no: no seat, or a license that is not valid.
    No,
    /// Something broke.
    Broken,
    /// Wrong usage.
    Usage,
    /// Exit code of the command that was run.
    Passed(u8),
}

impl ExitStatus {
    /// Returns the status of an error, which can also be a no.
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::NoKey | Error::Key(_) | Error::KeyVariable(_) | Error::UsedUp(_) => Self::No,
            Error::Refused(refusal) => match refusal.problem.known_code() {
                Some(Code::NoSeatsAvailable | Code::LicenseInactive | Code::InvalidLicenseKey) => Self::No,
                Some(Code::PlanLacksFeature | Code::Forbidden) => Self::No,
                _ => Self::Broken,
            },
            Error::SignIn(error) if error.is_answer() => Self::No,
            Error::Keys(KeysError::Export(ExportFault::WrongPassphrase)) => Self::No,
            Error::Keys(KeysError::Export(_) | KeysError::Unreadable { .. }) => Self::Broken,
            Error::Keys(KeysError::ShortPassphrase { .. }) => Self::Usage,
            Error::Keys(_) => Self::No,
            Error::Update(error) if error.is_no() => Self::No,
            Error::HardwareId(_) | Error::Profile { .. } => Self::Usage,
            Error::Context(error) => match error {
                ContextError::Database { .. } | ContextError::Newer { .. } => Self::Broken,
                error if error.is_wrong_usage() => Self::Usage,
                _ => Self::No,
            },
            _ => Self::Broken,
        }
    }
}

impl From<ExitStatus> for ExitClass {
    fn from(status: ExitStatus) -> Self {
        match status {
            ExitStatus::Yes => Self::Yes,
            ExitStatus::No => Self::No,
            ExitStatus::Broken => Self::Broken,
            ExitStatus::Usage => Self::Usage,
            ExitStatus::Passed(_) => Self::Passed,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(match status {
            ExitStatus::Yes => 0,
            ExitStatus::No => 1,
            ExitStatus::Broken => 2,
            ExitStatus::Usage => 64,
            ExitStatus::Passed(code) => code,
        })
    }
}
