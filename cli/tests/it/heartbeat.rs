//! The thread that keeps a seat, through outages and losses.

use coditect::{Ending, Seat, SessionId};
use jiff::SignedDuration;
use protocol::problem::{Code, ProblemDocument};

use crate::cloud::{Cloud, Mood, ended, full};
use crate::machine::{Hands, Machine, Told};

struct Scene {
    cloud: Cloud,
    told: Told,
    seat: Seat,
    // Last, since the seat is given back first.
    _machine: Machine,
}

/// Acquires a seat with a heartbeat every second.
fn scene(prepare: impl FnOnce(&Cloud)) -> Scene {
    let cloud = Cloud::start();
    cloud.mood().interval = 1;
    prepare(&cloud);
    let machine = Machine::activated(&cloud.url);
    let told = Told::default();
    let seat = machine.client().on_notice(told.listener()).build().unwrap().acquire().unwrap();
    cloud.forget();
    Scene { cloud, told, seat, _machine: machine }
}

#[test]
fn it_goes_on_and_on() {
    let scene = scene(|_| ());
    let token = format!("Bearer {}", scene.seat.license_token());
    for _ in 0..3 {
        let asked = scene.cloud.wait_for("heartbeat");
        assert_eq!(asked.header("authorization"), Some(&*token));
        assert_eq!(asked.body["session_id"], scene.seat.session_id().to_string());
    }
    assert!(scene.told.take().is_empty());
}

#[test]
fn it_recovers_after_an_outage_and_tells_once() {
    let scene = scene(|_| ());
    scene.cloud.away(true);
    for _ in 0..3 {
        scene.cloud.wait_for("heartbeat");
    }
    scene.cloud.away(false);
    scene.told.wait_for("The cloud can be reached again. The seat is kept.");
    let told = scene.told.take();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0], "The cloud cannot be reached. This seat goes on for 24 more hours and is kept trying.");
    scene.cloud.wait_for("heartbeat");
    assert!(scene.seat.ended().is_none());
}

#[test]
fn it_waits_as_long_as_it_is_asked_to() {
    let scene = scene(|_| ());
    let mut busy = ProblemDocument::new(Code::Unavailable);
    busy.retry_after_seconds = Some(3);
    scene.cloud.mood().problem_on = Some(("heartbeat", busy));
    scene.cloud.wait_for("heartbeat");
    let begin = std::time::Instant::now();
    scene.cloud.wait_for("heartbeat");
    assert!(begin.elapsed().as_secs_f32() > 2.9, "{:?}", begin.elapsed());
}

#[test]
fn a_lost_seat_is_taken_again() {
    let scene = scene(|_| ());
    let next = SessionId::new();
    scene.cloud.mood().session = next;
    scene.told.wait_for("The seat was lost and has been taken again.");
    assert_eq!(scene.seat.session_id(), next);
    assert_eq!(scene.cloud.wait_for("acquire").path, "/api/v1/licenses/acquire");
    // And again, once the new session has been stored.
    scene.cloud.wait_for("heartbeat");
    scene.told.take();
    scene.cloud.mood().session = SessionId::new();
    scene.told.wait_for("The seat was lost and has been taken again.");
}

#[test]
fn a_seat_that_is_lost_twice_in_a_row_is_given_up() {
    let scene = scene(|_| ());
    scene.cloud.mood().problem_on = Some(("heartbeat", ended("released")));
    scene.told.wait_for("This seat has ended. The session was released.");
    assert_eq!(scene.cloud.asked("acquire").len(), 1);
    assert!(matches!(scene.seat.ended(), Some(Ending::Refused(_))));
    drop(scene.seat);
    assert!(scene.cloud.asked("release").is_empty(), "there is nothing to give back");
}

#[test]
fn when_somebody_else_has_it_that_is_the_end() {
    let scene = scene(|_| ());
    {
        let mut mood = scene.cloud.mood();
        mood.session = SessionId::new();
        mood.problem_on = Some(("acquire", full()));
    }
    scene.told.wait_for("This seat has ended. All 5 seats are in use.");
    assert!(scene.seat.ended().is_some());
}

#[test]
fn a_revoked_license_is_not_asked_again() {
    let scene = scene(|_| ());
    scene.cloud.mood().problem_on = Some(("heartbeat", ended("revoked")));
    scene.told.wait_for("This seat has ended. The session was revoked.");
    assert!(scene.cloud.asked("acquire").is_empty());
}

#[test]
fn without_the_cloud_it_ends_with_its_token() {
    let scene = scene(|cloud| cloud.mood().token_lifetime = SignedDuration::from_secs(3));
    scene.cloud.away(true);
    scene.told.wait_for("The cloud could not be reached before the license token expired.");
    assert!(matches!(scene.seat.ended(), Some(Ending::Unreachable)));
}

#[test]
fn the_token_is_renewed_in_the_middle_of_its_life() {
    let scene = scene(|cloud| cloud.mood().token_lifetime = SignedDuration::from_secs(4));
    let (session, until) = (scene.seat.session_id(), scene.seat.expires_at());
    scene.cloud.wait_for("acquire");
    scene.cloud.wait_for("heartbeat");
    assert_eq!(scene.seat.session_id(), session);
    assert!(scene.seat.expires_at() > until);
    assert!(scene.told.take().is_empty(), "nothing worth telling");
}

#[test]
fn an_odd_refusal_is_not_the_end() {
    let scene = scene(|_| ());
    scene.cloud.mood().problem_on = Some(("heartbeat", ProblemDocument::new(Code::ValidationFailed)));
    scene.told.wait_for("The cloud cannot be reached.");
    scene.cloud.mood().problem_on = None;
    scene.told.wait_for("The cloud can be reached again.");
}

/// A seat with a heartbeat every five minutes, on a laptop.
struct Laptop {
    scene: Scene,
    hands: Hands,
}

impl Laptop {
    fn new() -> Self {
        let (cloud, told, hands) = (Cloud::start(), Told::default(), Hands::new());
        let machine = Machine::activated(&cloud.url);
        let client = machine.client().clock(hands.reader()).uptime(hands.uptime()).on_notice(told.listener());
        let seat = client.build().unwrap().acquire().unwrap();
        cloud.forget();
        Self { scene: Scene { cloud, told, seat, _machine: machine }, hands }
    }

    /// Closes the lid for this time and opens it again; meanwhile the cloud ends the session.
    fn sleep(&self, time: SignedDuration, meanwhile: impl FnOnce(&mut Mood)) {
        let mut mood = self.scene.cloud.mood();
        mood.session = SessionId::new();
        meanwhile(&mut mood);
        self.hands.pass(time);
        mood.now = Some(self.hands.now());
    }
}

#[test]
fn a_laptop_that_wakes_takes_its_seat_again_at_once() {
    let laptop = Laptop::new();
    let before = laptop.scene.seat.session_id();
    laptop.sleep(SignedDuration::from_hours(1), |_| ());
    laptop.scene.told.wait_for("The seat was lost and has been taken again.");
    assert_ne!(laptop.scene.seat.session_id(), before);
    // By then even the token has expired.
    laptop.scene.told.take();
    laptop.sleep(SignedDuration::from_hours(30), |_| ());
    laptop.scene.told.wait_for("The seat was lost and has been taken again.");
    assert!(laptop.scene.seat.ended().is_none());
}

#[test]
fn a_laptop_that_wakes_to_a_full_license_says_so() {
    let laptop = Laptop::new();
    laptop.sleep(SignedDuration::from_hours(1), |mood| mood.problem_on = Some(("acquire", full())));
    laptop.scene.told.wait_for("This seat has ended. All 5 seats are in use.");
}

#[test]
fn a_laptop_that_wakes_without_a_network_goes_on_until_its_token_ends() {
    let laptop = Laptop::new();
    laptop.sleep(SignedDuration::from_hours(1), |mood| mood.silent_on = Some("/"));
    laptop.scene.told.wait_for("The cloud cannot be reached. This seat goes on for 23 more hours");
    laptop.sleep(SignedDuration::from_hours(24), |_| ());
    laptop.scene.told.wait_for("This seat has ended. The cloud could not be reached before the license token expired.");
}
