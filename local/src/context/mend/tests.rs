use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::thread;
use std::time::Duration;

use protocol::wire::Kind;
use serde_json::json;

use super::*;
use crate::{ContextStore, Draft};

/// Long enough for a thread to reach a lock, and to make a database new.
const A_WHILE: Duration = Duration::from_millis(200);

fn store(home: &Home) -> ContextStore {
    ContextStore::open(Some(home.path().to_owned())).unwrap()
}

fn put(store: &ContextStore, id: &str) {
    let content = json!({ "description": id });
    store.put(&Draft { kind: Kind::Task, id: id.parse().unwrap(), project_id: None, content }).unwrap();
}

fn ids(home: &Home) -> Vec<String> {
    store(home).ids(Kind::Task, "").unwrap().into_iter().map(String::from).collect()
}

/// Makes a home with a record that is in the log alone, as a hook leaves it, and no database beside the log.
fn lost(home: &Home) {
    drop(store(home).status().unwrap());
    put(&store(home).fast(), "a");
    fs::remove_file(home.file(Database::Sessions.file())).unwrap();
    assert!(Database::Sessions.has_lost_its_file(home));
}

#[test]
fn of_two_that_find_a_database_lost_neither_loses_what_the_other_writes() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path().join("home"));
    lost(&home);
    let held = home.lock(LOCK).unwrap();
    thread::scope(|scope| {
        for [first, second] in [["b1", "b2"], ["c1", "c2"]] {
            let home = &home;
            scope.spawn(move || {
                let store = store(home);
                put(&store, first);
                // Meanwhile, the other one would make the database new again.
                thread::sleep(A_WHILE);
                put(&store, second);
            });
        }
        // Both have looked for the database, and wait to make it new.
        thread::sleep(A_WHILE);
        drop(held);
    });
    assert_eq!(ids(&home), ["a", "b1", "b2", "c1", "c2"]);
}

#[test]
fn a_crash_before_the_new_database_is_in_its_place_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path().join("home"));
    lost(&home);
    let [_, log, _] = Database::Sessions.files();
    let aside = home.file(ASIDE).join(format!("{}-x{UNFINISHED}", Database::Sessions.file()));
    fs::create_dir_all(&aside).unwrap();
    fs::rename(home.file(&log), aside.join(&log)).unwrap();
    fs::write(Database::Sessions.new_file(&home), "").unwrap();
    assert_eq!(ids(&home), ["a"]);
    assert!(!Database::Sessions.new_file(&home).exists());
}

#[test]
fn a_home_whose_path_is_not_utf_8_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path().join(OsStr::from_bytes(b"caf\xe9")));
    if fs::create_dir(home.path()).is_err() {
        // Some file systems have names in UTF-8 alone.
        return;
    }
    lost(&home);
    assert_eq!(ids(&home), ["a"]);
    let kept: Vec<_> = fs::read_dir(home.file(ASIDE)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(matches!(&kept[..], [name] if !name.to_string_lossy().ends_with(UNFINISHED)), "{kept:?}");
}
