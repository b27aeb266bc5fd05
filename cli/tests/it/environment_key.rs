//! `CODITECT_LICENSE_KEY`: a key for one process, of which nothing is kept.

use protocol::problem::{Code, ProblemDocument};
use serde_json::Value;

use crate::cloud::{Cloud, full};
use crate::machine::{Machine, files};

const VARIABLE: &str = "CODITECT_LICENSE_KEY";

/// A machine with a key in its environment and none at home.
fn job(cloud: &Cloud) -> Machine {
    let machine = Machine::new(&cloud.url);
    let key = machine.key.to_string();
    machine.with(VARIABLE, key)
}

#[test]
fn a_seat_is_taken_without_an_activation_and_nothing_is_kept() {
    let cloud = Cloud::start();
    let machine = job(&cloud);
    let printed = machine.coditect(&["run", "--", "sh", "-c", "echo $CODITECT_TIER"]);
    assert_eq!((printed.code, printed.stdout.as_str()), (0, "TEAM\n"), "{printed:?}");
    assert_eq!(cloud.asked("auth/license")[0].body["license_key"], machine.key.to_string());
    assert_eq!((cloud.asked("acquire").len(), cloud.asked("release").len()), (1, 1));
    assert!(cloud.asked("validate").is_empty(), "a validation takes a device's place");
    let names: Vec<_> =
        files(&machine.home()).iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    for kept in ["license", "validation", "seat", "session"] {
        assert!(!names.iter().any(|name| name == kept), "{kept} is among {names:?}");
    }
    assert_eq!(machine.coditect(&["validate"]).code, 0);
    assert!(cloud.asked("licenses/validate").is_empty());
    assert_eq!((cloud.asked("acquire").len(), cloud.asked("release").len()), (2, 2));
}

#[test]
fn a_refusal_is_a_no_and_never_the_free_tier() {
    let cloud = Cloud::start();
    let machine = job(&cloud);
    for problem in [full(), ProblemDocument::new(Code::LicenseInactive), ProblemDocument::new(Code::InvalidLicenseKey)]
    {
        let code = problem.code.clone();
        let path = if code == "invalid_license_key" { "auth/license" } else { "acquire" };
        cloud.mood().problem_on = Some((path, problem));
        let printed = machine.coditect(&["run", "echo", "ran"]);
        assert_eq!((printed.code, printed.stdout.as_str()), (1, ""), "{code}: {printed:?}");
        assert_eq!(printed.stderr.matches("hint: ").count(), 1, "{printed:?}");
        assert_eq!(machine.coditect(&["validate"]).code, 1, "{code}");
    }
    cloud.mood().problem_on = None;
    cloud.away(true);
    let printed = machine.coditect(&["run", "echo", "ran"]);
    assert_eq!((printed.code, printed.stdout.as_str()), (2, ""), "a cloud that is away is no free tier: {printed:?}");
}

#[test]
fn what_is_no_key_is_refused_and_so_is_a_secret_that_is_missing() {
    let cloud = Cloud::start();
    for text in ["", " ", "CODITECT-TEAM-A7F3E9D2C4B1", "***"] {
        let machine = Machine::new(&cloud.url).with(VARIABLE, text);
        for arguments in [&["run", "echo", "ran"][..], &["validate"], &["seat", "acquire"], &["status"]] {
            let printed = machine.coditect(arguments);
            assert_eq!((printed.code, printed.stdout.as_str()), (1, ""), "{text:?} {arguments:?} {printed:?}");
            assert!(printed.stderr.starts_with("error: CODITECT_LICENSE_KEY: "), "{text:?} {printed:?}");
        }
        let doctor = machine.coditect(&["doctor"]);
        assert!(doctor.code == 1 && doctor.stdout.contains("CODITECT_LICENSE_KEY: "), "{doctor:?}");
        // Commands that need no license go on.
        assert_eq!(machine.coditect(&["task", "add", "Write it down"]).code, 0);
    }
    assert!(cloud.asked("licenses/").is_empty());
}

#[test]
fn it_comes_before_what_is_kept_and_leaves_that_alone() {
    let cloud = Cloud::start();
    let kept = Machine::activated(&cloud.url);
    assert_eq!(kept.coditect(&["run", "true"]).code, 0);
    let before: Vec<_> =
        ["license", "validation", "seat"].map(|name| std::fs::read(kept.home().join(name)).unwrap()).into();
    let other = Machine::new(&cloud.url).key.to_string();
    let machine = kept.with(VARIABLE, other.clone());
    cloud.forget();
    assert_eq!(machine.coditect(&["run", "true"]).code, 0);
    assert_eq!(cloud.asked("auth/license")[0].body["license_key"], other);
    // A key that is refused ends nothing that belongs to the other.
    cloud.mood().problem_on = Some(("auth/license", ProblemDocument::new(Code::InvalidLicenseKey)));
    assert_eq!(machine.coditect(&["run", "true"]).code, 1);
    let after: Vec<_> =
        ["license", "validation", "seat"].map(|name| std::fs::read(machine.home().join(name)).unwrap()).into();
    assert_eq!(before, after);

    let status: Value = serde_json::from_str(&machine.coditect(&["status", "--json"]).stdout).unwrap();
    assert_eq!((&status["license_key_is_given"], &status["license"]), (&Value::Bool(true), &Value::Null));
    let text = machine.coditect(&["status"]);
    assert!(text.code == 0 && text.stdout.contains(", from CODITECT_LICENSE_KEY\n"), "{text:?}");
    let who: Value = serde_json::from_str(&machine.coditect(&["whoami", "--json"]).stdout).unwrap();
    assert_eq!((&who["license_key_is_given"], &who["seats_for"]), (&Value::Bool(true), &Value::from("license_key")));
    cloud.mood().problem_on = None;
    let doctor = machine.coditect(&["doctor"]).stdout;
    assert!(doctor.contains(", from CODITECT_LICENSE_KEY, which comes before what is stored"), "{doctor}");
    let told = machine.coditect(&["activate", &machine.key.to_string()]).stderr;
    assert!(told.starts_with("CODITECT_LICENSE_KEY is set and comes first"), "{told}");
}
