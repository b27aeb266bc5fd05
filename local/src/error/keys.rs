//! Errors of the tenant's key.

use std::fmt;
use std::path::PathBuf;

/// Error of reading an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportFault {
    /// The text is not an export.
    NotAnExport,
    /// Characters are missing or were changed.
    Damaged,
    /// It was written by a newer version.
    TooNew,
    /// The passphrase is wrong.
    WrongPassphrase,
}

/// Error of an operation on the tenant's key.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeysError {
    /// There is no key here.
    Missing,
    /// There is a key here already.
    Exists {
        /// Its id.
        key_id: String,
    },
    /// The tenant encrypts already, with a key that is not here.
    Latched {
        /// Its id.
        key_id: String,
    },
    /// The key is not the tenant's.
    Other {
        /// Id of the key.
        key_id: String,
        /// Id of the tenant's key.
        latched: String,
    },
    /// There is another key here, and it is not known which is the tenant's.
    Undecided {
        /// Id of the key that is here.
        here: String,
        /// Id of the other key.
        key_id: String,
    },
    /// The key is here, but can't be opened on this machine.
    Unreadable {
        /// The file.
        path: PathBuf,
    },
    /// An export can't be read.
    Export(ExportFault),
    /// A passphrase that is too short.
    ShortPassphrase {
        /// Minimum number of characters.
        least: usize,
    },
}

impl KeysError {
    /// Returns the stable error code for programs.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Missing => "no_tenant_key",
            Self::Exists { .. } => "tenant_key_exists",
            Self::Latched { .. } | Self::Other { .. } => "other_tenant_key",
            Self::Undecided { .. } => "tenant_key_undecided",
            Self::Unreadable { .. } => "sealed_file",
            Self::Export(ExportFault::WrongPassphrase) => "wrong_passphrase",
            Self::Export(_) => "invalid_export",
            Self::ShortPassphrase { .. } => "short_passphrase",
        }
    }

    /// Returns the command that helps.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Missing => {
                "`coditect sync keys init` makes one; `coditect sync keys import FILE` takes over another machine's.".into()
            }
            Self::Exists { .. } => "`coditect sync keys export FILE` hands it on to another machine.".into(),
            Self::Latched { .. } | Self::Other { .. } => {
                "`coditect sync keys export FILE` on a machine that has it, then `coditect sync keys import FILE` here.".into()
            }
            Self::Undecided { .. } => {
                "`coditect sync keys import FILE` again when the cloud can be asked; `coditect sync keys status` shows both."
                    .into()
            }
            Self::Unreadable { .. } => {
                "`coditect sync keys import FILE` takes over another machine's; `coditect sync keys remove` does without.".into()
            }
            Self::Export(ExportFault::WrongPassphrase) => "`coditect sync keys import FILE` asks for it again.".into(),
            Self::Export(ExportFault::TooNew) => {
                "Update coditect; `coditect --version` prints the version that is installed.".into()
            }
            Self::Export(_) => "`coditect sync keys export FILE` on a machine that has the key writes another one.".into(),
            Self::ShortPassphrase { .. } => "Five random words make a good one.".into(),
        }
    }
}

impl fmt::Display for KeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("There is no tenant key on this machine, so contents travel in clear."),
            Self::Exists { key_id } => write!(f, "This machine has the tenant key {key_id} already."),
            Self::Latched { key_id } => {
                write!(f, "Your organization encrypts with the key {key_id} already, which this machine doesn't have.")
            }
            Self::Other { key_id, latched } => {
                write!(f, "This is the key {key_id}, and your organization encrypts with {latched}.")
            }
            Self::Undecided { here, key_id } => write!(
                f,
                "This machine has the key {here}, this is {key_id}, and the cloud doesn't say which one your organization \
                 encrypts with."
            ),
            Self::Unreadable { path } => {
                write!(f, "The tenant key in {} was changed, or sealed on another machine.", path.display())
            }
            Self::Export(ExportFault::NotAnExport) => f.write_str("This is no exported tenant key."),
            Self::Export(ExportFault::Damaged) => {
                f.write_str("This exported tenant key is damaged: characters are missing, or were changed.")
            }
            Self::Export(ExportFault::TooNew) => {
                f.write_str("This tenant key was exported by a newer version of this program.")
            }
            Self::Export(ExportFault::WrongPassphrase) => f.write_str("The passphrase is not the one of this export."),
            Self::ShortPassphrase { least } => write!(f, "A passphrase has {least} characters or more."),
        }
    }
}

impl From<KeysError> for super::Error {
    fn from(error: KeysError) -> Self {
        Self::Keys(error)
    }
}
