//! Changes that are refused or cannot be sent, by cause, and their further handling.

use coditect::Kind;
use protocol::problem::{Code, ProblemDocument};
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::machine::{Machine, Told};
use crate::queue::id;
use crate::sync::{context, put, says, sync};

#[test]
fn what_is_refused_three_times_is_parked_and_can_be_retried() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    let told = Told::default();
    let here = machine.client().on_notice(told.listener()).build().unwrap().context();
    put(&here, Kind::Task, "bad", json!({"n": 1}));
    put(&here, Kind::Task, "good", json!({"n": 1}));
    cloud.stream().rejected.insert("bad".to_owned());
    for attempts in 1..=3 {
        let pushed = here.push(|_| ()).unwrap();
        assert_eq!((pushed.refused, pushed.parked), (1, u64::from(attempts == 3)));
        assert_eq!(here.store().queue(1).unwrap()[0].attempts, attempts);
    }
    assert_eq!(
        told.take(),
        [
            "The task \"bad\" was refused by the cloud, and is sent no more. `coditect sync status` says why, `coditect sync retry` \
          sends again."
        ]
    );
    let status = here.store().status().unwrap();
    assert_eq!((status.waiting, status.parked), (0, 1));
    assert_eq!(status.parked_changes[0].error.as_deref(), Some("This record is not liked."));
    assert_eq!(says(&here, Kind::Task, "bad"), json!({"n": 1}), "it is still seen here");
    cloud.forget();
    here.push(|_| ()).unwrap();
    assert!(cloud.asked("/push").is_empty());
    assert_eq!(here.store().retry(&[id("another")]).unwrap(), 0);
    assert_eq!(here.store().retry(&[id("bad")]).unwrap(), 1);
    cloud.stream().rejected.clear();
    assert_eq!(here.push(|_| ()).unwrap().created, 1);
}

#[test]
fn what_comes_after_a_parked_change_goes_on_in_its_place() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    let here = context(&machine);
    put(&here, Kind::Task, "t", json!({"n": 1}));
    sync(&here);
    put(&here, Kind::Task, "t", json!({"n": 2}));
    put(&here, Kind::Task, "t", json!({"n": 3}));
    cloud.stream().rejected.insert("t".to_owned());
    (0..3).for_each(|_| drop(here.push(|_| ()).unwrap()));
    cloud.stream().rejected.clear();
    // The first change is parked. For the cloud, the next one is based on the same version as the parked one was.
    let pushed = sync(&here).pushed;
    assert_eq!((pushed.updated, pushed.conflicts_won), (1, 0));
    put(&here, Kind::Task, "t", json!({"n": 4}));
    assert_eq!(sync(&here).pushed.updated, 1);
    assert_eq!(says(&here, Kind::Task, "t"), json!({"n": 4}), "and not what is parked, which is older");
    // Retried, it counts as an old change.
    here.store().retry(&[]).unwrap();
    assert_eq!(sync(&here).pushed.conflicts_lost, 1);
    assert_eq!(says(&here, Kind::Task, "t"), json!({"n": 4}));
    assert_eq!(cloud.stream().ever(Kind::Task, "t").len(), 4, "nothing is lost");
}

#[test]
fn what_comes_after_a_refused_change_waits_for_it() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    let here = context(&machine);
    put(&here, Kind::Task, "t", json!({"n": 1}));
    put(&here, Kind::Task, "t", json!({"n": 2}));
    cloud.stream().rejected.insert("t".to_owned());
    assert_eq!(here.push(|_| ()).unwrap().refused, 1);
    assert_eq!(cloud.asked("/push").len(), 1);
    cloud.stream().rejected.clear();
    let pushed = here.push(|_| ()).unwrap();
    assert_eq!((pushed.created, pushed.updated), (1, 1));
}

#[test]
fn faults_of_the_network_never_count() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    let here = context(&machine);
    put(&here, Kind::Task, "t", json!({}));
    cloud.away(true);
    (0..3).for_each(|_| drop(here.push(|_| ()).unwrap_err()));
    cloud.away(false);
    let mut unavailable = ProblemDocument::new(Code::Unavailable);
    unavailable.retry_after_seconds = Some(60);
    for problem in [unavailable, ProblemDocument::new(Code::RateLimited), ProblemDocument::new(Code::Internal)] {
        cloud.mood().problem_on = Some(("/push", problem));
        assert!(here.push(|_| ()).unwrap_err().is_unavailable());
    }
    for code in
        [Code::PlanLacksFeature, Code::LicenseInactive, Code::Forbidden, Code::NotFound, Code::UnsupportedMediaType]
    {
        cloud.mood().problem_on = Some(("/push", ProblemDocument::new(code)));
        assert_eq!(here.push(|_| ()).unwrap_err().code(), code.as_str());
        assert_eq!(here.store().status().unwrap().push_trouble.unwrap().code, code.as_str());
    }
    let change = &here.store().queue(1).unwrap()[0];
    assert_eq!((change.attempts, change.parked), (0, false));
    cloud.mood().problem_on = None;
    assert_eq!(here.push(|_| ()).unwrap().created, 1);
}

#[test]
fn pulls_go_on_while_pushes_are_overloaded() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    let here = context(&machine);
    put(&here, Kind::Task, "mine", json!({}));
    cloud.stream().fill(Kind::Task, ["theirs".to_owned()].into_iter());
    cloud.mood().problem_on = Some(("/push", ProblemDocument::new(Code::Unavailable)));
    assert!(here.sync(|_| ()).unwrap_err().is_unavailable());
    assert_eq!(says(&here, Kind::Task, "theirs"), json!({"title": "theirs"}));
    let status = here.store().status().unwrap();
    assert!(status.push_trouble.is_some() && status.pull_trouble.is_none(), "{status:?}");
    assert_eq!(status.waiting, 1);
}

#[test]
fn a_quota_that_is_used_up_holds_back_what_is_new_and_nothing_else() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    let here = context(&machine);
    cloud.stream().quota = Some(2);
    for n in 0..4 {
        put(&here, Kind::Task, &format!("t{n}"), json!({"n": 1}));
    }
    put(&here, Kind::Task, "t0", json!({"n": 2}));
    for _ in 0..4 {
        let pushed = here.push(|_| ()).unwrap();
        assert_eq!((pushed.hindered, pushed.refused), (2, 0));
        assert_eq!(pushed.hindrance.unwrap().code, "quota_exceeded");
    }
    assert_eq!(cloud.stream().current(Kind::Task, "t0").content, json!({"n": 2}));
    let status = here.store().status().unwrap();
    assert_eq!((status.waiting, status.parked), (2, 0));
    assert_eq!(status.waiting_error.as_deref(), Some("Your plan's 2 records are used up."));
    assert_eq!(status.last_push_at, None, "not everything was sent");
    cloud.stream().quota = None;
    assert_eq!(here.push(|_| ()).unwrap().created, 2);
    assert_eq!(here.store().status().unwrap().waiting_error, None);
}

#[test]
fn a_record_for_which_all_are_refused_is_found() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    let here = context(&machine);
    for n in 0..30 {
        put(&here, Kind::Task, &format!("t{n}"), json!({ "n": n }));
    }
    cloud.stream().poison.extend(["t7".to_owned(), "t22".to_owned()]);
    let pushed = here.push(|_| ()).unwrap();
    assert_eq!((pushed.created, pushed.refused), (28, 2));
    (0..2).for_each(|_| drop(here.push(|_| ()).unwrap()));
    let parked = here.store().status().unwrap().parked_changes;
    assert_eq!(parked.iter().map(|change| change.id.as_str()).collect::<Vec<_>>(), ["t7", "t22"]);
}

#[test]
fn an_answer_of_somebody_else_changes_nothing() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    let here = context(&machine);
    put(&here, Kind::Task, "t", json!({}));
    let mut login = ProblemDocument::new(Code::Internal);
    login.status = 200;
    cloud.mood().problem_on = Some(("/context/", login));
    assert!(here.push(|_| ()).unwrap_err().is_unavailable());
    assert!(here.pull(|_| ()).unwrap_err().is_unavailable());
    assert_eq!(here.store().queue(10).unwrap().len(), 1);
    assert_ne!(says(&here, Kind::Task, "t"), Value::Null);
}
