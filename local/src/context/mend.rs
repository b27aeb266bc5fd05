//! Repair of damaged databases: the files are kept aside, and a new database is made with the rows that can be read.
//!
//! A database is three files: itself, its log (`-wal`) and the log's index (`-shm`). The latest writes of agents' hooks are
//! in the log alone. SQLite deletes a log whose database is gone, so a database is never moved away from its log: all three
//! are copied to `damaged/`, the new one is made beside them, and takes the place of the old ones at the end.
//!
//! After a crash in between, the copy is there with the ending `.unfinished`, and the next attempt reads it, too.

mod pages;
mod rows;

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use serde::Serialize;

use super::Database;
use crate::home::Home;
use crate::{Error, random};

/// Folder of the damaged files.
const ASIDE: &str = "damaged";

/// Ending of a copy whose rows may not have been taken over yet.
const UNFINISHED: &str = ".unfinished";

/// Lock held while a database is made new.
const LOCK: &str = "mending.lock";

/// The result of repairing a damaged database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Mended {
    /// The database's name.
    pub database: &'static str,
    /// The number of records that could be read.
    pub records: u64,
    /// The number of changes that could be read and that the cloud does not have.
    pub changes: u64,
    /// Folder that holds the damaged files.
    pub kept: String,
}

impl Database {
    /// All databases.
    pub(crate) const ALL: [Self; 4] = [Self::Platform, Self::Org, Self::Sessions, Self::Projects];

    /// Makes the database new with what can be read of it, and keeps the damaged files.
    pub(crate) fn mend(self, home: &Home) -> Result<Mended, Error> {
        let _held = home.lock(LOCK)?;
        self.make_over(home)
    }

    /// Makes a database new that has lost its file, unless another process has done so by the time that the lock is free: since
    /// then, its log is in use.
    pub(crate) fn mend_lost(self, home: &Home) -> Result<Option<Mended>, Error> {
        let _held = home.lock(LOCK)?;
        if self.has_lost_its_file(home) { self.make_over(home).map(Some) } else { Ok(None) }
    }

    /// Copies the files aside, and puts a new database in their place. The caller holds the lock.
    fn make_over(self, home: &Home) -> Result<Mended, Error> {
        let aside = home.file(ASIDE).join(format!("{}-{}{UNFINISHED}", self.file(), random::name()));
        let failed = |cause: io::Error| Error::file(&aside, cause);
        DirBuilder::new().recursive(true).mode(0o700).create(&aside).map_err(failed)?;
        for file in self.files() {
            match fs::copy(home.file(&file), aside.join(&file)).and_then(|_| File::open(aside.join(&file))?.sync_all())
            {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other.map_err(failed)?,
            }
        }
        let new = self.new_file(home);
        let (records, changes) = self.make_new(home, &new)?;
        self.put_in_place(home, &new, &aside).map_err(|cause| Error::file(&home.file(self.file()), cause))?;
        let kept = self.finish(home).map_err(failed)?;
        Ok(Mended { database: self.file(), records, changes, kept: kept.unwrap_or(aside).display().to_string() })
    }

    /// Reports whether the database is gone and has left a log, or a new one that is not in its place yet.
    pub(crate) fn has_lost_its_file(self, home: &Home) -> bool {
        // Between the two steps of `put_in_place` there is no log. A database that another process made then would be
        // replaced.
        !home.file(self.file()).exists() && (self.log_len(home) > 0 || self.new_file(home).exists())
    }

    /// Returns the path at which a new database is made.
    fn new_file(self, home: &Home) -> PathBuf {
        home.file(&format!(".{}.new", self.file()))
    }

    /// Returns the names of the three files.
    fn files(self) -> [String; 3] {
        ["", "-wal", "-shm"].map(|ending| format!("{}{ending}", self.file()))
    }

    /// Makes a new database of all unfinished copies; returns the numbers of records and changes.
    fn make_new(self, home: &Home, new: &Path) -> Result<(u64, u64), Error> {
        let failed = |cause: &rusqlite::Error| self.failed(home, cause);
        let file = |cause: io::Error| Error::file(new, cause);
        remove(new).map_err(file)?;
        let connection = Connection::open(new).map_err(|cause| failed(&cause))?;
        fs::set_permissions(new, fs::Permissions::from_mode(0o600)).map_err(file)?;
        self.shape(&connection).map_err(|cause| failed(&cause))?;
        let fresh = fs::read(new).map_err(file)?;
        for copy in self.unfinished(home).map_err(file)? {
            let part = |ending: &str| fs::read(copy.join(format!("{}{ending}", self.file()))).unwrap_or_default();
            let (main, log) = (part(""), part("-wal"));
            let scratch = copy.join("scratch");
            for attempt in [pages::as_they_are(&main, &log), pages::with_beginning(&main, &log, &fresh)] {
                fs::write(&scratch, attempt).map_err(file)?;
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                if let Ok(old) = Connection::open_with_flags(&scratch, flags) {
                    rows::copy(self, &old, &connection).map_err(|cause| failed(&cause))?;
                }
                remove(&scratch).map_err(file)?;
            }
        }
        let counts = rows::finish(self, &connection).map_err(|cause| failed(&cause))?;
        connection.query_row("PRAGMA journal_mode = wal", [], |_| Ok(())).map_err(|cause| failed(&cause))?;
        connection.close().map_err(|(_, cause)| failed(&cause))?;
        File::open(new).and_then(|file| file.sync_all()).map_err(file)?;
        Ok(counts)
    }

    fn put_in_place(self, home: &Home, new: &Path, aside: &Path) -> io::Result<()> {
        let [main, log, index] = self.files();
        remove(&home.file(&log))?;
        remove(&home.file(&index))?;
        fs::rename(new, home.file(&main))?;
        // A log that another process has begun in the meantime belongs to the old file.
        match fs::rename(home.file(&log), aside.join(format!("{log}.late"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Returns the copies whose rows may not have been taken over yet.
    fn unfinished(self, home: &Home) -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(home.file(ASIDE))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with(self.file()) && name.ends_with(UNFINISHED) {
                found.push(path);
            }
        }
        Ok(found)
    }

    /// Removes the ending from the copies, whose rows were taken over; returns one of them.
    fn finish(self, home: &Home) -> io::Result<Option<PathBuf>> {
        let mut kept = None;
        for copy in self.unfinished(home)? {
            let name = copy.with_extension("");
            fs::rename(&copy, &name)?;
            kept = Some(name);
        }
        Ok(kept)
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
