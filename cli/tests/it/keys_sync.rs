//! Machines with the tenant's key, machines without it, and a cloud that can read nothing.

use coditect::{Context, Error, JournalEvent, KeysError, Kind};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::keys::{EXPORT, OTHER, PASSPHRASE};
use crate::machine::{Hands, Machine, Told};
use crate::queue::{draft, id};
use crate::sync::{context, put, says, sync};

pub(crate) const SECRET: &str = "Use Postgres";

pub(crate) fn secret() -> Value {
    json!({ "title": SECRET })
}

/// A machine that syncs, and has the key that the others have.
pub(crate) fn with_key(cloud: &Cloud) -> (Machine, Context) {
    let machine = Machine::syncing(&cloud.url);
    machine.client().build().unwrap().import_tenant_key(EXPORT, PASSPHRASE).unwrap();
    let context = context(&machine);
    (machine, context)
}

pub(crate) fn without_key(cloud: &Cloud) -> (Machine, Context) {
    let machine = Machine::syncing(&cloud.url);
    let context = context(&machine);
    (machine, context)
}

pub(crate) fn is_locked(context: &Context, kind: Kind, record: &str) -> bool {
    context.store().get(kind, &id(record)).unwrap().unwrap().locked
}

#[test]
fn only_machines_with_the_key_read_what_is_sent() {
    let cloud = Cloud::start();
    let ((_ada, ada), (bob_machine, bob), (_eve, eve)) = (with_key(&cloud), without_key(&cloud), with_key(&cloud));
    let mut wanted = draft(Kind::Decision, "a", secret());
    wanted.project_id = Some("billing".parse().unwrap());
    ada.store().put(&wanted).unwrap();
    sync(&ada);
    let kept = cloud.stream().current(Kind::Decision, "a").clone();
    let kept = format!("{} {:?}", kept.content, kept.project_id);
    assert!(!kept.contains(SECRET) && !kept.contains("title") && !kept.contains("billing"), "{kept}");
    assert_eq!(says(&ada, Kind::Decision, "a"), secret(), "here it is in plain");

    sync(&eve);
    let entry = eve.store().get(Kind::Decision, &id("a")).unwrap().unwrap();
    assert_eq!((entry.content, entry.project_id), (secret(), wanted.project_id.clone()));

    assert_eq!(sync(&bob).pulled.locked, 1);
    assert!(is_locked(&bob, Kind::Decision, "a"));
    let printed = bob_machine.coditect(&["decision", "list"]);
    assert_eq!(printed.stdout, "ID  PROJECT  CHANGED   DECISION\na   -        just now  (encrypted)\n");
    let printed = bob_machine.coditect(&["decision", "edit", "a", "Use nothing"]);
    assert_eq!(printed.code, 1, "{printed:?}");
    let taken = bob_machine.client().build().unwrap().import_tenant_key(EXPORT, PASSPHRASE).unwrap();
    assert_eq!((taken.unlocked, taken.queued), (1, 0));
    let entry = bob.store().get(Kind::Decision, &id("a")).unwrap().unwrap();
    assert_eq!((entry.content, entry.project_id), (secret(), wanted.project_id));

    put(&bob, Kind::Decision, "a", json!({"title": "Use SQLite"}));
    assert_eq!(sync(&bob).pushed.updated, 1, "it knows what it was made from");
    bob.store().delete(Kind::Decision, &id("a")).unwrap();
    let history = ada.history(Kind::Decision, &id("a"), 16, None).unwrap();
    let read: Vec<&str> = history.data.iter().map(|entry| entry.content.get()).collect();
    assert_eq!(read, ["{\"title\":\"Use SQLite\"}", "{\"title\":\"Use Postgres\"}"]);
    sync(&bob);
    sync(&ada);
    assert_eq!(says(&ada, Kind::Decision, "a"), Value::Null);
}

#[test]
fn what_the_cloud_has_in_clear_is_encrypted_too() {
    let cloud = Cloud::start();
    let ((ada_machine, ada), (bob_machine, bob)) = (without_key(&cloud), without_key(&cloud));
    for n in 0..5 {
        put(&ada, Kind::Decision, &format!("a{n}"), secret());
    }
    sync(&ada);
    sync(&bob);
    put(&bob, Kind::Task, "late", secret());
    bob.push(|_| ()).unwrap();

    let taken = ada_machine.client().build().unwrap().init_tenant_key().unwrap();
    assert_eq!((taken.new, taken.queued), (true, 5));
    let synced = sync(&ada);
    assert_eq!((synced.pulled.bare, synced.pushed.updated), (1, 6), "what came in clear meanwhile is sent again");
    let clear = |change: &&crate::stream::Change| change.content.to_string().contains(SECRET);
    let stream = cloud.stream().clone();
    for (kind, record) in stream.records.keys() {
        assert!(!clear(&stream.current(*kind, record.as_str())), "{record}");
        assert_eq!(stream.ever(*kind, record.as_str()).into_iter().filter(clear).count(), 1, "its past stays");
    }
    assert_eq!(sync(&ada).pushed.sent(), 0, "once");

    // Another machine that gets the key finds everything done, although its tables say otherwise.
    let export = ada_machine.client().build().unwrap().export_tenant_key(PASSPHRASE).unwrap();
    let taken = bob_machine.client().build().unwrap().import_tenant_key(&export, PASSPHRASE).unwrap();
    assert_eq!((taken.unlocked, taken.queued), (0, 6));
    let pushed = sync(&bob).pushed;
    assert_eq!((pushed.duplicates, pushed.sent()), (6, 6));
    for context in [&ada, &bob] {
        assert_eq!(says(context, Kind::Decision, "a3"), secret());
        assert_eq!(says(context, Kind::Task, "late"), secret());
        assert_eq!(context.store().status().unwrap().waiting, 0);
    }
}

#[test]
fn without_the_key_changes_wait_and_are_sent_with_it() {
    let cloud = Cloud::start();
    let ((_ada, ada), (bob_machine, bob)) = (with_key(&cloud), without_key(&cloud));
    put(&ada, Kind::Decision, "a", secret());
    sync(&ada);
    put(&bob, Kind::Decision, "b", secret());
    for _ in 0..4 {
        assert_eq!(sync(&bob).pushed.hindered, 1);
    }
    let status = bob.store().status().unwrap();
    assert_eq!((status.waiting, status.parked), (1, 0), "which is not the record's own fault");
    assert!(status.push_trouble.unwrap().hint.contains("sync keys import"));
    let told = bob_machine.coditect(&["sync", "push"]);
    assert!(told.code == 1 && told.stderr.contains("`coditect sync keys import FILE`"), "{told:?}");
    bob_machine.client().build().unwrap().import_tenant_key(EXPORT, PASSPHRASE).unwrap();
    assert_eq!(sync(&bob).pushed.created, 1);
    sync(&ada);
    assert_eq!(says(&ada, Kind::Decision, "b"), secret());
}

#[test]
fn two_keys_are_not_used_at_once() {
    let cloud = Cloud::start();
    let ((_ada, ada), (bob_machine, _)) = (with_key(&cloud), without_key(&cloud));
    put(&ada, Kind::Decision, "a", secret());
    sync(&ada);
    let bob = bob_machine.client().build().unwrap();
    assert!(matches!(bob.init_tenant_key(), Err(Error::Keys(KeysError::Latched { .. }))));
    assert!(matches!(bob.import_tenant_key(OTHER, PASSPHRASE), Err(Error::Keys(KeysError::Other { .. }))));

    // Two that made a key each before either sent anything: one of them is the first, and the other takes that one over.
    let cloud = Cloud::start();
    let ((_ada, ada), (bob_machine, bob)) = (with_key(&cloud), without_key(&cloud));
    bob_machine.client().build().unwrap().init_tenant_key().unwrap();
    put(&ada, Kind::Decision, "a", secret());
    put(&bob, Kind::Decision, "b", secret());
    sync(&ada);
    assert_eq!(sync(&bob).pushed.hindered, 1);
    assert!(is_locked(&bob, Kind::Decision, "a"));
    let taken = bob_machine.client().build().unwrap().import_tenant_key(EXPORT, PASSPHRASE).unwrap();
    assert_eq!((taken.new, taken.unlocked), (true, 1));
    sync(&bob);
    sync(&ada);
    assert_eq!(says(&ada, Kind::Decision, "b"), secret());
}

#[test]
fn contents_that_were_swapped_are_told_and_stop_nothing() {
    let cloud = Cloud::start();
    let ((_ada, ada), (bob_machine, bob)) = (with_key(&cloud), with_key(&cloud));
    for record in ["a", "b", "c"] {
        put(&ada, Kind::Decision, record, json!({ "title": record }));
    }
    sync(&ada);
    {
        let mut stream = cloud.stream();
        let (a, b) = ((Kind::Decision, id("a")), (Kind::Decision, id("b")));
        let content = stream.records[&a].current.content.clone();
        stream.records.get_mut(&b).unwrap().current.content = content;
    }
    let told = Told::default();
    let bob_again = bob_machine.client().on_notice(told.listener()).build().unwrap().context();
    assert_eq!(sync(&bob_again).pulled.forged, 1);
    assert!(told.take().iter().any(|sentence| sentence.contains("not what your organization encrypted")));
    assert_eq!(says(&bob, Kind::Decision, "a"), json!({"title": "a"}));
    assert_eq!(says(&bob, Kind::Decision, "c"), json!({"title": "c"}), "what is behind it comes all the same");
    assert!(is_locked(&bob, Kind::Decision, "b"));
    let noted = bob.store().journal(10).unwrap();
    assert!(noted.iter().any(|entry| entry.event == JournalEvent::Forged && entry.id == Some(id("b"))));
    put(&ada, Kind::Decision, "b", json!({"title": "b again"}));
    sync(&ada);
    sync(&bob);
    assert_eq!(says(&bob, Kind::Decision, "b"), json!({"title": "b again"}), "the next version heals it");
}

#[test]
fn what_the_cloud_lost_comes_back_even_from_machines_that_cannot_read_it() {
    let cloud = Cloud::start();
    let ((_ada, ada), (_bob, bob)) = (with_key(&cloud), without_key(&cloud));
    put(&ada, Kind::Decision, "a", secret());
    sync(&ada);
    let old = cloud.stream().clone();
    put(&ada, Kind::Decision, "lost", secret());
    sync(&ada);
    sync(&bob);
    cloud.stream().restore(old);
    assert_eq!(sync(&bob).pushed.created, 1);
    let (_eve, eve) = with_key(&cloud);
    sync(&eve);
    assert_eq!(says(&eve, Kind::Decision, "lost"), secret());
}

#[test]
fn the_later_of_two_encrypted_changes_counts_on_both_machines() {
    let cloud = Cloud::start();
    let ((_ada, ada), (bob_machine, _)) = (with_key(&cloud), with_key(&cloud));
    let hands = Hands::new();
    let bob = bob_machine.client().clock(hands.reader()).build().unwrap().context();
    put(&ada, Kind::Task, "t", json!({"status": "pending"}));
    sync(&ada);
    sync(&bob);
    put(&ada, Kind::Task, "t", json!({"status": "completed"}));
    hands.set(SignedDuration::from_secs(60));
    put(&bob, Kind::Task, "t", json!({"status": "blocked"}));
    assert_eq!(sync(&bob).pushed.updated, 1);
    assert_eq!(sync(&ada).pushed.conflicts_lost, 1);
    for context in [&ada, &bob] {
        assert_eq!(says(context, Kind::Task, "t"), json!({"status": "blocked"}));
    }
}

#[test]
fn what_is_too_large_when_it_is_encrypted_is_parked_alone() {
    let cloud = Cloud::start();
    let (_ada, ada) = with_key(&cloud);
    put(&ada, Kind::Decision, "large", json!({"text": "x".repeat(220 * 1024)}));
    put(&ada, Kind::Decision, "small", secret());
    for _ in 0..3 {
        sync(&ada);
    }
    let status = ada.store().status().unwrap();
    assert_eq!((status.waiting, status.parked), (0, 1));
    assert!(status.parked_changes[0].error.as_ref().unwrap().contains("too large to be encrypted"));
    assert_eq!(cloud.stream().records.len(), 1);
}
