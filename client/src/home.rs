//! The folder that everything is kept in: readable by its owner alone, and written whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::Error;

/// Nothing that is kept is larger; what is, was not written by this program.
const MAX_FILE_LEN: u64 = 1024 * 1024;

/// The bits that let others than the owner in.
pub(crate) const OTHERS: u32 = 0o077;

/// `~/.coditect`, or another folder. It is made when something is first written.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    path: PathBuf,
}

impl Home {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A file's content; none where there is no file.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.file(name);
        self.refuse_if_exposed()?;
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(Error::File { path, cause }),
        };
        // Of the open file, not of the path, which could mean another file by now.
        let found = file.metadata().map_err(|cause| Error::file(&path, cause))?;
        let mode = found.mode();
        if mode & OTHERS != 0 {
            return Err(Error::Exposed { path, mode });
        }
        // With room for its end, so that it is read at once.
        let mut content = Vec::with_capacity(usize::try_from(found.len().min(MAX_FILE_LEN)).unwrap_or_default() + 1);
        file.take(MAX_FILE_LEN).read_to_end(&mut content).map_err(|cause| Error::file(&path, cause))?;
        Ok(Some(content))
    }

    /// Whether there is a file, without opening it. One that others can read is refused.
    pub(crate) fn holds(&self, name: &str) -> Result<bool, Error> {
        self.refuse_if_exposed()?;
        let path = self.file(name);
        match fs::metadata(&path) {
            Ok(found) if found.mode() & OTHERS != 0 => Err(Error::Exposed { path, mode: found.mode() }),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(cause) => Err(Error::File { path, cause }),
        }
    }

    /// Puts a file in place of the one of the same name, so that a reader, or a crash, finds the old one or the new one whole.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> Result<(), Error> {
        let target = self.file(name);
        let written = self.write_aside(name, content)?;
        let placed = fs::rename(&written, &target).and_then(|()| self.sync());
        placed.map_err(|cause| {
            let _ = fs::remove_file(&written);
            Error::File { path: target, cause }
        })
    }

    /// The same, unless there is such a file already: then it stays, and the answer is `false`.
    pub(crate) fn write_new(&self, name: &str, content: &[u8]) -> Result<bool, Error> {
        let target = self.file(name);
        let written = self.write_aside(name, content)?;
        // A link, unlike a rename, does not replace; and unlike a file that is being written, it is whole at once.
        let placed = fs::hard_link(&written, &target).and_then(|()| self.sync());
        let _ = fs::remove_file(&written);
        match placed {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(cause) => Err(Error::File { path: target, cause }),
        }
    }

    /// Deletes a file, if there is one.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.file(name);
        match fs::remove_file(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(Error::File { path, cause }),
            _ => Ok(()),
        }
    }

    /// Sees to it that there is a file that others than its owner cannot read, without opening it where there is one:
    /// closing a file lets go of every lock that the process has on it.
    pub(crate) fn reserve(&self, name: &str) -> Result<(), Error> {
        if self.holds(name)? { Ok(()) } else { self.write_new(name, b"").map(drop) }
    }

    /// An empty file to hold locks on.
    pub(crate) fn lock_file(&self, name: &str) -> Result<File, Error> {
        self.make()?;
        let path = self.file(name);
        let open = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path);
        // Where nothing can be written, one that is there still serves.
        let open = open.or_else(|cause| match cause.kind() {
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => File::open(&path).map_err(|_| cause),
            _ => Err(cause),
        });
        open.map_err(|cause| Error::File { path, cause })
    }

    fn write_aside(&self, name: &str, content: &[u8]) -> Result<PathBuf, Error> {
        self.make()?;
        let path = self.file(&format!(".{name}.{}", Uuid::now_v7().simple()));
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(content)?;
            file.sync_all()
        };
        write().map_err(|cause| {
            let _ = fs::remove_file(&path);
            // What it was to become; its name meanwhile is of use to nobody.
            Error::File { path: self.file(name), cause }
        })?;
        Ok(path)
    }

    fn make(&self) -> Result<(), Error> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.path);
        made.map_err(|cause| Error::file(&self.path, cause))?;
        self.refuse_if_exposed()
    }

    fn refuse_if_exposed(&self) -> Result<(), Error> {
        match fs::metadata(&self.path) {
            Ok(found) if found.mode() & OTHERS != 0 => {
                Err(Error::Exposed { path: self.path.clone(), mode: found.mode() })
            }
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(cause) => Err(Error::file(&self.path, cause)),
        }
    }

    /// A rename is durable once its folder is.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}
