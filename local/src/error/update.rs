//! Errors of an update.

use std::fmt;
use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use semver::Version;

use super::{Error, Fault, Outage};

/// Reason why a new version could not be found or installed. In any case, the installed program still runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum UpdateError {
    /// This program was built without a key, so that it can't verify an update.
    NoKey,
    /// The key that was built in, or is set in the environment of a program for tests, is not a public key.
    BadKey,
    /// The update could not be fetched.
    Unreachable(Box<Outage>),
    /// The fetched file is longer than it may be.
    TooLong {
        /// The address of the file.
        url: String,
    },
    /// The manifest's signature is not that of a key which was built in.
    Unsigned,
    /// The manifest is signed, but this version can't read it.
    Unreadable {
        /// Reason, such as the parser's message.
        cause: String,
    },
    /// The manifest has expired.
    Expired {
        /// Time at which it expired.
        at: Timestamp,
    },
    /// The manifest is older than one that was seen before.
    Replayed {
        /// The version that was seen.
        seen: Version,
        /// The version that it names.
        told: Version,
    },
    /// The newest version is not newer than this program.
    Downgrade {
        /// The newest version.
        newest: Version,
        /// This program's version.
        here: Version,
    },
    /// There is no file for this system.
    NoFile {
        /// The system, such as `linux-x86_64`.
        target: String,
    },
    /// A package manager installs and updates this program.
    Managed {
        /// Name of the package manager, such as `Homebrew`.
        by: &'static str,
        /// The command that updates it.
        command: String,
    },
    /// This user may not change the program's folder.
    ReadOnly {
        /// The program.
        program: PathBuf,
    },
    /// Another update is at work in the same folder.
    Busy,
    /// A file can't be read or written.
    File {
        /// The file.
        path: PathBuf,
        /// Cause of the failure.
        cause: io::Error,
    },
    /// The fetched file does not match the manifest.
    Corrupt,
    /// The new program doesn't start on this machine.
    Broken {
        /// Description of the failure.
        cause: String,
    },
}

impl UpdateError {
    /// Converts the error of a failed request into that of an update.
    pub fn of(error: Error) -> Error {
        match error {
            Error::Unavailable(outage) => Self::Unreachable(outage).into(),
            other => other,
        }
    }

    /// Returns the stable error code for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NoKey => "update_not_built_in",
            Self::BadKey => "update_key_invalid",
            Self::Unreachable(_) => "update_unreachable",
            Self::TooLong { .. } => "update_too_long",
            Self::Unsigned => "update_unsigned",
            Self::Unreadable { .. } => "update_unreadable",
            Self::Expired { .. } => "update_expired",
            Self::Replayed { .. } => "update_replayed",
            Self::Downgrade { .. } => "update_downgrade",
            Self::NoFile { .. } => "update_no_file",
            Self::Managed { .. } => "update_managed",
            Self::ReadOnly { .. } => "update_read_only",
            Self::Busy => "update_busy",
            Self::File { .. } => "update_file_failed",
            Self::Corrupt => "update_corrupt",
            Self::Broken { .. } => "update_broken",
        }
    }

    /// Returns true if no update is possible, but nothing is broken.
    pub fn is_no(&self) -> bool {
        matches!(
            self,
            Self::NoKey | Self::Downgrade { .. } | Self::NoFile { .. } | Self::Managed { .. } | Self::ReadOnly { .. }
        )
    }

    /// Returns the remedy.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::NoKey | Self::BadKey => "Update it the way it was installed.".into(),
            Self::Unreachable(outage) => match outage.fault {
                Fault::Proxy | Fault::Roots | Fault::Expired | Fault::Authority => outage.fault.hint().into(),
                _ => "Check the network, and CODITECT_UPDATE_URL if it is set; then `coditect self update` again.".into(),
            },
            Self::TooLong { .. } | Self::Unsigned | Self::Unreadable { .. } | Self::Corrupt => {
                "`coditect self update` again in a few minutes; if it stays so, don't install from there, and tell support."
                    .into()
            }
            Self::Expired { .. } => {
                "Check this machine's clock with `date`. If it is right, somebody may be holding updates back, or a mirror is not \
                 kept up: tell your admin."
                    .into()
            }
            Self::Replayed { .. } => {
                "`coditect self update` again in a few minutes; if it stays so, somebody may be holding updates back.".into()
            }
            Self::Downgrade { .. } => "`coditect self update --check` says which version is the newest.".into(),
            Self::NoFile { .. } => "Build it from source on this system.".into(),
            Self::Managed { command, .. } => format!("`{command}` updates it."),
            Self::ReadOnly { program } => format!("`sudo {} self update` may.", program.display()),
            Self::Busy => "`coditect --version` shows when it is done.".into(),
            Self::File { .. } => "Mend that, then `coditect self update` again.".into(),
            Self::Broken { .. } => "`coditect self update --check` shows which version that is; tell support.".into(),
        }
    }
}

impl fmt::Display for UpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey => f.write_str("This coditect was built without the key that updates are checked with."),
            Self::BadKey => f.write_str("The key that updates are checked with is not a minisign public key."),
            Self::Unreachable(outage) => {
                write!(f, "The update cannot be fetched from {} ({}).", outage.url, outage.cause)
            }
            Self::TooLong { url } => write!(f, "What is at {url} is longer than it may be, so it is not used."),
            Self::Unsigned => f.write_str("The update is not signed by CODITECT, so nothing of it is used."),
            Self::Unreadable { cause } => write!(f, "What is said about the update cannot be read: {cause}."),
            Self::Expired { at } => {
                write!(f, "What is said about the update was to be believed until {at}, so it is not used.")
            }
            Self::Replayed { seen, told } => write!(
                f,
                "The update server offers coditect {told} as the newest, in a message from before the one about {seen} that was \
                 seen here already, so it is not believed."
            ),
            Self::Downgrade { newest, here } => {
                write!(f, "The newest coditect is {newest}, and this is {here}; an older one is never installed.")
            }
            Self::NoFile { target } => write!(f, "The newest coditect was not released for {target}."),
            Self::Managed { by, .. } => write!(f, "This coditect was installed by {by}, which also updates it."),
            Self::ReadOnly { program } => write!(f, "This user may not replace {}.", program.display()),
            Self::Busy => f.write_str("Another update of this coditect is at work."),
            Self::File { path, cause } => write!(f, "{} cannot be used: {cause}.", path.display()),
            Self::Corrupt => f.write_str("What was fetched is not the file that was signed, so it is not installed."),
            Self::Broken { cause } => {
                write!(f, "The new coditect does not start on this machine ({cause}), so it is not installed.")
            }
        }
    }
}

impl From<UpdateError> for Error {
    fn from(error: UpdateError) -> Self {
        Self::Update(Box::new(error))
    }
}
