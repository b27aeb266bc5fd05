//! Checks of the home folder: its owner, its permissions, whether it can be written, and whether its databases are intact.

use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::process::geteuid;

use super::Check;
use crate::Error;
use crate::Mended;
use crate::context::{Database, may_be_readable};
use crate::file_owner::{Foreign, OTHERS, chown, foreign, is_mine};
use crate::home::Home;

/// Name of the check of the folder.
const NAME: &str = "home";

/// File that is written to test that the folder can be written.
const PROBE: &str = "doctor";

/// Longest time for which a database is checked; one that takes longer is too large to be checked here.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Checks the home folder and its databases.
pub fn check(home: &Home) -> Vec<Check> {
    match home.check().and_then(|()| home.is_there()) {
        Ok(false) => return vec![Check::good(NAME, format!("{} is made when it is needed", home.path().display()))],
        // Checked below, since files that another user owns cannot be repaired by the user's own `chmod`.
        Ok(true) | Err(Error::Exposed { .. }) => {}
        Err(error) => return vec![Check::failed(NAME, &error)],
    }
    let mut checks = vec![place(home)];
    checks
        .extend(Database::ALL.into_iter().filter(|file| home.file(file.file()).exists()).map(|file| whole(home, file)));
    checks
}

fn place(home: &Home) -> Check {
    let path = home.path();
    if let Some(foreign) = theirs(path) {
        let finding = foreign.sentence().trim_end_matches('.').to_owned();
        return Check::bad(NAME, finding, chown(path));
    }
    let exposed = match exposed(path) {
        Ok(exposed) => exposed,
        Err(cause) => return Check::failed(NAME, &Error::file(path, cause)),
    };
    if let Some(error) = exposed {
        return Check::failed(NAME, &error);
    }
    if let Some(shut) = shut(path) {
        let hint = format!("`chmod u+rw {}` lets you use it again.", shut.display());
        return Check::bad(NAME, format!("{} is yours, and you may not read and write it", shut.display()), hint);
    }
    match home.write(PROBE, &[0; 4096]).and_then(|()| home.remove(PROBE)).and_then(|()| home.lacks()) {
        Ok(lacks) if lacks.is_empty() => {
            Check::good(NAME, format!("{} is yours alone, and can be written", path.display()))
        }
        Ok(lacks) => {
            let finding = format!("{} can be written; its file system has {}", path.display(), lacks.join(", and "));
            Check::unknown(NAME, finding)
        }
        Err(error) => Check::failed(NAME, &error),
    }
}

/// Returns the entries of a folder that can be read, by name.
fn entries(folder: &Path) -> io::Result<Vec<DirEntry>> {
    let mut entries: Vec<DirEntry> = fs::read_dir(folder)?.filter_map(Result::ok).collect();
    entries.sort_by_key(DirEntry::file_name);
    Ok(entries)
}

/// Returns the first path that another user owns, for example after `sudo coditect`.
fn theirs(path: &Path) -> Option<Foreign> {
    let mut paths = vec![path.to_owned()];
    paths.extend(entries(path).into_iter().flatten().map(|entry| entry.path()));
    let is_theirs = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| !is_mine(found.uid()));
    paths.iter().find(|path| is_theirs(path)).and_then(|path| foreign(path))
}

/// Returns an error for the first path to which other users have access.
fn exposed(path: &Path) -> io::Result<Option<Error>> {
    let is_exposed =
        |path: &Path, mode: u32| (mode & OTHERS != 0).then(|| Error::Exposed { path: path.to_owned(), mode });
    if let Some(error) = is_exposed(path, fs::metadata(path)?.mode()) {
        return Ok(Some(error));
    }
    let entries = entries(path)?;
    let mut found = entries.iter().filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.mode())));
    Ok(found.find_map(|(path, mode)| is_exposed(&path, mode)))
}

/// Returns the first file whose owner may not read and write it. Root may in any case.
fn shut(path: &Path) -> Option<PathBuf> {
    if geteuid().is_root() {
        return None;
    }
    let is_shut =
        |file: &&DirEntry| file.metadata().is_ok_and(|found| found.is_file() && found.mode() & 0o600 != 0o600);
    entries(path).ok()?.iter().find(is_shut).map(DirEntry::path)
}

/// The condition of a database.
enum Condition {
    Whole,
    TooLarge,
    Damaged(String),
    /// The check failed, but nothing indicates that the database itself is damaged.
    Unseen(String),
}

/// Rebuilds the databases that are damaged.
pub(super) fn mend(home: &Home) -> Result<Vec<Mended>, Error> {
    let mended = Database::ALL.into_iter().map(|database| {
        if database.has_lost_its_file(home) {
            return database.mend_lost(home);
        }
        let damaged = home.file(database.file()).exists() && matches!(condition(home, database), Condition::Damaged(_));
        damaged.then(|| database.mend(home)).transpose()
    });
    mended.filter_map(Result::transpose).collect()
}

fn whole(home: &Home, database: Database) -> Check {
    let name = format!("database {}", database.file());
    let path = home.file(database.file());
    match condition(home, database) {
        Condition::Whole => Check::good(name, "is whole"),
        Condition::TooLarge => Check::unknown(name, "is too large to be looked at quickly"),
        Condition::Damaged(fault) => {
            let hint = "`coditect doctor --fix` makes it new with what can be read of it, and keeps the damaged files. The next \
                        `coditect sync` fetches what the cloud has.";
            Check::bad(name, format!("cannot be read: {fault}"), hint)
        }
        Condition::Unseen(error) => {
            let hint =
                format!("`df -h {0}` and `ls -l {0}*` show whether it has space and can be written.", path.display());
            Check::bad(name, format!("cannot be looked at: {error}"), hint)
        }
    }
}

fn condition(home: &Home, database: Database) -> Condition {
    let quick_check = |connection: Connection| {
        connection.busy_timeout(CHECK_TIMEOUT)?;
        let handle = connection.get_interrupt_handle();
        // The thread outlives a short check, and then interrupts nothing.
        thread::spawn(move || {
            thread::sleep(CHECK_TIMEOUT);
            handle.interrupt();
        });
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let looked = Connection::open_with_flags(home.file(database.file()), flags).and_then(quick_check);
    let looked = match looked {
        // Where nothing can be written, commands open the database in another way.
        Err(error) if may_be_readable(&error) => match database.connect_to_read(home) {
            Ok(Some(connection)) => quick_check(connection),
            Ok(None) | Err(_) => Err(error),
        },
        other => other,
    };
    match looked {
        Ok(answer) if answer == "ok" => Condition::Whole,
        Ok(fault) => Condition::Damaged(fault),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Condition::TooLarge,
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Condition::Damaged(error.to_string()),
            _ => Condition::Unseen(error.to_string()),
        },
    }
}
