//! Clocks that are set back, or wrong: no grace period gets longer, and none ends early.

use std::fs;

use coditect::{LicenseClient, Source, Verdict};
use jiff::SignedDuration;

use crate::cloud::Cloud;
use crate::machine::{Hands, Machine, Told};

const DAY: SignedDuration = SignedDuration::from_hours(24);

struct Scene {
    cloud: Cloud,
    machine: Machine,
    hands: Hands,
    told: Told,
}

impl Scene {
    /// A machine that has just been activated.
    fn new() -> Self {
        let cloud = Cloud::start();
        let machine = Machine::new(&cloud.url);
        let scene = Self { machine, cloud, hands: Hands::new(), told: Told::default() };
        scene.cloud.mood().now = Some(scene.hands.now());
        scene.client().activate(&scene.machine.key).unwrap();
        scene
    }

    /// Makes a client as each run of the program does: nothing is in memory.
    fn client(&self) -> LicenseClient {
        self.machine
            .client()
            .clock(self.hands.reader())
            .uptime(self.hands.uptime())
            .on_notice(self.told.listener())
            .build()
            .unwrap()
    }

    fn source(&self) -> Option<Source> {
        match self.client().validate().unwrap() {
            Verdict::Valid(license) => Some(license.source),
            _ => None,
        }
    }
}

#[test]
fn the_answer_is_young_for_a_day_and_serves_for_seven() {
    let scene = Scene::new();
    scene.cloud.away(true);
    scene.hands.pass(DAY - SignedDuration::from_secs(1));
    assert_eq!(scene.source(), Some(Source::Cache));
    scene.hands.pass(SignedDuration::from_secs(2));
    assert_eq!(scene.source(), Some(Source::Grace));
    assert_eq!(scene.told.take(), ["Cloud validation unavailable. Using cached license (valid for 6 more days)."]);
    scene.hands.pass(DAY * 6 - SignedDuration::from_mins(2));
    assert_eq!(scene.source(), Some(Source::Grace));
    assert_eq!(scene.told.take(), ["Cloud validation unavailable. Using cached license (valid for 2 more minutes)."]);
    scene.hands.pass(SignedDuration::from_mins(4));
    assert_eq!(scene.source(), None);
}

#[test]
fn a_clock_set_back_lengthens_no_grace() {
    let scene = Scene::new();
    scene.cloud.away(true);
    scene.hands.pass(DAY * 6);
    assert_eq!(scene.source(), Some(Source::Grace));
    scene.told.take();
    scene.hands.set(DAY * -5);
    assert_eq!(scene.source(), Some(Source::Grace), "what is left of it serves");
    assert_eq!(
        scene.told.take(),
        [
            "This machine's clock is 5 days behind the time it had before, so the cloud is asked. Set the clock.",
            "Cloud validation unavailable. Using cached license (valid for 1 more day)."
        ]
    );
    scene.hands.pass(DAY * 7);
    assert_eq!(scene.source(), None);
    scene.hands.set(DAY * -7);
    assert_eq!(scene.source(), None, "over is over");
}

#[test]
fn an_answer_does_not_become_young_again() {
    let scene = Scene::new();
    scene.hands.pass(DAY * 2);
    scene.cloud.away(true);
    assert_eq!(scene.source(), Some(Source::Grace));
    scene.hands.set(DAY * -2);
    assert_eq!(scene.source(), Some(Source::Grace));
}

#[test]
fn a_clock_set_back_is_asked_about_and_the_cloud_sets_it_right() {
    let scene = Scene::new();
    scene.hands.pass(SignedDuration::from_hours(3));
    assert_eq!(scene.source(), Some(Source::Cache));
    scene.cloud.mood().now = Some(scene.hands.now());
    scene.hands.set(SignedDuration::from_hours(-2));
    scene.told.take();
    assert_eq!(scene.source(), Some(Source::Cloud));
    let told = scene.told.take();
    assert!(told[0].contains("2 hours behind the time it had before"), "{told:?}");
    assert!(told[1].contains("2 hours behind the cloud's"), "{told:?}");
    // Once the clock is set right, there are no more warnings.
    scene.hands.set(SignedDuration::from_hours(2));
    assert_eq!(scene.source(), Some(Source::Cache));
    assert!(scene.told.take().is_empty());
}

#[test]
fn a_clock_that_was_wrongly_ahead_ends_no_grace_once_it_is_set_right() {
    let scene = Scene::new();
    scene.cloud.away(true);
    scene.hands.pass(SignedDuration::from_hours(30));
    scene.hands.set(DAY * 3000);
    for _ in 0..2 {
        assert_eq!(scene.source(), None, "nobody knows better");
        assert_eq!(
            scene.told.take(),
            [
                "This machine's clock has moved ahead by 3000 days, and what is stored no longer serves. If the clock is wrong, set \
                 it right: then it serves again."
            ]
        );
    }
    scene.hands.pass(DAY);
    scene.hands.set(DAY * -3000);
    assert_eq!(scene.source(), Some(Source::Grace));
    assert_eq!(scene.told.take(), ["Cloud validation unavailable. Using cached license (valid for 5 more days)."]);
}

#[test]
fn a_machine_that_was_off_for_eight_days_asks() {
    let scene = Scene::new();
    scene.cloud.away(true);
    scene.hands.off(DAY * 8);
    assert_eq!(scene.source(), None);
    // Setting the clock back after another start does not bring the grace back.
    scene.hands.off(SignedDuration::from_mins(5));
    assert_eq!(scene.source(), None);
    scene.hands.set(DAY * -8);
    assert_eq!(scene.source(), None);
    scene.cloud.away(false);
    scene.cloud.mood().now = Some(scene.hands.now());
    assert_eq!(scene.source(), Some(Source::Cloud));
}

#[test]
fn who_deletes_the_latest_time_has_no_grace() {
    let scene = Scene::new();
    scene.cloud.away(true);
    scene.hands.pass(DAY * 2);
    fs::remove_file(scene.machine.home().join("clock")).unwrap();
    assert_eq!(scene.source(), None);
    assert!(scene.client().status().unwrap().license.is_none());
    scene.cloud.away(false);
    scene.cloud.mood().now = Some(scene.hands.now());
    assert_eq!(scene.source(), Some(Source::Cloud));
    scene.cloud.away(true);
    assert_eq!(scene.source(), Some(Source::Cache));
}

#[test]
fn a_small_correction_is_no_matter() {
    let scene = Scene::new();
    scene.cloud.away(true);
    scene.hands.pass(SignedDuration::from_hours(2));
    assert_eq!(scene.source(), Some(Source::Cache));
    scene.hands.set(SignedDuration::from_mins(-30));
    assert_eq!(scene.source(), Some(Source::Cache));
    assert!(scene.told.take().is_empty());
}

#[test]
fn a_seats_token_does_not_outlive_a_clock_set_back() {
    let scene = Scene::new();
    scene.client().acquire().unwrap().release().unwrap();
    scene.cloud.away(true);
    scene.hands.pass(SignedDuration::from_hours(21));
    let seat = scene.client().acquire().unwrap();
    assert_eq!(
        scene.told.take(),
        ["Cloud unavailable. Continuing on the last license token (valid for 3 more hours)."]
    );
    drop(seat);
    scene.hands.pass(SignedDuration::from_hours(4));
    assert!(scene.client().acquire().unwrap_err().is_unavailable());
    scene.hands.set(SignedDuration::from_hours(-20));
    assert!(scene.client().acquire().unwrap_err().is_unavailable(), "over is over");
}
