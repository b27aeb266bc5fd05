//! Reading where nothing can be written: a read-only home, a full disk.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{Database, version};
use crate::home::Home;
use crate::random;

/// Reports whether a file cannot be created because its folder or file system is not writable.
pub(super) fn is_unwritable(error: &io::Error) -> bool {
    // Errors that this program makes itself, such as for another user's link, have no number.
    error.raw_os_error().is_some()
        && matches!(
            error.kind(),
            io::ErrorKind::ReadOnlyFilesystem
                | io::ErrorKind::PermissionDenied
                | io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
        )
}

/// Reports whether the file may still be readable, and only its location is not writable.
pub(crate) fn may_be_readable(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::SystemIoFailure
                | ErrorCode::DiskFull
                | ErrorCode::PermissionDenied
        )
    )
}

impl Database {
    /// Opens an empty database that cannot be written, in place of a missing one.
    pub(super) fn nothing(self) -> rusqlite::Result<Connection> {
        let connection = Connection::open_in_memory()?;
        self.shape(&connection)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }

    /// A connection that changes nothing, not even a lock: to the file itself, or, where there is a log, to a copy of both.
    /// None if a newer version has written the file.
    pub(crate) fn connect_to_read(self, home: &Home) -> rusqlite::Result<Option<Connection>> {
        let newest = self.steps().len();
        if self.log_len(home) == 0 {
            let (path, follow) = self.path(home);
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(immutable(&path), flags | follow)?;
            match version(&connection)? {
                found if found == newest => return Ok(Some(connection)),
                found if found > newest => return Ok(None),
                _ => {}
            }
        }
        let folder = std::env::temp_dir().join(format!("coditect-{}", random::name()));
        let copied = self.copy_to(home, &folder).map_err(|_| rusqlite::Error::InvalidPath(folder.clone()));
        let connection = copied.and_then(|()| self.connect_to_copy(&folder));
        // Files that are open stay readable.
        let _ = fs::remove_dir_all(&folder);
        connection
    }

    fn copy_to(self, home: &Home, folder: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(folder)?;
        for name in [self.file().to_owned(), format!("{}-wal", self.file())] {
            let mut file = match home.open(&name) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            io::copy(&mut file, &mut File::create_new(folder.join(&name))?)?;
        }
        Ok(())
    }

    fn connect_to_copy(self, folder: &Path) -> rusqlite::Result<Option<Connection>> {
        let connection = Connection::open(folder.join(self.file()))?;
        // So that there is no index of the log, which would be a third file.
        connection.pragma_update(None, "locking_mode", "exclusive")?;
        if version(&connection)? > self.steps().len() {
            return Ok(None);
        }
        self.shape(&connection)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(Some(connection))
    }
}

/// Builds the SQLite URI of a file that no process changes.
fn immutable(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-');
    let one = |byte: &u8| if plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") };
    let path: String = path.as_os_str().as_bytes().iter().map(one).collect();
    format!("file:{path}?immutable=1")
}
