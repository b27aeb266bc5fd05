//! Owners of files and folders.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

/// Permission bits that let others than the owner in.
pub(crate) const OTHERS: u32 = 0o077;

/// Something that another user owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// The file or folder.
    pub(crate) path: PathBuf,
    /// The user's name.
    pub(crate) owner: String,
    /// True if this program made it or the folder that it is in.
    pub(crate) is_ours: bool,
}

impl Foreign {
    /// The sentence about it.
    pub(crate) fn sentence(&self) -> String {
        format!("{} belongs to {}.", self.path.display(), self.owner)
    }

    /// Returns the command that helps, if there is one.
    pub(crate) fn hint(&self) -> Option<String> {
        self.is_ours.then(|| chown(&self.path))
    }
}

/// Finds the part of a path that another user owns: the file, or else the folder that it would be in.
pub(crate) fn foreign(path: &Path) -> Option<Foreign> {
    let foreign = |path: &Path, found: &fs::Metadata, is_ours| Foreign {
        path: path.to_owned(),
        owner: name(found.uid()),
        is_ours,
    };
    let folder = path.parent()?;
    if let Ok(found) = fs::symlink_metadata(path)
        && !is_mine(found.uid())
    {
        return Some(foreign(path, &found, true));
    }
    let found = fs::metadata(folder).ok().filter(|found| !is_mine(found.uid()))?;
    // This program's folders are their owner's alone; the system's are not, and a user's whole home is not this program's.
    Some(foreign(folder, &found, found.mode() & OTHERS == 0 && !is_home_of_a_user(folder)))
}

/// The command that opens the first folder above a path which is one's own and shut to oneself, too; none where there is no such
/// folder.
pub(crate) fn reopen(path: &Path) -> Option<String> {
    let is_shut = |folder: &&Path| {
        fs::metadata(folder).is_ok_and(|found| found.is_dir() && is_mine(found.uid()) && found.mode() & ENTER != ENTER)
    };
    // Of a folder below one that is shut nothing is known.
    let folder = path.ancestors().find(is_shut)?;
    (!geteuid().is_root()).then(|| format!("`chmod u+rwx {}` lets you in again.", folder.display()))
}

/// The bits that let the owner list and enter a folder.
const ENTER: u32 = 0o500;

/// The command that makes something one's own.
pub(crate) fn chown(path: &Path) -> String {
    if geteuid().is_root() {
        return "Run `coditect` without `sudo`, as the user that the folder belongs to.".to_owned();
    }
    format!("`sudo chown -R \"$(id -un)\" {}` makes it yours. `coditect` needs no `sudo`.", path.display())
}

fn is_home_of_a_user(folder: &Path) -> bool {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    users.lines().filter_map(|line| line.split(':').nth(5)).any(|home| Path::new(home) == folder)
}

pub(crate) fn is_mine(uid: u32) -> bool {
    uid == geteuid().as_raw()
}

/// A user's name; its number where there is no name.
pub(crate) fn name(uid: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse::<u32>().ok()? == uid).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("user {uid}"))
}
