//! A cloud that was restored from a backup, and has lost its latest changes.

use coditect::{Context, Kind};
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::machine::{Machine, Told};
use crate::queue::id;
use crate::sync::{context, put, says, sync};

fn two(cloud: &Cloud) -> (Machine, Machine) {
    (Machine::syncing(&cloud.url), Machine::syncing(&cloud.url))
}

fn settle(machines: [&Context; 2]) {
    // The first to sync receives the other's changes in the next round.
    (0..2).for_each(|_| machines.iter().for_each(|machine| drop(sync(machine))));
}

#[test]
fn what_the_cloud_has_lost_is_sent_again() {
    let cloud = Cloud::start();
    let (ada, bob) = two(&cloud);
    let told = Told::default();
    let ada = ada.client().on_notice(told.listener()).build().unwrap().context();
    let bob = context(&bob);
    put(&ada, Kind::Decision, "kept", json!({"n": 1}));
    put(&ada, Kind::Decision, "changed", json!({"n": 1}));
    put(&ada, Kind::Task, "deleted", json!({"n": 1}));
    settle([&ada, &bob]);
    let backup = cloud.stream().clone();
    put(&ada, Kind::Decision, "changed", json!({"n": 2}));
    put(&ada, Kind::Decision, "new", json!({"n": 1}));
    put(&bob, Kind::Task, "new", json!({"n": 2}));
    ada.store().delete(Kind::Task, &id("deleted")).unwrap();
    settle([&ada, &bob]);
    let before = cloud.stream().clone();
    cloud.stream().restore(backup);
    told.take();
    let synced = sync(&ada);
    assert!(synced.pulled.started_over);
    assert_eq!(synced.pulled.queued_again, 4);
    assert_eq!(told.take().len(), 2);
    let pushed = synced.pushed;
    assert_eq!((pushed.created, pushed.updated), (2, 2));
    settle([&ada, &bob]);
    let after = cloud.stream().clone();
    assert_eq!(after.records.len(), before.records.len());
    for (key, kept) in &before.records {
        let now = &after.records[key].current;
        assert_eq!((&now.content, now.deleted), (&kept.current.content, kept.current.deleted), "{key:?}");
    }
    for machine in [&ada, &bob] {
        assert_eq!(says(machine, Kind::Decision, "changed"), json!({"n": 2}));
        assert_eq!(says(machine, Kind::Task, "new"), json!({"n": 2}));
        assert_eq!(says(machine, Kind::Task, "deleted"), Value::Null);
        assert_eq!(machine.store().status().unwrap().waiting, 0);
    }
    assert_eq!(sync(&ada).pulled.records, 0);
}

#[test]
fn of_two_futures_the_later_wins_and_the_other_is_history() {
    let cloud = Cloud::start();
    let (ada, bob) = two(&cloud);
    let (ada, bob) = (context(&ada), context(&bob));
    put(&ada, Kind::Decision, "d", json!({"title": "known"}));
    settle([&ada, &bob]);
    let backup = cloud.stream().clone();
    put(&ada, Kind::Decision, "d", json!({"title": "lost with the cloud"}));
    sync(&ada);
    cloud.stream().restore(backup);
    // Bob goes on from the backup, with the version number that the lost one had; and once more, with a higher one.
    put(&bob, Kind::Decision, "d", json!({"title": "made after the restore"}));
    sync(&bob);
    for title in ["made after the restore", "and once more"] {
        if title == "and once more" {
            put(&bob, Kind::Decision, "d", json!({ "title": title }));
            sync(&bob);
        }
        sync(&ada);
        assert_eq!(says(&ada, Kind::Decision, "d"), json!({ "title": title }));
    }
    let stream = cloud.stream();
    let lost = json!({"title": "lost with the cloud"});
    assert_eq!(stream.ever(Kind::Decision, "d").iter().filter(|change| change.content == lost).count(), 1);
}

#[test]
fn a_change_of_this_machine_is_not_forgotten_behind_a_higher_version() {
    let cloud = Cloud::start();
    let (ada, bob) = two(&cloud);
    let (ada, bob) = (context(&ada), context(&bob));
    put(&ada, Kind::Decision, "d", json!({"n": 1}));
    settle([&ada, &bob]);
    let backup = cloud.stream().clone();
    put(&ada, Kind::Decision, "d", json!({"n": "lost"}));
    sync(&ada);
    cloud.stream().restore(backup);
    for n in 2..5 {
        put(&bob, Kind::Decision, "d", json!({ "n": n }));
        sync(&bob);
    }
    settle([&ada, &bob]);
    assert_eq!(says(&ada, Kind::Decision, "d"), json!({"n": 4}));
    let stream = cloud.stream();
    assert!(stream.ever(Kind::Decision, "d").iter().any(|change| change.content == json!({"n": "lost"})));
}

#[test]
fn an_interrupted_comparison_goes_on() {
    let cloud = Cloud::start();
    let (ada, bob) = two(&cloud);
    let (ada, bob) = (context(&ada), context(&bob));
    let empty = cloud.stream().clone();
    for n in 0..30 {
        put(&ada, Kind::Decision, &format!("d{n}"), json!({ "n": n }));
        put(&ada, Kind::Message, &format!("m{n}"), json!({ "n": n }));
    }
    settle([&ada, &bob]);
    let mut half = cloud.stream().clone();
    half.records.retain(|(_, id), _| id.as_str().len() == 2);
    cloud.stream().restore(half);
    cloud.stream().page = Some(5);
    for pulls in [2, 1, 1] {
        cloud.stream().pulls_left = Some(pulls);
        assert!(ada.pull(|_| ()).unwrap_err().is_unavailable());
        assert!(ada.store().status().unwrap().starting_over);
    }
    cloud.stream().pulls_left = None;
    let synced = sync(&ada);
    assert_eq!((synced.pulled.queued_again, synced.pushed.created), (40, 40));
    assert!(!ada.store().status().unwrap().starting_over);
    assert_eq!(cloud.stream().records.len(), 60);
    // The restored cloud may also be empty.
    cloud.stream().restore(empty);
    settle([&bob, &ada]);
    assert_eq!(cloud.stream().records.len(), 60);
    assert!(cloud.stream().records.values().all(|kept| kept.history.is_empty()), "nothing was doubled");
}

#[test]
fn what_waits_when_the_cloud_is_restored_is_sent_once() {
    let cloud = Cloud::start();
    let (ada, bob) = two(&cloud);
    let (ada, bob) = (context(&ada), context(&bob));
    put(&ada, Kind::Decision, "d", json!({"n": 1}));
    settle([&ada, &bob]);
    let backup = cloud.stream().clone();
    put(&ada, Kind::Decision, "d", json!({"n": 2}));
    settle([&ada, &bob]);
    put(&ada, Kind::Decision, "d", json!({"n": 3}));
    cloud.stream().restore(backup);
    settle([&ada, &bob]);
    for machine in [&ada, &bob] {
        assert_eq!(says(machine, Kind::Decision, "d"), json!({"n": 3}));
    }
}

#[test]
fn a_deletion_that_the_cloud_has_lost_is_sent_again() {
    let cloud = Cloud::start();
    let (ada, bob) = two(&cloud);
    let (ada, bob) = (context(&ada), context(&bob));
    let empty = cloud.stream().clone();
    for kind in [Kind::Task, Kind::Decision] {
        put(&ada, kind, "d", json!({"n": 1}));
    }
    settle([&ada, &bob]);
    for kind in [Kind::Task, Kind::Decision] {
        ada.store().delete(kind, &id("d")).unwrap();
    }
    sync(&ada);
    // The cloud forgets the record altogether, and Bob has not received its end.
    cloud.stream().restore(empty);
    assert_eq!(sync(&ada).pulled.queued_again, 2);
    settle([&bob, &ada]);
    for kind in [Kind::Task, Kind::Decision] {
        assert!(cloud.stream().current(kind, "d").deleted);
        for machine in [&ada, &bob] {
            assert_eq!(says(machine, kind, "d"), Value::Null);
        }
    }
}

#[test]
fn what_was_pushed_and_never_came_back_takes_nobodys_place() {
    let cloud = Cloud::start();
    let (ada, bob) = two(&cloud);
    let (ada, bob) = (context(&ada), context(&bob));
    put(&ada, Kind::Decision, "d", json!({"n": 1}));
    settle([&ada, &bob]);
    let backup = cloud.stream().clone();
    for n in ["second", "third"] {
        put(&ada, Kind::Decision, "d", json!({ "n": n }));
    }
    ada.push(|_| ()).unwrap();
    cloud.stream().restore(backup);
    put(&bob, Kind::Decision, "d", json!({"n": "later"}));
    sync(&bob);
    settle([&ada, &bob]);
    for machine in [&ada, &bob] {
        assert_eq!(says(machine, Kind::Decision, "d"), json!({"n": "later"}));
    }
    let stream = cloud.stream();
    assert!(stream.ever(Kind::Decision, "d").iter().any(|change| change.content == json!({"n": "third"})));
}

#[test]
fn versions_of_before_a_restore_match_nothing_after_it() {
    let cloud = Cloud::start();
    let (ada, bob) = two(&cloud);
    let (ada, bob) = (context(&ada), context(&bob));
    for record in ["before", "meanwhile"] {
        put(&ada, Kind::Decision, record, json!({"n": 1}));
    }
    settle([&ada, &bob]);
    let backup = cloud.stream().clone();
    for record in ["before", "meanwhile"] {
        put(&ada, Kind::Decision, record, json!({"n": 2}));
    }
    sync(&ada);
    put(&ada, Kind::Decision, "before", json!({"n": "ours"}));
    cloud.stream().restore(backup);
    cloud.stream().pulls_left = Some(1);
    assert!(ada.pull(|_| ()).unwrap_err().is_unavailable());
    assert!(ada.store().status().unwrap().starting_over);
    put(&ada, Kind::Decision, "meanwhile", json!({"n": "ours"}));
    cloud.stream().pulls_left = None;
    // Bob's changes become the second versions, as Ada's were that the cloud has lost.
    for record in ["before", "meanwhile"] {
        put(&bob, Kind::Decision, record, json!({"n": "theirs, later"}));
    }
    sync(&bob);
    let pushed = sync(&ada).pushed;
    assert_eq!((pushed.updated, pushed.conflicts_won), (0, 0));
    sync(&bob);
    for record in ["before", "meanwhile"] {
        for machine in [&ada, &bob] {
            assert_eq!(says(machine, Kind::Decision, record), json!({"n": "theirs, later"}));
        }
    }
}
