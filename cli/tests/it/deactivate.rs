//! `coditect deactivate`

use protocol::problem::{Code, ProblemDocument};
use protocol::wire::InvalidReason;

use crate::cloud::Cloud;
use crate::machine::{Machine, expect};

#[test]
fn a_machine_gives_its_place_back_and_forgets_the_key() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    assert_eq!(machine.coditect(&["run", "true"]).code, 0);
    let done = "Deactivated {key}: this machine has given its place back. Another machine can be activated with it.\n";
    expect(&machine.coditect(&["deactivate"]), 0, done, "");
    let asked = &cloud.asked("deactivate")[0].body;
    assert_eq!(asked["license_key"], machine.key.to_string());
    assert_eq!(asked["machine_id"], machine.hardware_id.to_string());
    for file in ["license", "validation", "seat"] {
        assert!(!machine.home().join(file).exists(), "{file}");
    }
    let says = "error: There is no license key here, so there is nothing to deactivate.\n\
                hint: `coditect status` shows what is kept here.\n";
    expect(&machine.coditect(&["deactivate"]), 1, "", says);
    assert_eq!(cloud.asked("deactivate").len(), 1);
}

#[test]
fn it_says_from_when_on_another_machine_can_be_activated() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    cloud.mood().next_activation_at = Some("2037-01-01T00:00:00Z".parse().unwrap());
    let printed = machine.coditect(&["deactivate", "--json"]);
    let object: serde_json::Value = serde_json::from_str(&printed.stdout).unwrap();
    assert!(object["next_activation_at"].is_string(), "{printed:?}");
    let machine = Machine::activated(&cloud.url);
    let printed = machine.coditect(&["deactivate"]);
    assert!(printed.stdout.contains("were activated lately; the next one can be in "), "{printed:?}");
}

#[test]
fn without_the_cloud_everything_stays() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    cloud.away(true);
    assert_eq!(machine.coditect(&["deactivate"]).code, 2);
    cloud.away(false);
    assert_eq!(machine.coditect(&["run", "true"]).code, 0);
    assert!(machine.home().join("license").exists());
    // A key that opens nothing any more is forgotten.
    cloud.mood().problem_on = Some(("deactivate", ProblemDocument::new(Code::InvalidLicenseKey)));
    assert_eq!(machine.coditect(&["deactivate"]).code, 0);
    assert!(!machine.home().join("license").exists());
}

#[test]
fn whoever_finds_no_place_is_told_how_to_get_one() {
    let cloud = Cloud::start();
    let machine = Machine::new(&cloud.url);
    cloud.mood().invalid = Some(InvalidReason::DeviceLimitExceeded);
    let printed = machine.coditect(&["activate", &machine.key.to_string()]);
    assert_eq!(printed.code, 1);
    let hint = "hint: `coditect deactivate` on a machine that you no longer use gives its place back. A CI job needs none: give it \
                the key as CODITECT_LICENSE_KEY.\n";
    assert!(printed.stderr.ends_with(hint), "{printed:?}");
}
