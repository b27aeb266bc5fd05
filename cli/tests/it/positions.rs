//! Each database knows which position it holds: what one lacks is fetched again.

use std::fs;
use std::path::Path;

use coditect::{Config, Context, Filter, Kind};
use serde_json::json;

use crate::cloud::Cloud;
use crate::machine::{Machine, Told, copy};
use crate::sync::{context, put, says, sync};

const DATABASES: [&str; 4] = ["platform.db", "org.db", "sessions.db", "projects.db"];

/// A machine with records of every kind from two syncs, and its home as it was after the first one.
fn machine(cloud: &Cloud) -> (Machine, tempfile::TempDir) {
    let machine = Machine::syncing(&cloud.url);
    let aside = tempfile::tempdir().unwrap();
    for round in ["old", "new"] {
        let here = context(&machine);
        for kind in Kind::ALL.iter().copied().filter(|kind| kind.is_pushed()) {
            put(&here, kind, round, json!({ "title": round }));
            put(&here, kind, "both", json!({ "title": round }));
        }
        cloud.stream().fill(Kind::Component, [round.to_owned()].into_iter());
        sync(&here);
        drop(here);
        if round == "old" {
            copy(&machine.home(), aside.path());
        }
    }
    (machine, aside)
}

fn put_aside(home: &Path, database: &str) {
    for name in [database.to_owned(), format!("{database}-wal"), format!("{database}-shm")] {
        let _ = fs::remove_file(home.join(name));
    }
}

fn everything(here: &Context) -> Vec<(Kind, String, serde_json::Value)> {
    let of = |kind: &Kind| here.store().list(*kind, &Filter::default()).unwrap();
    let all = Kind::ALL.iter().flat_map(of).map(|entry| (entry.kind, entry.id.to_string(), entry.content));
    let mut all: Vec<_> = all.collect();
    all.sort_by_key(|(kind, id, _)| (*kind, id.clone()));
    all
}

#[test]
fn whatever_is_deleted_or_replaced_by_an_older_copy_is_fetched_again() {
    let cloud = Cloud::start();
    let (machine, old) = machine(&cloud);
    let expected = everything(&context(&machine));
    assert_eq!(expected.len(), 7 * 3 + 2);
    let in_cloud = cloud.stream().clone();
    for combination in 0..3_u32.pow(4) {
        let twin = machine.twin();
        let mut what = Vec::new();
        for (n, database) in DATABASES.iter().enumerate() {
            let fate = combination / 3_u32.pow(u32::try_from(n).unwrap()) % 3;
            if fate > 0 {
                put_aside(&twin.home(), database);
                what.push((database, fate));
            }
            if fate == 2 {
                fs::copy(old.path().join("home").join(database), twin.home().join(database)).unwrap();
            }
        }
        let here = context(&twin);
        let synced = sync(&here);
        assert_eq!(everything(&here), expected, "{what:?}");
        assert_eq!(synced.pushed.conflicts_lost, 0, "{what:?}: {synced:?}");
        let status = here.store().status().unwrap();
        assert_eq!((status.waiting, status.parked, status.starting_over), (0, 0, false), "{what:?}");
        drop(here);
        let again = sync(&context(&twin));
        assert_eq!((again.pulled.records, again.pulled.started_over), (0, false), "{what:?}: once is enough");
        let stream = cloud.stream();
        for (key, kept) in &in_cloud.records {
            assert_eq!(stream.records[key].current, kept.current, "{what:?}");
            assert_eq!(stream.records[key].history.len(), kept.history.len(), "{what:?}");
        }
    }
}

#[test]
fn a_file_that_lacks_records_is_named() {
    let cloud = Cloud::start();
    let (machine, _) = machine(&cloud);
    put_aside(&machine.home(), "org.db");
    // A look at what there is makes an empty one.
    assert_eq!(machine.coditect(&["decision", "list"]).code, 0);
    let told = Told::default();
    let here = machine.client().on_notice(told.listener()).build().unwrap().context();
    put(&here, Kind::Decision, "offline", json!({"title": "made meanwhile"}));
    cloud.away(true);
    assert!(here.sync(|_| ()).unwrap_err().is_unavailable());
    cloud.away(false);
    assert!(sync(&here).pulled.records > 0, "an interrupted one goes on");
    assert_eq!(told.take(), ["org.db lacked records that were fetched once. Everything is fetched again."]);
    assert_eq!(says(&here, Kind::Decision, "both"), json!({"title": "new"}));
    assert_eq!(says(&here, Kind::Decision, "offline"), json!({"title": "made meanwhile"}));
    assert_eq!(cloud.stream().current(Kind::Decision, "offline").version, 1);
}

#[test]
fn a_lost_file_with_the_positions_is_named_itself() {
    let cloud = Cloud::start();
    let (machine, _) = machine(&cloud);
    put_aside(&machine.home(), "sessions.db");
    let printed = machine.coditect(&["sync"]);
    assert_eq!(printed.code, 0, "{printed:?}");
    assert_eq!(printed.stderr, "sessions.db lacked records that were fetched once. Everything is fetched again.\n");
    assert!(machine.coditect(&["sync", "log"]).stdout.contains("sessions.db lacked records"));
    assert_eq!(machine.coditect(&["sync"]).stderr, "");
}

#[test]
fn everything_is_fetched_again_when_a_person_says_so() {
    let cloud = Cloud::start();
    let (machine, _) = machine(&cloud);
    assert_eq!(machine.coditect(&["sync", "pull"]).stdout, "There was nothing new.\n");
    assert_eq!(machine.coditect(&["sync", "pull", "--all"]).stdout, "Fetched 23 records.\n");
    assert_eq!(machine.coditect(&["sync", "pull"]).stdout, "There was nothing new.\n");
}

#[test]
fn a_later_version_in_the_cloud_is_no_loss() {
    let cloud = Cloud::start();
    let (ada, bob) = (Machine::syncing(&cloud.url), Machine::syncing(&cloud.url));
    for round in 0..3 {
        put(&context(&ada), Kind::Task, "shared", json!({"title": "ada's", "n": round}));
        assert_eq!(ada.coditect(&["sync"]).code, 0);
        sync(&context(&bob));
        put(&context(&bob), Kind::Task, "shared", json!({"title": "bob's", "n": round}));
        sync(&context(&bob));
        let printed = ada.coditect(&["sync", "pull", "--all"]);
        assert_eq!((printed.stdout.as_str(), printed.stderr.as_str()), ("Fetched 1 record.\n", ""));
        assert!(!ada.coditect(&["sync", "log"]).stdout.contains("queued_again"));
        assert_eq!(context(&ada).store().status().unwrap().waiting, 0);
    }
}

/// Without the file that says so, the other files still belong to the tenant that they came from.
#[test]
fn what_belongs_to_one_tenant_is_not_sent_to_another() {
    let cloud = Cloud::start();
    let (machine, _) = machine(&cloud);
    put_aside(&machine.home(), "sessions.db");
    cloud.change_tenant();
    let printed = machine.coditect(&["activate", &machine.key.to_string()]);
    assert_eq!(printed.code, 0, "{printed:?}");
    cloud.stream().records.clear();
    let printed = machine.coditect(&["sync"]);
    assert_eq!(printed.code, 1, "{printed:?}");
    assert!(printed.stderr.contains("belongs to another organization"), "{printed:?}");
    assert!(cloud.stream().records.is_empty());
}

#[test]
fn a_kind_that_this_version_does_not_know_is_left_out_and_fetched_by_one_that_does() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    let here = context(&machine);
    put(&here, Kind::Task, "known", json!({"title": "known"}));
    sync(&here);
    drop(here);
    cloud.stream().called.insert(Kind::ProjectContext, "playbook");
    cloud.stream().fill(Kind::ProjectContext, ["of tomorrow".to_owned()].into_iter());
    cloud.stream().fill(Kind::Decision, ["behind it".to_owned()].into_iter());
    for (records, unknown) in [(2, "1 record is of a kind"), (0, "")] {
        let told = Told::default();
        let here = machine.client().on_notice(told.listener()).build().unwrap().context();
        let synced = sync(&here);
        assert_eq!(synced.pulled.records, records);
        assert!(told.take().iter().any(|said| said.starts_with(unknown)) != unknown.is_empty());
        assert_eq!(says(&here, Kind::Decision, "behind it"), json!({"title": "behind it"}));
    }
    assert_eq!(machine.coditect(&["sync", "pull", "--all"]).code, 0);
    // As if this version were updated: the word is a kind's now.
    cloud.stream().called.insert(Kind::ProjectContext, "project_context");
    let sessions = rusqlite::Connection::open(machine.home().join("sessions.db")).unwrap();
    let sql = "UPDATE progress SET unknown_kinds = replace(unknown_kinds, 'playbook', 'project_context')";
    assert_eq!(sessions.execute(sql, []).unwrap(), 1);
    drop(sessions);
    let here = context(&machine);
    sync(&here);
    assert_eq!(says(&here, Kind::ProjectContext, "of tomorrow"), json!({"title": "of tomorrow"}));
    drop(here);
    assert_eq!(machine.coditect(&["sync"]).stdout, "There was nothing to send.\nThere was nothing new.\n");
}

#[test]
fn a_time_is_when_something_was_confirmed() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    cloud.away(true);
    assert_eq!(machine.coditect(&["sync"]).code, 2);
    let here = context(&machine);
    let status = here.store().status().unwrap();
    assert_eq!((status.last_push_at, status.last_pull_at), (None, None));
    cloud.away(false);
    put(&here, Kind::Task, "t", json!({"title": "t"}));
    sync(&here);
    let pushed = here.store().status().unwrap().last_push_at;
    assert!(pushed.is_some());
    cloud.away(true);
    assert!(here.sync(|_| ()).is_err());
    assert_eq!(here.store().status().unwrap().last_push_at, pushed);
    assert!(Config::open(Some(machine.home())).unwrap().sync().unwrap());
}
