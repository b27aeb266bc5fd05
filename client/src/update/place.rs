//! Replaces this program's file: the new one is written beside it, and then renamed over it atomically.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use semver::Version;
use sha2::{Digest, Sha256};

use super::UpdateError;
use super::manifest::ReleasedFile;
use crate::random;

/// Prefix of the name of a program that is not in its place yet.
const ASIDE: &str = ".coditect-update-";

/// Time that a program has to print its version, also from a cold disk.
const PATIENCE: Duration = Duration::from_secs(20);

/// Interval at which the started program is polled.
const LOOK: Duration = Duration::from_millis(5);

/// This program's file and folder.
#[derive(Debug)]
pub(super) struct Place {
    program: PathBuf,
    folder: PathBuf,
}

/// A place that is locked against other updates.
pub(super) struct Locked {
    place: Place,
    _lock: Option<File>,
}

/// A new program that is being written beside the old one.
pub(super) struct Writing<'a, P> {
    locked: &'a Locked,
    aside: Aside,
    file: File,
    expected: &'a ReleasedFile,
    progress: P,
    hash: Sha256,
    size: u64,
}

/// A written program that matches the manifest.
pub(super) struct Written<'a> {
    locked: &'a Locked,
    aside: Aside,
}

/// Path of the new program, which is removed on drop if it was not renamed.
struct Aside(PathBuf);

impl Drop for Aside {
    fn drop(&mut self) {
        // After the rename it is not there any more.
        let _ = fs::remove_file(&self.0);
    }
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

    /// Locks out other updates for as long as the value lives, and removes the leftovers of one that was killed.
    pub(super) fn lock(self) -> Result<Locked, UpdateError> {
        let folder = File::open(&self.folder).map_err(|cause| self.fault(cause))?;
        let lock = match folder.try_lock() {
            Ok(()) => Some(folder),
            Err(TryLockError::WouldBlock) => return Err(UpdateError::Busy),
            // Some file systems have no locks. Two updates at once do each other no harm; only leftovers stay.
            Err(TryLockError::Error(_)) => None,
        };
        if lock.is_some() {
            let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
            for left in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(ASIDE)) {
                let _ = fs::remove_file(left.path());
            }
        }
        Ok(Locked { place: self, _lock: lock })
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

impl Locked {
    /// Creates an empty file beside the program, for its owner alone until it is complete.
    pub(super) fn begin<'a, P: FnMut(u64, u64)>(
        &'a self,
        expected: &'a ReleasedFile,
        progress: P,
    ) -> Result<Writing<'a, P>, UpdateError> {
        let path = self.place.folder.join(format!("{ASIDE}{}", random::name()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|cause| self.place.fault(cause))?;
        Ok(Writing { locked: self, aside: Aside(path), file, expected, progress, hash: Sha256::new(), size: 0 })
    }
}

impl<P: FnMut(u64, u64)> Write for Writing<'_, P> {
    fn write(&mut self, some: &[u8]) -> io::Result<usize> {
        let count = self.file.write(some)?;
        self.hash.update(&some[..count]);
        self.size += count as u64;
        (self.progress)(self.size, self.expected.size);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl<'a, P> Writing<'a, P> {
    /// Checks the size and the SHA-256, sets the old program's permissions, and syncs the file to disk.
    pub(super) fn finish(self) -> Result<Written<'a>, UpdateError> {
        let Self { locked, aside, file, expected, hash, size, .. } = self;
        let hash = format!("{:x}", hash.finalize());
        if size != expected.size || !hash.eq_ignore_ascii_case(&expected.sha256) {
            return Err(UpdateError::Corrupt);
        }
        let mode = fs::metadata(&locked.place.program).map(|old| old.permissions().mode() & 0o777);
        let kept =
            mode.and_then(|mode| file.set_permissions(fs::Permissions::from_mode(mode))).and_then(|()| file.sync_all());
        kept.map_err(|cause| UpdateError::File { path: aside.0.clone(), cause })?;
        // Closed here: a file that is open for writing can't be run.
        Ok(Written { locked, aside })
    }
}

impl Written<'_> {
    /// Starts the program once, and checks that it reports this version.
    pub(super) fn start_once(&self, version: &Version) -> Result<(), UpdateError> {
        let broken = |cause: String| UpdateError::Broken { cause };
        let mut command = Command::new(&self.aside.0);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().map_err(|error| broken(error.to_string()))?;
        wait(&mut process).map_err(broken)?;
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
        let place = &self.locked.place;
        fs::rename(&self.aside.0, &place.program).map_err(|cause| place.fault(cause))?;
        // A rename is durable once its folder is synced; one that isn't leaves the old program, which is as good.
        let _ = File::open(&place.folder).and_then(|folder| folder.sync_all());
        Ok(place.program.clone())
    }
}

/// Waits until the process has ended, and kills it after [`PATIENCE`].
fn wait(process: &mut Child) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match process.try_wait() {
            Ok(Some(_)) => return Ok(()),
            Ok(None) if Instant::now() < deadline => thread::sleep(LOOK),
            ended => {
                let _ = process.kill();
                let _ = process.wait();
                return Err(ended.map_or_else(|error| error.to_string(), |_| "it does not end".to_owned()));
            }
        }
    }
}
