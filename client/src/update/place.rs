//! Replaces this program's file: the new one is written beside it, and then renamed over it atomically.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use local::child::wait_until;
use local::random;
use semver::Version;
use sha2::{Digest, Sha256};

use super::manifest::ReleasedFile;
use crate::UpdateError;

/// Prefix of the name of a program that is not in its place yet.
const ASIDE: &str = ".coditect-update-";

/// Time that a program has to print its version, also from a cold disk.
const VERSION_TIMEOUT: Duration = Duration::from_secs(20);

/// This program's file and folder.
#[derive(Debug)]
pub(super) struct Place {
    program: PathBuf,
    folder: PathBuf,
}

/// A new program beside the old one, which is removed on drop unless it was put in the old one's place.
pub(super) struct NewProgram<'a, P> {
    place: &'a Place,
    path: PathBuf,
    /// None once it is complete: a file that is open for writing can't be run.
    file: Option<File>,
    progress: P,
    total: u64,
    hash: Sha256,
    size: u64,
}

impl Place {
    /// Finds this program's file: the file itself, if the program was started by a symbolic link.
    pub(super) fn find() -> Result<Self, UpdateError> {
        let found = std::env::current_exe().and_then(fs::canonicalize);
        let program = found.map_err(|cause| UpdateError::File { path: "This program".into(), cause })?;
        let folder = program.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Self { program, folder })
    }

    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// Locks out other updates for as long as the file is open, and removes the leftovers of one that was killed. None where the
    /// file system has no locks: two updates at once do each other no harm; only leftovers stay.
    pub(super) fn lock(&self) -> Result<Option<File>, UpdateError> {
        let folder = File::open(&self.folder).map_err(|cause| self.fault(cause))?;
        let lock = match folder.try_lock() {
            Ok(()) => Some(folder),
            Err(TryLockError::WouldBlock) => return Err(UpdateError::Busy),
            Err(TryLockError::Error(_)) => None,
        };
        if lock.is_some() {
            let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
            for left in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(ASIDE)) {
                let _ = fs::remove_file(left.path());
            }
        }
        Ok(lock)
    }

    /// Creates an empty file beside the program, for its owner alone until it is complete.
    pub(super) fn begin<P: FnMut(u64, u64)>(&self, total: u64, progress: P) -> Result<NewProgram<'_, P>, UpdateError> {
        let path = self.folder.join(format!("{ASIDE}{}", random::name()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = Some(file.map_err(|cause| self.fault(cause))?);
        Ok(NewProgram { place: self, path, file, progress, total, hash: Sha256::new(), size: 0 })
    }

    fn fault(&self, cause: io::Error) -> UpdateError {
        match cause.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                UpdateError::ReadOnly { program: self.program.clone() }
            }
            _ => UpdateError::File { path: self.folder.clone(), cause },
        }
    }
}

impl<P: FnMut(u64, u64)> Write for NewProgram<'_, P> {
    fn write(&mut self, some: &[u8]) -> io::Result<usize> {
        let count = self.file.as_mut().map_or(Ok(0), |file| file.write(some))?;
        self.hash.update(&some[..count]);
        self.size += count as u64;
        (self.progress)(self.size, self.total);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), File::flush)
    }
}

impl<P> NewProgram<'_, P> {
    /// Checks the size and the SHA-256, sets the old program's permissions, and syncs the file to disk.
    pub(super) fn finish(&mut self, expected: &ReleasedFile) -> Result<(), UpdateError> {
        let hash = format!("{:x}", self.hash.finalize_reset());
        if self.size != expected.size || !hash.eq_ignore_ascii_case(&expected.sha256) {
            return Err(UpdateError::Corrupt);
        }
        let Some(file) = self.file.take() else { return Ok(()) };
        let mode = fs::metadata(&self.place.program).map(|old| old.permissions().mode() & 0o777);
        let kept =
            mode.and_then(|mode| file.set_permissions(fs::Permissions::from_mode(mode))).and_then(|()| file.sync_all());
        kept.map_err(|cause| UpdateError::File { path: self.path.clone(), cause })
    }

    /// Starts the program once, and checks that it reports this version.
    pub(super) fn start_once(&self, version: &Version) -> Result<(), UpdateError> {
        let broken = |cause: String| UpdateError::Broken { cause };
        let mut command = Command::new(&self.path);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().map_err(|error| broken(error.to_string()))?;
        match wait_until(Instant::now() + VERSION_TIMEOUT, &mut process) {
            Ok(Some(_)) => {}
            Ok(None) => return Err(broken("it does not end".to_owned())),
            Err(error) => return Err(broken(error.to_string())),
        }
        let output = process.wait_with_output().map_err(|error| broken(error.to_string()))?;
        let says = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return Err(broken(output.status.to_string()));
        }
        if says.trim() != format!("coditect {version}") {
            let says: String = says.trim().chars().take(40).collect();
            return Err(broken(format!("it says that it is {says:?}")));
        }
        Ok(())
    }

    /// Renames the new program over the old one atomically, and returns its path.
    pub(super) fn put_in_place(self) -> Result<PathBuf, UpdateError> {
        fs::rename(&self.path, &self.place.program).map_err(|cause| self.place.fault(cause))?;
        // A rename is durable once its folder is synced; one that isn't leaves the old program, which is as good.
        let _ = File::open(&self.place.folder).and_then(|folder| folder.sync_all());
        Ok(self.place.program.clone())
    }
}

impl<P> Drop for NewProgram<'_, P> {
    fn drop(&mut self) {
        // After the rename it is not there any more.
        let _ = fs::remove_file(&self.path);
    }
}
