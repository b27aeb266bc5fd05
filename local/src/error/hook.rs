//! Errors of an agent's hook.

use std::fmt;
use std::path::PathBuf;

/// Error of installing the hook, or of recording an event.
#[derive(Debug)]
#[non_exhaustive]
pub enum HookError {
    /// A file is not an agent's settings.
    Settings {
        /// The file.
        path: PathBuf,
        /// Description of the fault.
        fault: String,
    },
    /// A path that can't be written into settings.
    Path {
        /// The path.
        path: PathBuf,
    },
    /// An event was not recorded, and the failure could not be recorded either.
    Lost {
        /// Cause and remedy.
        cause: String,
    },
    /// The agent's input is not an event.
    Event {
        /// Description of the fault.
        fault: String,
    },
}

impl HookError {
    /// Returns the stable error code for programs.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Settings { .. } => "invalid_agent_settings",
            Self::Path { .. } => "invalid_path",
            Self::Lost { .. } => "event_lost",
            Self::Event { .. } => "invalid_event",
        }
    }

    /// Returns the remedy, with the command to run.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Settings { .. } => {
                "Correct it, or use `coditect hook install --settings FILE` for another one. It was left as it is."
                    .into()
            }
            Self::Path { .. } => {
                "Install coditect in a folder whose name is UTF-8, and `coditect hook install` again.".into()
            }
            Self::Lost { .. } => "`coditect doctor` looks for the cause.".into(),
            Self::Event { .. } => "`coditect hook install` sets the hook up as the agent expects it.".into(),
        }
    }
}

impl fmt::Display for HookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings { path, fault } => write!(f, "{} can't be changed: {fault}.", path.display()),
            Self::Path { path } => write!(f, "{} is not UTF-8, which an agent's settings are.", path.display()),
            Self::Lost { cause } => write!(f, "What the agent planned was not recorded. {cause}"),
            Self::Event { fault } => write!(f, "What the agent said can't be read: {fault}."),
        }
    }
}

impl From<HookError> for super::Error {
    fn from(error: HookError) -> Self {
        Self::Hook(error)
    }
}
