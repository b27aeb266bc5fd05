//! Machines and a cloud: a change on one is seen on all.

use coditect::{Context, Draft, Error, Filter, Kind, Synced};
use jiff::SignedDuration;
use protocol::problem::{Code, ProblemDocument};
use protocol::wire::Outcome;
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::machine::{Hands, Machine, Told};
use crate::queue::{draft, id};

pub(crate) fn context(machine: &Machine) -> Context {
    machine.client().build().unwrap().context()
}

pub(crate) fn sync(context: &Context) -> Synced {
    context.sync(|_| ()).unwrap()
}

pub(crate) fn put(context: &Context, kind: Kind, id: &str, content: Value) {
    context.store().put(&draft(kind, id, content)).unwrap();
}

/// Returns a record's content on a machine; null where there is none.
pub(crate) fn says(context: &Context, kind: Kind, record: &str) -> Value {
    context.store().get(kind, &id(record)).unwrap().map_or(Value::Null, |entry| entry.content)
}

#[test]
fn a_change_travels() {
    let cloud = Cloud::start();
    let (ada, bob) = (Machine::syncing(&cloud.url), Machine::syncing(&cloud.url));
    let (ada, bob) = (context(&ada), context(&bob));
    for kind in Kind::ALL.iter().copied().filter(|kind| kind.is_pushed()) {
        put(&ada, kind, "a", json!({"title": "from Ada"}));
    }
    cloud.stream().fill(Kind::Component, ["core".to_owned()].into_iter());
    let synced = sync(&ada);
    assert_eq!((synced.pushed.created, synced.pulled.records), (7, 8));
    assert_eq!(sync(&bob).pulled.records, 8);
    for kind in Kind::ALL.iter().copied().filter(|kind| kind.is_pushed()) {
        assert_eq!(says(&bob, kind, "a"), json!({"title": "from Ada"}));
        put(&bob, kind, "a", json!({"title": "from Bob"}));
    }
    assert_eq!(says(&bob, Kind::Component, "core"), json!({"title": "core"}));
    let synced = sync(&bob);
    assert_eq!((synced.pushed.updated, synced.pushed.conflicts_won), (7, 0), "each knows what it was made from");
    sync(&ada);
    assert_eq!(says(&ada, Kind::Message, "a"), json!({"title": "from Bob"}));
    bob.store().delete(Kind::Message, &id("a")).unwrap();
    sync(&bob);
    sync(&ada);
    assert_eq!(says(&ada, Kind::Message, "a"), Value::Null);
    assert_eq!(ada.store().list(Kind::Message, &Filter::default()).unwrap(), []);
    assert_eq!(sync(&ada), Synced::default(), "and then there is nothing to do");
}

#[test]
fn what_is_changed_offline_goes_out_in_order() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    let here = context(&machine);
    cloud.away(true);
    for n in 0..5 {
        put(&here, Kind::Decision, "a", json!({ "n": n }));
        put(&here, Kind::Task, "b", json!({ "n": n }));
    }
    let error = here.sync(|_| ()).unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    let status = here.store().status().unwrap();
    assert_eq!((status.waiting, status.parked), (10, 0));
    assert_eq!(status.push_trouble.unwrap().code, "cloud_unavailable");
    cloud.away(false);
    let pushed = sync(&here).pushed;
    assert_eq!((pushed.created, pushed.updated, pushed.sent()), (2, 8, 10));
    let said = |kind, id| -> Vec<Value> {
        cloud.stream().ever(kind, id).iter().map(|change| change.content["n"].clone()).collect()
    };
    assert_eq!(said(Kind::Decision, "a"), [0, 1, 2, 3, 4]);
    assert_eq!(said(Kind::Task, "b"), [0, 1, 2, 3, 4]);
    assert_eq!(here.store().status().unwrap().push_trouble, None);
}

#[test]
fn two_machines_with_a_conflict_come_to_the_same() {
    let cloud = Cloud::start();
    let (ada, bob) = (Machine::syncing(&cloud.url), Machine::syncing(&cloud.url));
    let told = Told::default();
    let ada = ada.client().on_notice(told.listener()).build().unwrap().context();
    let bob = context(&bob);
    put(&ada, Kind::Task, "t", json!({"description": "both know it"}));
    sync(&ada);
    sync(&bob);
    // Both are offline. Ada changes it first, and twice; Bob last.
    put(&ada, Kind::Task, "t", json!({"description": "Ada's first"}));
    put(&ada, Kind::Task, "t", json!({"description": "Ada's second"}));
    put(&bob, Kind::Task, "t", json!({"description": "Bob's"}));
    sync(&bob);
    told.take();
    let pushed = sync(&ada).pushed;
    assert_eq!((pushed.conflicts_lost, pushed.conflicts_won), (2, 0));
    assert_eq!(
        told.take(),
        ["The task \"t\" was changed elsewhere later than here. What you changed is kept: `coditect task show t \
          --history`."]
    );
    assert_eq!(ada.store().status().unwrap().conflicts_lost, 2);
    sync(&bob);
    for machine in [&ada, &bob] {
        assert_eq!(says(machine, Kind::Task, "t"), json!({"description": "Bob's"}));
    }
    let history = ada.history(Kind::Task, &id("t"), 50, None).unwrap().data;
    let lost: Vec<_> = history.iter().filter(|entry| entry.outcome == Outcome::Lost).collect();
    assert_eq!(lost.len(), 2, "nothing is gone");
    // A machine that has pulled the winner changes that one, without a conflict.
    put(&ada, Kind::Task, "t", json!({"description": "agreed"}));
    assert_eq!(sync(&ada).pushed.updated, 1);
}

#[test]
fn whoever_is_later_wins_also_when_the_other_was_faster() {
    let cloud = Cloud::start();
    let (ada, bob) = (Machine::syncing(&cloud.url), Machine::syncing(&cloud.url));
    let (ada, bob) = (context(&ada), context(&bob));
    put(&ada, Kind::Task, "t", json!({"n": 1}));
    put(&bob, Kind::Task, "t", json!({"n": 2}));
    sync(&ada);
    let pushed = sync(&bob).pushed;
    assert_eq!((pushed.conflicts_won, pushed.conflicts_lost), (1, 0));
    sync(&ada);
    assert_eq!(says(&ada, Kind::Task, "t"), json!({"n": 2}));
    // The same change on both machines is a duplicate, not a conflict.
    put(&ada, Kind::Task, "t", json!({"n": 3}));
    put(&bob, Kind::Task, "t", json!({"n": 3}));
    sync(&ada);
    assert_eq!(sync(&bob).pushed.duplicates, 1);
    assert_eq!(cloud.stream().current(Kind::Task, "t").version, 3);
}

#[test]
fn an_edit_of_what_was_seen_counts_more_than_it_with_any_clock() {
    let cloud = Cloud::start();
    let (ada, bob) = (Machine::syncing(&cloud.url), Machine::syncing(&cloud.url));
    let hands = Hands::new();
    hands.set(SignedDuration::from_mins(-30));
    let ada = context(&ada);
    let bob = bob.client().clock(hands.reader()).build().unwrap().context();
    put(&ada, Kind::Task, "t", json!({"n": 1}));
    sync(&ada);
    sync(&bob);
    put(&bob, Kind::Task, "t", json!({"n": 2}));
    assert_eq!(says(&bob, Kind::Task, "t"), json!({"n": 2}), "although Bob's clock is behind");
    assert_eq!(sync(&bob).pushed.updated, 1);
}

#[test]
fn lost_answers_double_nothing() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    let here = context(&machine);
    put(&here, Kind::Decision, "a", json!({"n": 1}));
    put(&here, Kind::Decision, "a", json!({"n": 2}));
    for _ in 0..2 {
        cloud.mood().loses = "/push";
        cloud.mood().lose_answers = 3;
        assert!(here.push(|_| ()).unwrap_err().is_unavailable());
    }
    assert_eq!(cloud.stream().current(Kind::Decision, "a").version, 1, "the cloud has it, and nobody here knows");
    let pushed = sync(&here).pushed;
    assert_eq!((pushed.duplicates, pushed.updated), (1, 1));
    assert_eq!(cloud.stream().ever(Kind::Decision, "a").len(), 2);
    assert_eq!(here.store().status().unwrap().waiting, 0);
}

#[test]
fn many_records_go_in_batches_and_compressed() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    let here = context(&machine);
    let drafts: Vec<Draft> = (0..1200).map(|n| draft(Kind::Message, &format!("m{n}"), json!({ "n": n }))).collect();
    here.store().put_all(&drafts).unwrap();
    let mut shown = Vec::new();
    assert_eq!(here.push(|progress| shown.push(progress)).unwrap().created, 1200);
    let pushes = cloud.asked("/push");
    let sizes: Vec<usize> = pushes.iter().map(|push| push.body["records"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [500, 500, 200]);
    assert!(pushes.iter().all(|push| push.header("content-encoding") == Some("gzip")));
    assert_eq!(format!("{:?}", shown[1]), "Pushing { done: 1000, total: 1200 }");
    // Large records go out fewer at a time.
    cloud.forget();
    let text: String = "0123456789abcdef".repeat(15_000);
    let drafts: Vec<Draft> = (0..40).map(|n| draft(Kind::Message, &format!("l{n}"), json!({ "text": text }))).collect();
    here.store().put_all(&drafts).unwrap();
    assert_eq!(here.push(|_| ()).unwrap().created, 40);
    let largest = cloud.asked("/push").iter().map(|push| push.body.to_string().len()).max().unwrap();
    assert!(largest < 4 * 1024 * 1024 && cloud.asked("/push").len() == 3, "{largest}");
}

#[test]
fn an_interrupted_first_pull_goes_on_where_it_stopped() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    cloud.stream().fill(Kind::Decision, (0..50).map(|n| format!("d{n}")));
    cloud.stream().page = Some(10);
    cloud.stream().pulls_left = Some(3);
    let here = context(&machine);
    assert!(here.pull(|_| ()).unwrap_err().is_unavailable());
    assert_eq!(here.store().list(Kind::Decision, &Filter::default()).unwrap().len(), 30);
    assert!(here.store().status().unwrap().cursor_known);
    drop(here);
    cloud.stream().pulls_left = None;
    cloud.forget();
    let here = context(&machine);
    let mut shown = Vec::new();
    assert_eq!(here.pull(|progress| shown.push(progress)).unwrap().records, 20);
    assert_eq!(format!("{shown:?}"), "[Pulling { done: 40, total: Some(50) }]");
    let pulls = cloud.asked("/pull");
    assert!(pulls[0].path.contains("cursor=0.30"), "{}", pulls[0].path);
    assert_eq!(here.store().list(Kind::Decision, &Filter::default()).unwrap().len(), 50);
}

#[test]
fn nothing_is_sent_to_another_organization() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    let here = context(&machine);
    put(&here, Kind::Decision, "a", json!({"title": "ours"}));
    sync(&here);
    put(&here, Kind::Decision, "a", json!({"title": "still ours"}));
    cloud.change_tenant();
    cloud.forget();
    let here = context(&machine);
    let error = here.sync(|_| ()).unwrap_err();
    assert_eq!(error.code(), "other_organisation");
    assert!(cloud.asked("/context/").is_empty());
}

#[test]
fn whoever_only_looks_does_not_say_whose_context_this_is() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    let (first, second) = (context(&machine), context(&machine));
    cloud.stream().fill(Kind::Decision, ["a".to_owned()].into_iter());
    first.cloud_status().unwrap();
    first.history(Kind::Decision, &id("a"), 1, None).unwrap();
    cloud.change_tenant();
    sync(&second);
    cloud.forget();
    // The first one still has the other organization's access token.
    put(&first, Kind::Decision, "b", json!({}));
    for error in [first.push(|_| ()).unwrap_err(), first.pull(|_| ()).unwrap_err(), first.cloud_status().unwrap_err()] {
        assert_eq!(error.code(), "other_organisation");
    }
    assert!(cloud.asked("/context/").is_empty());
    assert_eq!(sync(&second).pushed.created, 1);
}

#[test]
fn an_access_token_that_is_not_taken_is_renewed_once() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    let here = context(&machine);
    put(&here, Kind::Decision, "a", json!({}));
    cloud.mood().problem_on = Some(("/push", ProblemDocument::new(Code::InvalidToken)));
    let error = here.push(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Refused(_)));
    assert_eq!((cloud.asked("/auth/license").len(), cloud.asked("/push").len()), (2, 2));
    assert_eq!(here.store().queue(1).unwrap()[0].attempts, 0, "that is not the record's fault");
}
