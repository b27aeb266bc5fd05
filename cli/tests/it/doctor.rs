//! `coditect doctor`

use std::fs;
use std::os::unix::fs::PermissionsExt;

use jiff::{SignedDuration, Timestamp};
use protocol::problem::{Code, ProblemDocument};
use serde_json::Value;

use crate::cloud::Cloud;
use crate::machine::{Machine, Printed};

const FUNCTIONS: &str = "acquire, auth, heartbeat, release, sync-pull, sync-push, telemetry, validate";

/// Runs `coditect doctor`; returns its output without the durations of answers.
fn doctor(machine: &Machine) -> Printed {
    let printed = machine.coditect(&["doctor"]);
    Printed { stdout: timeless(&printed.stdout), ..printed }
}

pub(crate) fn timeless(text: &str) -> String {
    let lines = text.lines().map(|line| match line.rsplit_once(" (") {
        Some((rest, time)) if time.ends_with(" ms)") => format!("{rest}\n"),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

/// Returns the row of one check, and the advice on it.
fn about(printed: &Printed, name: &str) -> (String, Option<String>) {
    let row = printed.stdout.lines().find(|line| line.get(5..).is_some_and(|line| line.starts_with(name)));
    let advice = printed.stdout.lines().find_map(|line| {
        let (names, advice) = line.split_once(": ").filter(|_| !line.starts_with(['o', '?', 'B']))?;
        names.split(", ").any(|other| other == name).then_some(advice)
    });
    (row.unwrap_or_else(|| panic!("no {name} in {printed:?}")).to_owned(), advice.map(ToOwned::to_owned))
}

#[test]
fn where_all_is_well_there_is_nothing_to_mend() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    assert_eq!(machine.coditect(&["task", "add", "Write it down"]).code, 0);
    let printed = doctor(&machine);
    let expected = format!(
        "ok   version               coditect {}; no newer one is known\n\
         ok   home                  {{home}} is yours alone, and can be written\n\
         ok   database sessions.db  is whole\n\
         ok   keychain              is turned off; the home folder has your secrets, sealed\n\
         ok   sign-in               nobody is signed in\n\
         ok   license key           {{key}} is stored, and can be opened\n\
         ok   last answer           is young, so the cloud need not be asked, and serves offline for 7 days\n\
         ok   network               the cloud is on this machine, so neither proxy nor certificates matter\n\
         ok   clock                 shows the same time as the cloud's\n\
         ok   cloud                 {{cloud}} answers, and names 8 functions\n\
         ok   functions             {FUNCTIONS}: {{cloud}} is ready\n\nThere is nothing to mend.\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!((printed.code, printed.stdout.as_str(), printed.stderr.as_str()), (0, expected.as_str(), ""));
    assert_eq!(cloud.asked("/ready").len(), 1, "each address is asked once");
    let json: Value = serde_json::from_str(&machine.coditect(&["doctor", "--json"]).stdout).unwrap();
    assert_eq!(json["healthy"], true);
    assert!(json["checks"].as_array().unwrap().iter().all(|check| check["health"] == "good"), "{json}");
}

#[test]
fn every_fault_is_found_at_once_each_with_what_helps() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    assert_eq!(machine.coditect(&["task", "add", "Write it down"]).code, 0);
    fs::write(machine.home().join("sessions.db"), [b'x'; 4096]).unwrap();
    fs::set_permissions(machine.home().join("secret"), fs::Permissions::from_mode(0o644)).unwrap();
    cloud.mood().now = Some(Timestamp::now() - SignedDuration::from_hours(3));
    cloud.mood().problem_on = Some(("/ready", ProblemDocument::new(Code::Unavailable)));
    let printed = doctor(&machine);
    assert_eq!(printed.code, 1);
    let (row, advice) = about(&printed, "home");
    assert!(row.starts_with("BAD  home") && row.contains("{home}/secret can be read or changed by others"), "{row}");
    assert!(advice.unwrap().starts_with("`chmod 600 {home}/secret`"));
    let (row, advice) = about(&printed, "database sessions.db");
    assert!(row.contains("cannot be read: file is not a database"), "{row}");
    assert!(advice.unwrap().starts_with("`coditect doctor --fix` makes it new"));
    let (row, advice) = about(&printed, "clock");
    assert!(row.ends_with("is 3 hours ahead of the cloud's"), "{row}");
    assert!(advice.unwrap().contains("timedatectl"));
    let (row, advice) = about(&printed, "functions");
    assert!(row.contains("HTTP status 503"), "{row}");
    assert!(advice.unwrap().starts_with("Try again in a few minutes"));
    assert!(about(&printed, "cloud").0.starts_with("ok "), "what is well is told, too");
}

#[test]
fn without_a_network_the_rest_is_looked_at() {
    let mut cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    cloud.stop();
    let printed = doctor(&machine);
    assert_eq!(printed.code, 1);
    let (row, advice) = about(&printed, "cloud");
    assert!(row.contains("(connection refused)"), "{row}");
    assert!(advice.unwrap().starts_with("Open any page in a browser."));
    assert_eq!(about(&printed, "clock").0, "?    clock        cannot be compared with the cloud's");
    let (row, _) = about(&printed, "functions");
    assert!(row.contains("(connection refused)"), "the functions that are known are asked all the same: {row}");
}

#[test]
fn what_does_not_even_let_the_client_begin_is_found() {
    let machine = Machine::new("https://cloud.example");
    fs::write(machine.home().join("config.json"), "{").unwrap();
    let printed = doctor(&machine);
    assert_eq!(printed.code, 1);
    assert!(about(&printed, "settings").0.contains("{home}/config.json is not a settings file"), "{printed:?}");
    let nowhere = machine.command(&["doctor", "--home", "/proc/nowhere"]).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(1));
}
