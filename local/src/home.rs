//! Home folder, which holds all files: readable by its owner alone, and written whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::geteuid;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::file_owner::{self, OTHERS, foreign, is_mine};
use crate::text::json;
use crate::{Error, HomeFault, random};

/// Maximum size of a file in bytes; a larger one was not written by this program.
const MAX_FILE_LEN: u64 = 1024 * 1024;

/// The lock for putting a new file in place on a file system without hard links.
const PLACING: &str = "placing.lock";

/// `~/.coditect`, or another folder. It is made when something is first written.
#[derive(Clone, Debug)]
pub struct Home {
    path: PathBuf,
}

impl Home {
    /// Returns the home folder at this path. Nothing is made yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Returns the folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of a file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a file for reading, but not through a link that another user has made.
    pub(crate) fn open(&self, name: &str) -> io::Result<File> {
        open(&self.file(name), OpenOptions::new().read(true))
    }

    /// Reads a file's content; none where there is no file.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.file(name);
        self.check()?;
        let file = match self.open(name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(Error::File { path, cause }),
        };
        // Metadata of the open file, not of the path, which could mean another file by now.
        let found = file.metadata().map_err(|cause| Error::file(&path, cause))?;
        let mode = found.mode();
        if mode & OTHERS != 0 {
            return Err(Error::Exposed { path, mode });
        }
        // With room for one byte more, so that the end is found without a larger buffer.
        let mut content = Vec::with_capacity(usize::try_from(found.len().min(MAX_FILE_LEN)).unwrap_or_default() + 1);
        file.take(MAX_FILE_LEN).read_to_end(&mut content).map_err(|cause| Error::file(&path, cause))?;
        Ok(Some(content))
    }

    /// Reads a file with JSON; one that cannot be parsed counts as missing.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        Ok(self.read(name)?.and_then(|text| json(&text).ok()))
    }

    /// Puts a file with JSON in place of the one of the same name.
    pub fn write_json(&self, name: &str, content: &impl Serialize) -> Result<(), Error> {
        self.write(name, &serde_json::to_vec(content).expect("texts with names, numbers and times are JSON"))
    }

    /// Returns true if there is a file, without opening it. One that others can read is refused.
    pub fn holds(&self, name: &str) -> Result<bool, Error> {
        self.check()?;
        let path = self.file(name);
        refuse_foreign_link(&path).map_err(|cause| Error::file(&path, cause))?;
        match fs::metadata(&path) {
            Ok(found) if found.mode() & OTHERS != 0 => Err(Error::Exposed { path, mode: found.mode() }),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(cause) => Err(Error::File { path, cause }),
        }
    }

    /// Reports whether there certainly is no such file. In a folder that cannot be entered there may be one.
    pub(crate) fn lacks_file(&self, name: &str) -> bool {
        fs::symlink_metadata(self.file(name)).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Reports whether there is anything at the folder's path, without looking at what.
    ///
    /// # Errors
    /// When a folder above cannot be entered, so that this is not known.
    pub(crate) fn is_there(&self) -> Result<bool, Error> {
        match fs::symlink_metadata(&self.path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(cause) => Err(Error::file(&self.path, cause)),
        }
    }

    /// Puts a file in place of the one of the same name, so that a reader, or a crash, finds the old one or the new one whole.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), Error> {
        let target = self.file(name);
        let written = self.write_aside(name, content)?;
        let placed = fs::rename(&written, &target).and_then(|()| self.sync());
        placed.map_err(|cause| {
            let _ = fs::remove_file(&written);
            Error::File { path: target, cause }
        })
    }

    /// Writes a new file, unless there is one of this name already: then that one stays, and the answer is `false`.
    pub(crate) fn write_new(&self, name: &str, content: &[u8]) -> Result<bool, Error> {
        let target = self.file(name);
        let written = self.write_aside(name, content)?;
        // A link, unlike a rename, does not replace; and unlike a file that is being written, it is whole at once.
        let placed = match fs::hard_link(&written, &target) {
            Err(error) if lacks_links(&error) => self.place_without_links(&written, &target),
            other => other,
        };
        let placed = placed.and_then(|()| self.sync());
        let _ = fs::remove_file(&written);
        match placed {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(cause) => Err(Error::File { path: target, cause }),
        }
    }

    /// Puts a new file in place by renaming, which replaces; so only one process at a time does it, after a check.
    fn place_without_links(&self, written: &Path, target: &Path) -> io::Result<()> {
        let _held = self.lock(PLACING).ok();
        match fs::symlink_metadata(target) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(written, target),
            Err(cause) => Err(cause),
        }
    }

    /// Lists the features that the folder's file system lacks, for people. A file is written to find out.
    pub(crate) fn lacks(&self) -> Result<Vec<&'static str>, Error> {
        let written = self.write_aside("doctor", b"")?;
        let linked = written.with_extension("linked");
        let mut lacks = Vec::new();
        if fs::hard_link(&written, &linked).is_err_and(|error| lacks_links(&error)) {
            lacks.push("no hard links, so new files are put in place by renaming");
        }
        if File::open(&self.path).and_then(|folder| folder.sync_all()).is_err() {
            lacks.push("no way to write folders through to the disk, so the latest change may be lost with the power");
        }
        let _ = fs::remove_file(&linked);
        let _ = fs::remove_file(&written);
        Ok(lacks)
    }

    /// Deletes a file, if there is one.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.file(name);
        match fs::remove_file(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(Error::File { path, cause }),
            _ => Ok(()),
        }
    }

    /// Creates a file that others than its owner cannot read, without opening one that is there already: closing a file
    /// releases every lock that the process has on it.
    pub(crate) fn reserve(&self, name: &str) -> Result<(), Error> {
        if self.holds(name)? { Ok(()) } else { self.write_new(name, b"").map(drop) }
    }

    /// Opens an empty file to hold locks on, and creates it where there is none.
    pub fn lock_file(&self, name: &str) -> Result<File, Error> {
        self.make()?;
        let path = self.file(name);
        let opened = open(&path, OpenOptions::new().read(true).append(true).create(true).mode(0o600));
        // Where nothing can be written, an existing file still serves.
        let opened = opened.or_else(|cause| match cause.kind() {
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                open(&path, OpenOptions::new().read(true)).map_err(|_| cause)
            }
            _ => Err(cause),
        });
        opened.map_err(|cause| Error::File { path, cause })
    }

    /// Waits until no other process holds this lock, and holds it for as long as the file is open.
    pub fn lock(&self, name: &str) -> Result<File, Error> {
        let file = self.lock_file(name)?;
        match file.lock() {
            // Where the file system has no locks, processes are kept apart as far as possible.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(file),
            other => other.map(|()| file).map_err(|cause| Error::file(&self.file(name), cause)),
        }
    }

    fn write_aside(&self, name: &str, content: &[u8]) -> Result<PathBuf, Error> {
        self.make()?;
        let path = self.file(&format!(".{name}.{}", random::name()));
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(content)?;
            file.sync_all()
        };
        write().map_err(|cause| {
            let _ = fs::remove_file(&path);
            // The path that the file was to have; its temporary one is of no use to the user.
            Error::File { path: self.file(name), cause }
        })?;
        Ok(path)
    }

    fn make(&self) -> Result<(), Error> {
        self.check()?;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.path);
        made.map_err(|cause| Error::file(&self.path, cause))?;
        let found = fs::metadata(&self.path).map_err(|cause| Error::file(&self.path, cause))?;
        if found.mode() & OTHERS != 0 {
            // The folder is empty, or it would have been refused.
            let made = fs::set_permissions(&self.path, Permissions::from_mode(0o700));
            made.map_err(|cause| Error::file(&self.path, cause))?;
        }
        Ok(())
    }

    /// Refuses a folder that cannot be the user's own and private.
    ///
    /// # Errors
    /// [`Error::Home`], [`Error::Exposed`] or [`Error::File`], which every command that uses the folder ends with.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let fault = |fault| Err(Error::Home { path: self.path.clone(), fault });
        if self.path.iter().next().is_some_and(|first| first.as_encoded_bytes().starts_with(b"~")) {
            return fault(HomeFault::Tilde);
        }
        if geteuid().is_root() {
            // A folder above must not lead root elsewhere either.
            for above in self.path.ancestors().skip(1) {
                refuse_foreign_link(above).map_err(|cause| Error::file(above, cause))?;
            }
        }
        let is_link = refuse_foreign_link(&self.path).map_err(|cause| Error::file(&self.path, cause))?;
        let found = match fs::metadata(&self.path) {
            Ok(found) => found,
            Err(error) if is_link && error.kind() == io::ErrorKind::NotFound => {
                return fault(HomeFault::Dangling { to: fs::read_link(&self.path).unwrap_or_default() });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(cause) => return Err(Error::file(&self.path, cause)),
        };
        if !found.is_dir() {
            return fault(HomeFault::NoFolder);
        }
        // Root can make any folder private: that of a container's volume, say.
        let can_mend = is_mine(found.uid()) || geteuid().is_root();
        if found.mode() & OTHERS == 0 || (can_mend && is_empty(&self.path)) {
            return Ok(());
        }
        match foreign(&self.path) {
            Some(foreign) if !can_mend => fault(HomeFault::Foreign { owner: foreign.owner }),
            _ => Err(Error::Exposed { path: self.path.clone(), mode: found.mode() }),
        }
    }

    /// Syncs the folder to disk, which makes a rename durable. Some file systems cannot do that for folders.
    fn sync(&self) -> io::Result<()> {
        match File::open(&self.path)?.sync_all() {
            Err(error) if lacks_folder_sync(&error) => Ok(()),
            other => other,
        }
    }
}

/// Opens a file, but not through a link that another user has made: root must not be led elsewhere.
fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let is_own_link = refuse_foreign_link(path)?;
    if !is_own_link {
        // The system refuses a path that has become a link since the check.
        options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    }
    options.open(path)
}

/// Reports whether the path is a link; refuses one that another user than root has made.
pub(crate) fn refuse_foreign_link(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() && !is_mine(found.uid()) && found.uid() != 0 => {
            let owner = file_owner::name(found.uid());
            Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("it is a link that {owner} has made")))
        }
        Ok(found) => Ok(found.is_symlink()),
        Err(_) => Ok(false),
    }
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Reports whether an error means that the file system has no hard links, as some of networks, containers, cameras and phones.
fn lacks_links(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_io_error(error);
    [Errno::PERM, Errno::OPNOTSUPP, Errno::NOSYS, Errno::MLINK, Errno::XDEV, Errno::INVAL, Errno::ACCESS]
        .into_iter()
        .any(|lacking| errno == Some(lacking))
}

fn lacks_folder_sync(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_io_error(error);
    [Errno::INVAL, Errno::OPNOTSUPP, Errno::NOSYS, Errno::BADF, Errno::ISDIR, Errno::ACCESS, Errno::PERM]
        .into_iter()
        .any(|lacking| errno == Some(lacking))
}

#[cfg(test)]
mod tests;
