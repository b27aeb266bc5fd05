//! The context on one machine, without a cloud.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use coditect::{Change, Config, ContextError, ContextStore, Draft, Error, Filter, Kind, RecordId};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::machine::{Machine, files};

pub(crate) fn draft(kind: Kind, id: &str, content: Value) -> Draft {
    Draft { kind, id: id.parse().unwrap(), project_id: None, content }
}

pub(crate) fn id(text: &str) -> RecordId {
    text.parse().unwrap()
}

fn store(folder: &TempDir) -> ContextStore {
    ContextStore::open(Some(folder.path().join("home"))).unwrap()
}

#[test]
fn what_is_changed_is_seen_before_it_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    for kind in Kind::ALL.iter().copied().filter(|kind| kind.is_pushed()) {
        let put = store.put(&draft(kind, "a", json!({"title": "1"}))).unwrap();
        assert!(matches!(put, Change::Queued(_)));
        assert_eq!(store.put(&draft(kind, "a", json!({"title": "1"}))).unwrap(), Change::Unchanged);
        store.put(&draft(kind, "a", json!({"title": "2"}))).unwrap();
        let entry = store.get(kind, &id("a")).unwrap().unwrap();
        assert_eq!((&entry.content, entry.queued, entry.version), (&json!({"title": "2"}), true, None));
        store.put(&draft(kind, "b", json!({"title": "3"}))).unwrap();
        let list = store.list(kind, &Filter::default()).unwrap();
        assert_eq!(list.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>(), ["b", "a"], "the latest first");
        assert!(store.delete(kind, &id("a")).unwrap());
        assert!(!store.delete(kind, &id("a")).unwrap(), "it is not there any more");
        assert_eq!(store.get(kind, &id("a")).unwrap(), None);
        assert_eq!(store.list(kind, &Filter::default()).unwrap().len(), 1);
    }
}

#[test]
fn lists_can_be_filtered() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    for (id, project, status) in [("a", "x", "pending"), ("b", "x", "completed"), ("c", "y", "pending")] {
        let project_id = Some(project.parse().unwrap());
        store.put(&Draft { project_id, ..draft(Kind::Task, id, json!({"status": status})) }).unwrap();
    }
    let ids = |filter: Filter| -> Vec<String> {
        store.list(Kind::Task, &filter).unwrap().iter().map(|entry| entry.id.to_string()).collect()
    };
    assert_eq!(ids(Filter { project_id: Some("x".parse().unwrap()), ..Filter::default() }), ["b", "a"]);
    assert_eq!(ids(Filter { status: Some("pending".to_owned()), ..Filter::default() }), ["c", "a"]);
    assert_eq!(ids(Filter { limit: 1, ..Filter::default() }), ["c"]);
}

#[test]
fn while_sync_is_off_a_record_has_one_change() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let edit = |n: u32| store.put(&draft(Kind::Decision, "a", json!({ "n": n }))).unwrap();
    for n in 0..20 {
        edit(n);
    }
    assert_eq!(store.queue(100).unwrap().len(), 1);
    Config::open(Some(folder.path().join("home"))).unwrap().set_sync(true).unwrap();
    for n in 20..25 {
        edit(n);
    }
    assert_eq!(store.queue(100).unwrap().len(), 6, "from now on, each is a step that others shall see");
    assert_eq!(store.get(Kind::Decision, &id("a")).unwrap().unwrap().content, json!({"n": 24}));
}

#[test]
fn a_later_change_is_later_however_the_clock_stands() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    Config::open(Some(folder.path().join("home"))).unwrap().set_sync(true).unwrap();
    let mut last = None;
    for n in 0..50 {
        store.put(&draft(Kind::Task, "a", json!({ "n": n }))).unwrap();
        let now = store.get(Kind::Task, &id("a")).unwrap().unwrap().updated_at;
        assert!(Some(now) > last.replace(now));
    }
}

#[test]
fn what_nobody_could_take_is_refused_here() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let refused = |kind, content| match store.put(&draft(kind, "a", content)).unwrap_err() {
        Error::Context(error) => error,
        other => panic!("{other}"),
    };
    assert!(matches!(refused(Kind::Task, json!([1])), ContextError::NoObject));
    assert!(matches!(refused(Kind::Task, json!({"n": 9_007_199_254_740_993_u64})), ContextError::Content(_)));
    assert!(matches!(refused(Kind::Task, json!({"text": "a\0b"})), ContextError::Content(_)));
    assert!(matches!(refused(Kind::Task, json!({"encrypted": {}})), ContextError::Content(_)));
    assert!(matches!(refused(Kind::Task, json!({"text": "x".repeat(300_000)})), ContextError::TooLarge { .. }));
    assert!(matches!(refused(Kind::Component, json!({})), ContextError::ReadOnly));
    assert!(store.queue(1).unwrap().is_empty());
    // One wrong among several: none is queued.
    let several = [draft(Kind::Task, "good", json!({})), draft(Kind::Task, "bad", json!(1))];
    assert!(store.put_all(&several).is_err());
    assert!(store.queue(1).unwrap().is_empty());
}

#[test]
fn many_processes_write_at_once_from_the_first_moment_on() {
    let machine = Machine::new("https://cloud.example");
    let add = |n: u32| {
        machine
            .command(&["task", "add", &format!("task {n}"), "--id", &format!("t{n}")])
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = (0..24).map(add).collect();
    for child in children {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    let store = ContextStore::open(Some(machine.home())).unwrap();
    let queue = store.queue(100).unwrap();
    assert_eq!(queue.len(), 24);
    assert!(queue.windows(2).all(|pair| pair[0].n < pair[1].n));
}

#[test]
fn an_edit_takes_no_other_writers_edit_back() {
    let machine = Machine::new("https://cloud.example");
    let store = ContextStore::open(Some(machine.home())).unwrap();
    store.put(&draft(Kind::Task, "a", json!({"n": 0}))).unwrap();
    let count = |store: &ContextStore| {
        for _ in 0..20 {
            let edit = store.edit(Kind::Task, &id("a"), |found| {
                let n = found.unwrap().content["n"].as_u64().unwrap();
                Ok(Some(draft(Kind::Task, "a", json!({"n": n + 1}))))
            });
            edit.unwrap();
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| count(&ContextStore::open(Some(machine.home())).unwrap()));
        }
    });
    assert_eq!(store.get(Kind::Task, &id("a")).unwrap().unwrap().content["n"], 80);
}

#[test]
fn nobody_else_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    store(&folder).put_all(&[draft(Kind::Task, "a", json!({})), draft(Kind::Decision, "a", json!({}))]).unwrap();
    for file in files(&home) {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    fs::set_permissions(home.join("sessions.db"), Permissions::from_mode(0o644)).unwrap();
    let error = store(&folder).queue(1).unwrap_err();
    assert!(error.to_string().contains("can be read or changed by others"), "{error}");
    assert!(error.hint().starts_with("`chmod 600 "), "{}", error.hint());
}

#[test]
fn a_file_of_a_newer_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    store(&folder).put(&draft(Kind::Decision, "a", json!({}))).unwrap();
    let org = rusqlite::Connection::open(folder.path().join("home/org.db")).unwrap();
    org.pragma_update(None, "user_version", 99).unwrap();
    let error = store(&folder).put(&draft(Kind::Decision, "b", json!({}))).unwrap_err();
    assert_eq!(error.code(), "newer_database");
    // The other files are still good.
    store(&folder).put(&draft(Kind::Task, "b", json!({}))).unwrap();
}

#[test]
fn a_broken_file_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    store(&folder).put(&draft(Kind::Decision, "a", json!({}))).unwrap();
    for file in files(&home) {
        if file.to_str().unwrap().contains("org.db") {
            fs::write(&file, "no database ".repeat(1000)).unwrap();
        }
    }
    let error = store(&folder).list(Kind::Decision, &Filter::default()).unwrap_err();
    assert_eq!(error.code(), "database_failed");
    assert!(error.to_string().contains("org.db"), "{error}");
}
