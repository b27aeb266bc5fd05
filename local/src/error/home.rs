//! Faults of the folder that everything is kept in.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::file_owner::chown;

/// Why a folder cannot be the home folder.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HomeFault {
    /// It begins with a `~` that no shell has replaced.
    Tilde,
    /// It is a link to nothing.
    Dangling {
        /// Where the link leads.
        to: PathBuf,
    },
    /// It is a file.
    NoFolder,
    /// It belongs to another user, and others can read it.
    Foreign {
        /// The user's name.
        owner: String,
    },
}

impl HomeFault {
    pub(crate) fn write(&self, f: &mut fmt::Formatter<'_>, path: &Path) -> fmt::Result {
        let path = path.display();
        match self {
            Self::Tilde => {
                write!(f, "{path} cannot be the home folder: no shell has put your own folder in the place of the ~.")
            }
            Self::Dangling { to } => {
                write!(f, "{path} cannot be the home folder: it is a link to {}, which does not exist.", to.display())
            }
            Self::NoFolder => write!(f, "{path} cannot be the home folder: it is a file."),
            Self::Foreign { owner } => {
                write!(f, "{path} cannot be the home folder: it belongs to {owner}, and others can read it.")
            }
        }
    }

    pub(crate) fn hint(&self, path: &Path) -> String {
        let shown = path.display();
        match self {
            Self::Tilde => {
                let rest: PathBuf = path.iter().skip(1).collect();
                let rest = if rest.as_os_str().is_empty() { Path::new(".coditect") } else { &rest };
                format!("`export CODITECT_HOME=\"$HOME/{}\"` names your own folder in any case.", rest.display())
            }
            Self::Dangling { to } => {
                let to = path.parent().unwrap_or(Path::new("")).join(to);
                format!("`mkdir -p -m 700 {}` makes the folder; `rm {shown}` removes the link.", to.display())
            }
            Self::NoFolder => format!("`mv {shown} {shown}.old` moves it away; or name a folder with CODITECT_HOME."),
            Self::Foreign { .. } => chown(path),
        }
    }
}
