//! Damaged databases: `coditect doctor --fix` loses nothing that can be read.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use coditect::{ContextStore, Filter, Kind};
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::machine::{Machine, files};
use crate::sync::{context, put, says, sync};

/// Records a task as an agent's hook does: in haste, so that it stays in the log.
fn hook(machine: &Machine, todo: &str) {
    let event = json!({
        "hook_event_name": "PostToolUse", "tool_name": "TodoWrite", "session_id": todo, "cwd": "/",
        "tool_input": {"todos": [{"content": todo, "status": "pending"}]}
    });
    assert_eq!(machine.coditect_reading(&["hook", "task-plan"], &event.to_string()).code, 0);
}

fn spoil(path: &Path, at: u64, len: usize) {
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&vec![0xee; len]).unwrap();
}

fn tasks(machine: &Machine) -> Vec<String> {
    let store = ContextStore::open(Some(machine.home())).unwrap();
    let filter = Filter { limit: 1000, ..Filter::default() };
    let entries = store.list(Kind::Task, &filter).unwrap();
    let mut said: Vec<String> =
        entries.into_iter().map(|entry| entry.content["description"].as_str().unwrap_or_default().to_owned()).collect();
    said.sort();
    said
}

fn fixed(machine: &Machine) -> Value {
    let object: Value = serde_json::from_str(&machine.coditect(&["doctor", "--fix", "--json"]).stdout).unwrap();
    for check in object["checks"].as_array().unwrap() {
        let name = check["name"].as_str().unwrap();
        assert!(!name.starts_with("database") || check["health"] == "good", "{object:#}");
    }
    object
}

#[test]
fn what_hooks_have_recorded_survives_any_damaged_page() {
    let cloud = Cloud::start();
    let expected: Vec<String> = (0..5).map(|n| format!("event {n}")).collect();
    let machine = Machine::syncing(&cloud.url);
    // The tables are in the file, and what the hooks say in the log.
    drop(ContextStore::open(Some(machine.home())).unwrap().status().unwrap());
    expected.iter().for_each(|todo| hook(&machine, todo));
    assert!(fs::metadata(machine.home().join("sessions.db-wal")).unwrap().len() > 0);
    let pages = fs::metadata(machine.home().join("sessions.db")).unwrap().len() / 4096;
    for page in 0..pages {
        let twin = machine.twin();
        spoil(&twin.home().join("sessions.db"), page * 4096, 4096);
        fixed(&twin);
        assert_eq!(tasks(&twin), expected, "page {page}");
        assert_eq!(twin.coditect(&["sync"]).code, 0);
        assert_eq!(cloud.stream().records.len(), 5, "page {page}");
        cloud.stream().records.clear();
    }
}

#[test]
fn doctor_says_so_and_the_damaged_files_are_kept() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    let here = context(&machine);
    put(&here, Kind::Decision, "sent", json!({"title": "sent"}));
    sync(&here);
    put(&here, Kind::Decision, "waiting", json!({"title": "waiting"}));
    drop(here);
    let [sessions, org] = ["sessions.db", "org.db"].map(|name| machine.home().join(name));
    spoil(&sessions, 0, 100);
    spoil(&org, 0, 4096);
    let before = fs::read(&sessions).unwrap();
    let printed = machine.coditect(&["task", "list"]);
    assert!(printed.stderr.contains("sessions.db is damaged") && printed.stderr.contains("`coditect doctor --fix`"));
    let printed = machine.coditect(&["doctor"]);
    assert_eq!(printed.code, 1);
    assert!(printed.stdout.contains("`coditect doctor --fix` makes it new"), "{printed:?}");
    assert_eq!(fs::read(&sessions).unwrap(), before, "a look changes nothing");
    let object = fixed(&machine);
    let mended = object["mended"].as_array().unwrap();
    assert_eq!(mended.len(), 2, "{object:#}");
    let of_sessions = mended.iter().find(|mended| mended["database"] == "sessions.db").unwrap();
    assert_eq!(of_sessions["changes"], 1);
    let kept = of_sessions["kept"].as_str().unwrap().replace("{home}", machine.home().to_str().unwrap());
    let kept = Path::new(&kept);
    assert_eq!(fs::read(kept.join("sessions.db")).unwrap(), before);
    assert!(!files(&machine.home().join("damaged")).iter().any(|path| path.to_string_lossy().ends_with(".unfinished")));
    let here = context(&machine);
    let synced = sync(&here);
    assert_eq!((synced.pushed.sent(), synced.pulled.started_over), (1, true));
    for id in ["sent", "waiting"] {
        assert_eq!(says(&here, Kind::Decision, id), json!({ "title": id }));
        assert_eq!(cloud.stream().ever(Kind::Decision, id).len(), 1, "nothing is doubled");
    }
    drop(here);
    assert!(
        machine.coditect(&["doctor", "--fix"]).stdout.starts_with("ok   version"),
        "and then there is nothing to do"
    );
}

#[test]
fn a_log_whose_database_was_moved_away_is_read() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    drop(ContextStore::open(Some(machine.home())).unwrap().status().unwrap());
    ["a", "b"].iter().for_each(|todo| hook(&machine, todo));
    let sessions = machine.home().join("sessions.db");
    fs::rename(&sessions, machine.home().join("sessions.db.broken")).unwrap();
    assert_eq!(tasks(&machine), ["a", "b"]);
}

#[test]
fn of_a_large_queue_only_what_was_on_the_damaged_pages_is_lost() {
    let cloud = Cloud::start();
    let machine = Machine::new(&cloud.url);
    let store = ContextStore::open(Some(machine.home())).unwrap();
    let text = "x".repeat(300);
    for n in 0..500 {
        let content = json!({"description": format!("{n}"), "notes": text});
        let id = format!("task-{n:04}").parse().unwrap();
        store.put(&coditect::Draft { kind: Kind::Task, id, project_id: None, content }).unwrap();
    }
    drop(store);
    let sessions = machine.home().join("sessions.db");
    let pages = fs::metadata(&sessions).unwrap().len() / 4096;
    for page in [pages / 3, pages / 2, pages - 10] {
        spoil(&sessions, page * 4096, 4096);
    }
    machine.coditect(&["doctor", "--fix"]);
    let left = tasks(&machine).len();
    assert!((440..500).contains(&left), "{left}");
    let status = ContextStore::open(Some(machine.home())).unwrap().status().unwrap();
    assert_eq!(status.waiting, left as u64);
}
