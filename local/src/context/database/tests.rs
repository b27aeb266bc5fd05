use std::fs;
use std::os::unix::fs::{lchown, symlink};
use std::path::Path;

use rustix::process::geteuid;

use super::*;

/// The number of another user.
const STRANGER: Option<u32> = Some(12345);

/// These are called behind `open`'s check for links, as if the link were made between the two.
#[test]
fn a_link_that_another_user_makes_after_the_check_is_not_followed() {
    // Without root, nothing can be given away.
    if !geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [home, other] = ["home", "other"].map(|name| Home::new(folder.path().join(name)));
    let database = Database::Org;
    drop(database.open(&other, false).unwrap());
    home.reserve(LOCK).unwrap();
    let target = other.file(database.file());
    let (link, log) = (home.file(database.file()), home.file("org.db-wal"));
    symlink(&target, &link).unwrap();
    assert!(database.connect(&home, false).is_ok() && database.connect_to_read(&home).is_ok(), "one's own link");

    let give_away = |link: &Path| lchown(link, STRANGER, STRANGER).unwrap();
    give_away(&link);
    assert!(database.connect(&home, false).is_err());
    assert!(database.connect(&home, true).is_err(), "in haste");
    assert!(database.connect_to_read(&home).is_err(), "only to read");
    fs::write(&log, "a log").unwrap();
    assert!(database.connect_to_read(&home).is_err(), "copied with its log");

    fs::remove_file(&link).unwrap();
    fs::copy(&target, &link).unwrap();
    fs::remove_file(&log).unwrap();
    symlink(&target, &log).unwrap();
    give_away(&log);
    assert!(database.connect_to_read(&home).is_err(), "a link in the place of the log");
}
