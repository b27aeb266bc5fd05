//! Errors of the context on this machine and its sync.

use std::fmt;
use std::path::{Path, PathBuf};

use protocol::content::ContentError;
use protocol::id::TextError;
use protocol::wire::MAX_CONTENT_BYTES;

use crate::file_owner::{Foreign, foreign};

/// Error of an operation on the context.
#[derive(Debug)]
#[non_exhaustive]
pub enum ContextError {
    /// A database cannot be read or written.
    Database {
        /// The file.
        path: PathBuf,
        /// The message of SQLite.
        cause: String,
    },
    /// A database is damaged.
    Damaged {
        /// The file.
        path: PathBuf,
        /// The message of SQLite.
        cause: String,
    },
    /// A newer version of this program has written the file.
    Newer {
        /// The file.
        path: PathBuf,
    },
    /// An id, or another short text, that is invalid.
    Text(TextError),
    /// A content that is not JSON.
    NotJson {
        /// The message of the parser.
        cause: String,
    },
    /// A content that is invalid.
    Content(ContentError),
    /// A content that is not a JSON object.
    NoObject,
    /// A content that is too large.
    TooLarge {
        /// Its size in bytes as canonical JSON.
        bytes: usize,
    },
    /// Records of this kind come from the cloud alone.
    ReadOnly,
    /// The record's content is encrypted with a key that is not here.
    Locked,
    /// There is no such record here.
    NotFound {
        /// Its kind and id, for people.
        what: String,
    },
    /// The typed text is a prefix of several records' ids.
    Ambiguous {
        /// Their kind and the prefix, for people.
        what: String,
        /// Some of them.
        ids: String,
    },
    /// There is such a record already, with another content.
    Exists {
        /// Its kind and id, for people.
        what: String,
    },
    /// Sync has not been turned on.
    Off,
    /// Another process syncs at this moment.
    Busy,
    /// The context on this machine belongs to another organization than the license key.
    OtherTenant,
}

impl ContextError {
    /// Returns the stable error code for programs.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Database { .. } | Self::Damaged { .. } => "database_failed",
            Self::Newer { .. } => "newer_database",
            Self::Text(_) => "invalid_text",
            Self::Content(_) | Self::NoObject | Self::NotJson { .. } => "invalid_content",
            Self::TooLarge { .. } => "content_too_large",
            Self::ReadOnly => "read_only_kind",
            Self::Locked => "record_locked",
            Self::NotFound { .. } => "record_not_found",
            Self::Ambiguous { .. } => "ambiguous_id",
            Self::Exists { .. } => "record_exists",
            Self::Off => "sync_off",
            Self::Busy => "sync_busy",
            Self::OtherTenant => "other_organisation",
        }
    }

    /// Returns true if the error is in the user's input.
    pub fn is_wrong_usage(&self) -> bool {
        matches!(
            self,
            Self::Text(_)
                | Self::NotJson { .. }
                | Self::Content(_)
                | Self::NoObject
                | Self::TooLarge { .. }
                | Self::Ambiguous { .. }
        )
    }

    /// Returns the command that helps.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Database { path, .. } => foreign_file(path).and_then(|foreign| foreign.hint()).unwrap_or_else(|| {
                format!("`df -h {0}` and `ls -l {0}*` show whether it has space and can be written.", path.display())
            }),
            Self::Damaged { .. } => {
                "`coditect doctor --fix` makes it new with what can be read of it, and keeps the damaged files.".into()
            }
            Self::Newer { .. } => "Update coditect; `coditect --version` prints the version that is installed.".into(),
            Self::Text(_) => {
                "`coditect task --help`, and the same of decision and learning, shows what can be said.".into()
            }
            Self::Content(_) | Self::NoObject | Self::NotJson { .. } => {
                "`--content '{\"title\": \"…\"}'` is an example.".into()
            }
            Self::TooLarge { .. } => "Keep the text in a file, and `--content` short.".into(),
            Self::Locked => "`coditect sync keys import FILE` takes over another machine's key, and opens it.".into(),
            Self::ReadOnly => "`coditect sync pull` fetches what is new of them.".into(),
            Self::NotFound { what } => format!("`coditect {} list` shows what there is.", noun(what)),
            Self::Ambiguous { .. } => "Type more of the id that you mean.".into(),
            Self::Exists { what } => format!("`coditect {} edit ID …` changes it.", noun(what)),
            Self::Off => "`coditect config set sync on` turns it on.".into(),
            Self::Busy => "`coditect sync status` shows how far it is.".into(),
            Self::OtherTenant => {
                "`coditect --home DIR …`, or CODITECT_HOME, keeps another organization's context apart.".into()
            }
        }
    }
}

/// Finds the first of a database's files, or its folder, that another user owns.
fn foreign_file(path: &Path) -> Option<Foreign> {
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let exists = |path: &PathBuf| path.exists();
    ["-wal", "-shm"]
        .map(beside)
        .iter()
        .filter(|path| exists(path))
        .chain([&path.to_owned()])
        .find_map(|path| foreign(path))
}

/// Returns the command line's word for a record's kind, given its kind and id.
fn noun(what: &str) -> &str {
    what.split(' ').next().unwrap_or_default()
}

impl fmt::Display for ContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database { path, cause } => {
                write!(f, "{} cannot be used: {cause}.", path.display())?;
                foreign_file(path).map_or(Ok(()), |foreign| write!(f, " {}", foreign.sentence()))
            }
            Self::Damaged { path, cause } => write!(f, "{} is damaged: {cause}.", path.display()),
            Self::Newer { path } => {
                write!(f, "{} was written by a newer version of this program, so it is left alone.", path.display())
            }
            Self::Text(error) => error.fmt(f),
            Self::NotJson { cause } => write!(f, "The content is not JSON: {cause}."),
            Self::Content(error) => error.fmt(f),
            Self::NoObject => f.write_str("A content is a JSON object, and this is none."),
            Self::TooLarge { bytes } => {
                write!(f, "The content has {bytes} bytes, and {MAX_CONTENT_BYTES} is the most that the cloud takes.")
            }
            Self::Locked => f.write_str("The record is encrypted and can't be read here, so it can't be changed either."),
            Self::ReadOnly => f.write_str("Components come from the cloud, and are not changed here."),
            Self::NotFound { what } => write!(f, "There is no {what} here."),
            Self::Ambiguous { what, ids } => write!(f, "More than one id begins like {what}: {ids}."),
            Self::Exists { what } => write!(f, "There is a {what} already, and it says something else."),
            Self::Off => f.write_str("Sync is off. What you change is kept here and will be sent when it is on."),
            Self::Busy => f.write_str("Another coditect is syncing at this moment."),
            Self::OtherTenant => f.write_str(
                "The context that is kept here belongs to another organization than your license key, so nothing was sent.",
            ),
        }
    }
}

impl From<TextError> for super::Error {
    fn from(error: TextError) -> Self {
        ContextError::Text(error).into()
    }
}

impl From<ContextError> for super::Error {
    fn from(error: ContextError) -> Self {
        Self::Context(error)
    }
}
