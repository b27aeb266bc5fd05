//! The home folder: whose it is, who can read it, whether it can be written, and whether its databases are whole.

use std::fs::{self, DirEntry};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::process::geteuid;

use super::Check;
use crate::Error;
use crate::context::Database;
use crate::home::{Home, OTHERS};

/// What is written to see whether something can be written.
const PROBE: &str = "doctor";

/// A database that is looked at for longer than this is too large to be looked at here.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn check(home: &Home) -> Vec<Check> {
    if !home.path().exists() {
        return vec![Check::good("home", format!("{} is made when it is needed", home.path().display()))];
    }
    let mut checks = vec![place(home)];
    let databases = [Database::Platform, Database::Org, Database::Sessions, Database::Projects];
    checks.extend(databases.into_iter().filter(|file| home.file(file.file()).exists()).map(|file| whole(home, file)));
    checks
}

fn place(home: &Home) -> Check {
    const NAME: &str = "home";
    let path = home.path();
    let exposed = match exposed(path) {
        Ok(exposed) => exposed,
        Err(cause) => return Check::failed(NAME, &Error::file(path, cause)),
    };
    if let Some(error) = exposed {
        return Check::failed(NAME, &error);
    }
    let owner = fs::metadata(path).map(|found| found.uid()).unwrap_or_default();
    if owner != geteuid().as_raw() {
        let hint = format!("`sudo chown -R \"$(id -un)\" {}` makes it yours.", path.display());
        return Check::bad(NAME, format!("{} belongs to another user", path.display()), hint);
    }
    match home.write(PROBE, &[0; 4096]).and_then(|()| home.remove(PROBE)) {
        Ok(()) => Check::good(NAME, format!("{} is yours alone, and can be written", path.display())),
        Err(error) => Check::failed(NAME, &error),
    }
}

/// The first of what others can read.
fn exposed(path: &Path) -> std::io::Result<Option<Error>> {
    let is_exposed =
        |path: &Path, mode: u32| (mode & OTHERS != 0).then(|| Error::Exposed { path: path.to_owned(), mode });
    if let Some(error) = is_exposed(path, fs::metadata(path)?.mode()) {
        return Ok(Some(error));
    }
    let mut entries: Vec<DirEntry> = fs::read_dir(path)?.filter_map(Result::ok).collect();
    entries.sort_by_key(DirEntry::file_name);
    let mut found = entries.iter().filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.mode())));
    Ok(found.find_map(|(path, mode)| is_exposed(&path, mode)))
}

fn whole(home: &Home, database: Database) -> Check {
    let name = format!("database {}", database.file());
    let look = || {
        let connection = Connection::open_with_flags(home.file(database.file()), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(PATIENCE)?;
        let handle = connection.get_interrupt_handle();
        // It outlives the look if that is short, and then interrupts nothing.
        thread::spawn(move || {
            thread::sleep(PATIENCE);
            handle.interrupt();
        });
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
    };
    let path = home.file(database.file());
    match look() {
        Ok(answer) if answer == "ok" => Check::good(name, "is whole"),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            Check::unknown(name, "is too large to be looked at quickly")
        }
        Ok(fault) => broken(name, &path, &fault),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => broken(name, &path, &error.to_string()),
            // Nothing says that there is anything wrong with the database itself.
            _ => {
                let hint = format!(
                    "`df -h {0}` and `ls -l {0}*` show whether it has space and can be written.",
                    path.display()
                );
                Check::bad(name, format!("cannot be looked at: {error}"), hint)
            }
        },
    }
}

fn broken(name: String, path: &Path, fault: &str) -> Check {
    let path = path.display();
    let hint = format!(
        "`mv {path} {path}.broken` begins a new one, and `coditect sync pull` fetches what the cloud has. What was not sent is in \
         the old one."
    );
    Check::bad(name, format!("cannot be read: {fault}"), hint)
}
