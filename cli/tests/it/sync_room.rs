//! A tenant without room: changes that need none still go out, whatever waits before them.

use coditect::{Context, Draft, JournalEvent, Kind};
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::machine::Machine;
use crate::queue::{draft, id};
use crate::sync::{context, put, says, sync};

/// Returns the number of changes in each push of records.
fn sizes(cloud: &Cloud) -> Vec<usize> {
    cloud.asked("/push").iter().map(|push| push.body["records"].as_array().unwrap().len()).collect()
}

fn many(here: &Context, count: usize) {
    let drafts: Vec<Draft> = (0..count).map(|n| draft(Kind::Message, &format!("m{n}"), json!({ "n": n }))).collect();
    here.store().put_all(&drafts).unwrap();
}

#[test]
fn what_needs_no_room_passes_what_does() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    let here = context(&machine);
    put(&here, Kind::Task, "edited", json!({"n": 1}));
    put(&here, Kind::Task, "deleted", json!({"n": 1}));
    sync(&here);
    cloud.stream().quota = Some(2);
    many(&here, 600);
    put(&here, Kind::Task, "edited", json!({"n": 2}));
    here.store().delete(Kind::Task, &id("deleted")).unwrap();
    for _ in 0..2 {
        cloud.forget();
        let pushed = here.push(|_| ()).unwrap();
        assert_eq!(pushed.hindered, 500);
        assert_eq!(cloud.stream().current(Kind::Task, "edited").content, json!({"n": 2}));
        assert!(cloud.stream().current(Kind::Task, "deleted").deleted);
        assert_eq!(here.store().status().unwrap().waiting, 600);
    }
    assert_eq!(sizes(&cloud), [500], "nor is anything else sent in vain");
    let refusals = || here.store().journal(5000).unwrap().into_iter().filter(|it| it.event == JournalEvent::Refused);
    assert_eq!(refusals().count(), 500, "once each");
    cloud.stream().quota = None;
    assert_eq!(here.push(|_| ()).unwrap().created, 600);
}

#[test]
fn a_smaller_change_takes_the_place_of_one_that_is_too_large() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    let here = context(&machine);
    for record in ["shrunk", "deleted", "grown"] {
        put(&here, Kind::Decision, record, json!({"n": 1}));
    }
    sync(&here);
    cloud.stream().tight = true;
    for record in ["shrunk", "deleted", "grown"] {
        put(&here, Kind::Decision, record, json!({"n": 2, "large": true}));
        put(&here, Kind::Decision, record, json!({"n": 3, "large": true}));
    }
    put(&here, Kind::Decision, "shrunk", json!({"n": 4}));
    here.store().delete(Kind::Decision, &id("deleted")).unwrap();
    let pushed = here.push(|_| ()).unwrap();
    // Of the changes that need more room, the first and the last are tried, and all are kept.
    assert_eq!((pushed.updated, pushed.superseded, pushed.hindered), (2, 4, 2));
    assert_eq!(cloud.stream().current(Kind::Decision, "shrunk").content, json!({"n": 4}));
    assert_eq!(cloud.stream().current(Kind::Decision, "shrunk").version, 2);
    assert!(cloud.stream().current(Kind::Decision, "deleted").deleted);
    assert_eq!(says(&here, Kind::Decision, "shrunk"), json!({"n": 4}));
    assert_eq!(says(&here, Kind::Decision, "deleted"), Value::Null);
    assert_eq!(here.store().status().unwrap().waiting, 2);
    let journal = here.store().journal(100).unwrap();
    let left_out = |id: &str| {
        let of_record = |entry: &&coditect::JournalEntry| entry.id.as_ref().is_some_and(|it| it.as_str() == id);
        let entry = journal.iter().filter(of_record).find(|entry| entry.event == JournalEvent::Superseded);
        entry.map(|entry| entry.detail.clone())
    };
    assert_eq!(left_out("shrunk").as_deref(), Some("2 not sent, since a later one was"));
    assert_eq!(left_out("grown"), None);
    // With room, the kept changes go out in their order; and a change that was made meanwhile has the right base version.
    put(&here, Kind::Decision, "shrunk", json!({"n": 5}));
    cloud.stream().tight = false;
    let pushed = sync(&here).pushed;
    assert_eq!((pushed.updated, pushed.conflicts_won, pushed.superseded), (3, 0, 0));
    assert_eq!(cloud.stream().ever(Kind::Decision, "grown").len(), 3);
}

#[test]
fn what_was_new_and_is_deleted_before_there_was_room_waits_no_more() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    let here = context(&machine);
    cloud.stream().tight = true;
    put(&here, Kind::Task, "t", json!({"large": true}));
    assert_eq!(here.push(|_| ()).unwrap().hindered, 1);
    here.store().delete(Kind::Task, &id("t")).unwrap();
    let pushed = here.push(|_| ()).unwrap();
    assert_eq!((pushed.created, pushed.superseded, pushed.hindered), (1, 1, 0));
    assert_eq!((&pushed.hindrance, here.store().status().unwrap().waiting), (&None, 0));
    assert!(here.store().status().unwrap().last_push_at.is_some());
}
