//! Seats through the library: taken, shared, given back.

use coditect::{Error, SessionId};
use jiff::SignedDuration;
use protocol::problem::{Code, ProblemDocument};

use crate::cloud::{Cloud, full};
use crate::machine::{Machine, Told};

#[test]
fn a_seat_is_taken_with_an_access_token_and_given_back_with_its_own() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let seat = machine.client().build().unwrap().acquire().unwrap();
    assert_eq!(seat.session_id(), cloud.mood().session);
    assert_eq!(seat.seats().unwrap().in_use, 3);
    assert!(seat.ended().is_none());
    let asked = cloud.asked("acquire");
    assert_eq!(asked[0].header("authorization"), Some("Bearer access"));
    assert_eq!(asked[0].body["hardware_id"], machine.hardware_id.as_str());
    let (session, token) = (seat.session_id(), seat.license_token());
    seat.release().unwrap();
    let asked = cloud.asked("release");
    assert_eq!(asked.len(), 1, "once, and not again when it is dropped");
    assert_eq!(asked[0].header("authorization"), Some(&*format!("Bearer {token}")));
    assert_eq!(asked[0].body["session_id"], session.to_string());
}

#[test]
fn dropping_gives_the_seat_back() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    drop(machine.client().build().unwrap().acquire().unwrap());
    assert_eq!(cloud.asked("release").len(), 1);
}

#[test]
fn a_lost_answer_is_asked_for_again_under_the_same_name() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    cloud.mood().lose_answers = 2;
    let client = machine.client().build().unwrap();
    drop(client.acquire().unwrap());
    let names: Vec<_> =
        cloud.asked("acquire").iter().map(|asked| asked.header("idempotency-key").unwrap().to_owned()).collect();
    assert_eq!(names.len(), 3);
    assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
    cloud.forget();
    drop(client.acquire().unwrap());
    let next = cloud.asked("acquire")[0].header("idempotency-key").unwrap().to_owned();
    assert_ne!(next, names[0], "another seat is another attempt");
    assert!(cloud.asked("auth").is_empty(), "the access token is still good");
}

#[test]
fn an_access_token_that_is_refused_is_exchanged_once() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    cloud.mood().problem_on = Some(("acquire", ProblemDocument::new(Code::InvalidToken)));
    let error = machine.client().build().unwrap().acquire().unwrap_err();
    assert_eq!(error.code(), "invalid_token");
    assert_eq!((cloud.asked("auth").len(), cloud.asked("acquire").len()), (2, 2));
}

#[test]
fn a_full_license_is_an_error_that_says_when() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    cloud.mood().problem_on = Some(("acquire", full()));
    let Err(Error::Refused(refusal)) = machine.client().build().unwrap().acquire() else { panic!() };
    assert_eq!(refusal.problem, full());
}

#[test]
fn a_machines_processes_share_a_seat_and_the_last_gives_it_back() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let first = machine.client().build().unwrap().acquire().unwrap();
    let second = machine.client().build().unwrap().acquire().unwrap();
    first.release().unwrap();
    assert!(cloud.asked("release").is_empty());
    drop(second);
    assert_eq!(cloud.asked("release").len(), 1);
}

#[test]
fn offline_the_last_token_serves_and_the_seat_is_taken_when_the_cloud_is_back() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let told = Told::default();
    let client = || machine.client().on_notice(told.listener()).build().unwrap();
    let before = client().acquire().unwrap();
    let former = before.session_id();
    before.release().unwrap();
    cloud.away(true);
    let seat = client().acquire().unwrap();
    assert_eq!(seat.session_id(), former);
    assert_eq!(told.take(), ["Cloud unavailable. Continuing on the last license token (valid for 24 more hours)."]);
    // The former session has ended meanwhile.
    let next = SessionId::new();
    cloud.mood().session = next;
    cloud.away(false);
    told.wait_for("The cloud can be reached again.");
    assert_eq!(seat.session_id(), next);
}

#[test]
fn a_definite_no_takes_the_last_token_away() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let client = machine.client().build().unwrap();
    drop(client.acquire().unwrap());
    let mut inactive = ProblemDocument::new(Code::LicenseInactive);
    inactive.reason = Some("suspended".to_owned());
    cloud.mood().problem_on = Some(("acquire", inactive));
    assert!(client.acquire().is_err());
    cloud.forget();
    assert!(client.validate().unwrap().is_valid());
    assert_eq!(cloud.asked("validate").len(), 1, "nor is the former yes used without a call");
    cloud.away(true);
    assert!(client.acquire().unwrap_err().is_unavailable());
}

#[test]
fn another_machines_token_is_not_believed() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    cloud.mood().issuer = Some("https://evil.example".to_owned());
    let error = machine.client().build().unwrap().acquire().unwrap_err();
    assert_eq!(error.code(), "untrusted_token");
    assert!(!machine.home().join("seat").exists());
}

#[test]
fn without_a_key_there_is_no_seat() {
    let machine = Machine::new("https://cloud.example");
    assert!(matches!(machine.client().build().unwrap().acquire(), Err(Error::NoKey)));
}

#[test]
fn a_token_that_has_expired_does_not_serve() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    cloud.mood().token_lifetime = SignedDuration::ZERO;
    let client = machine.client().build().unwrap();
    drop(client.acquire().unwrap());
    cloud.away(true);
    assert!(client.acquire().unwrap_err().is_unavailable());
}
