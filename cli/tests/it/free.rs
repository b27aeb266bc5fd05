//! The free tier: no account, no network, and ten commands a day.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::process::{Child, Stdio};

use coditect::Error;
use jiff::SignedDuration;

use crate::cloud::Cloud;
use crate::machine::{Hands, Machine, Printed, Told, expect};

/// A machine without a key, whose cloud is nowhere.
fn offline() -> Machine {
    Machine::new("http://127.0.0.1:9")
}

fn at(machine: &Machine, time: &str) -> Printed {
    machine.coditect_at(time, "Europe/Berlin", &["run", "-q", "--", "echo", "started"])
}

#[test]
fn init_makes_the_home_without_a_network_and_says_what_next() {
    let machine = offline();
    fs::remove_dir_all(machine.home()).unwrap();
    let rest = "10 of today's 10 commands are left.\nThe free tier needs no account and no network: basic agents, on this \
                machine alone.\n\nWhat to do next:\n  coditect run -- COMMAND…  runs a command\n  coditect register         \
                starts an upgrade: as many commands as you like, all agents, all your machines\n  coditect activate         \
                stores the license key that you have\n";
    expect(&machine.coditect(&["init"]), 0, &format!("Made {{home}}.\n{rest}"), "");
    let settings = fs::read(machine.home().join("config.json")).unwrap();
    expect(&machine.coditect(&["init"]), 0, &format!("{{home}} is there already.\n{rest}"), "");
    assert_eq!(fs::read(machine.home().join("config.json")).unwrap(), settings);
    expect(
        &machine.coditect(&["init", "--json"]),
        0,
        "{\"commands_today\":{\"limit\":10,\"next_day_at\":\"{time}\",\"used\":0},\"home\":\"{home}\",\"made\":false}\n",
        "",
    );
}

#[test]
fn init_changes_nothing_for_whoever_has_a_license() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let printed = machine.coditect(&["init"]);
    assert_eq!(printed.code, 0, "{printed:?}");
    assert!(printed.stdout.starts_with("{home} is there already.\nCommands are not limited.\n"), "{printed:?}");
    assert!(machine.client().build().unwrap().license_key().unwrap().is_some());
}

#[test]
fn the_eleventh_command_of_a_day_waits_for_midnight() {
    let machine = offline();
    for _ in 0..10 {
        expect(&at(&machine, "2026-06-15 09:00:00"), 0, "started\n", "");
    }
    expect(
        &at(&machine, "2026-06-15 23:59:50"),
        1,
        "",
        "error: Today's 10 commands are used up. The next 10 come at midnight (2026-06-16 00:00).\nhint: `coditect register` \
         starts an upgrade to as many commands as you like.\n",
    );
    let json = machine.coditect_at("2026-06-15 23:59:50", "Europe/Berlin", &["--json", "run", "true"]);
    assert_eq!(json.code, 1);
    assert!(json.stdout.starts_with("{\"code\":\"quota_exceeded\""), "{json:?}");
    expect(&at(&machine, "2026-06-16 00:00:01"), 0, "started\n", "");
}

#[test]
fn what_only_looks_is_free_and_what_is_left_is_told() {
    let machine = offline();
    let day = |arguments: &[&str]| machine.coditect_at("2026-06-15 09:00:00", "Europe/Berlin", arguments);
    for used in 1..=7 {
        let told = if used == 7 { "3 of today's 10 commands are left.\n" } else { "" };
        expect(&day(&["run", "true"]), 0, "", told);
    }
    for arguments in [&["status"][..], &["validate"], &["init"], &["task", "list"], &["config", "list"], &["--help"]] {
        assert_eq!(day(arguments).code, 0, "{arguments:?}");
    }
    expect(&day(&["run", "true"]), 0, "", "2 of today's 10 commands are left.\n");
    assert!(day(&["status"]).stdout.contains("today        8 of 10 used, 2 left; "));
    assert!(day(&["status", "--json"]).stdout.contains("\"commands_today\":{\"limit\":10,\"used\":8,"));
}

#[test]
fn a_command_that_cannot_be_started_is_not_one_of_the_days() {
    let machine = offline();
    for (command, code) in [("no-such-command", 127), ("/etc/passwd", 126), ("/", 126)] {
        assert_eq!(machine.coditect(&["run", "--", command]).code, code, "{command}");
    }
    assert_eq!(machine.used(), 0);
    expect(&machine.coditect(&["run", "--", "false"]), 1, "", "");
    assert_eq!(machine.used(), 1);
}

#[test]
fn the_command_has_no_seat_in_its_environment() {
    let machine = offline();
    let script = "echo $CODITECT_TIER ${CODITECT_SESSION_ID-none} ${CODITECT_LICENSE_TOKEN-none} ${CODITECT_SEAT_EXPIRES_AT-none}";
    let mut command = machine.command(&["run", "--", "sh", "-c", script]);
    command.env("CODITECT_SESSION_ID", "another's").env("CODITECT_LICENSE_TOKEN", "another's");
    expect(&machine.printed(command.output().unwrap()), 0, "FREE none none none\n", "");
}

#[test]
fn twenty_at_once_are_ten() {
    let machine = offline();
    let start = |_| {
        let mut command = machine.command_at("2026-06-15 12:00:00", "Asia/Tokyo", &["run", "-q", "true"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let all: Vec<Child> = (0..20).map(start).collect();
    let codes: Vec<_> = all.into_iter().map(|mut process| process.wait().unwrap().code().unwrap()).collect();
    let ran = codes.iter().filter(|code| **code == 0).count();
    assert_eq!((ran, codes.iter().filter(|code| **code == 1).count()), (10, 10), "{codes:?}");
}

#[test]
fn a_journey_and_a_clock_set_back_bring_no_further_command() {
    let machine = offline();
    for _ in 0..10 {
        assert_eq!(at(&machine, "2026-06-15 09:00:00").code, 0);
    }
    let elsewhere = |time, zone| machine.coditect_at(time, zone, &["run", "-q", "true"]);
    expect(
        &elsewhere("2026-06-16 03:00:00", "Asia/Tokyo"),
        1,
        "",
        "error: Today's 10 commands are used up. The next 10 come on 2026-06-16 07:00, since today began in another time \
         zone.\nhint: `coditect register` starts an upgrade to as many commands as you like.\n",
    );
    assert_eq!(elsewhere("2026-06-15 20:00:00", "America/New_York").code, 1);
    assert_eq!(at(&machine, "2026-06-14 09:00:00").code, 1, "yesterday");
    assert_eq!(at(&machine, "2020-01-01 09:00:00").code, 1, "long ago");
}

#[test]
fn what_cannot_be_counted_does_not_run() {
    let machine = offline();
    DirBuilder::new().mode(0o700).recursive(true).create(machine.home().join("commands/x")).unwrap();
    let printed = machine.coditect(&["run", "--", "echo", "started"]);
    assert_eq!((printed.code, printed.stdout.as_str()), (2, ""), "{printed:?}");
    assert!(printed.stderr.contains("{home}/commands cannot be used"), "{printed:?}");
    assert!(printed.stderr.contains("hint: `coditect --home DIR …`"), "{printed:?}");
}

#[test]
fn a_count_from_another_machine_is_none() {
    let machine = offline();
    assert_eq!(machine.coditect(&["run", "true"]).code, 0);
    fs::write(machine.home().join("commands"), "copied").unwrap();
    assert_eq!(machine.coditect(&["run", "true"]).code, 0);
    assert_eq!(machine.used(), 1);
}

#[test]
fn a_plan_with_a_limit_is_counted_and_one_without_is_not() {
    let cloud = Cloud::start();
    let unlimited = Machine::activated(&cloud.url);
    assert_eq!(unlimited.coditect(&["run", "true"]).code, 0);
    assert!(!unlimited.home().join("commands").exists());
    cloud.mood().quota = 2;
    let limited = Machine::activated(&cloud.url);
    for left in ["1", "0"] {
        let told = format!("{left} of today's 2 commands are left.\n");
        expect(&limited.coditect(&["run", "true"]), 0, "", &told);
    }
    cloud.forget();
    let printed = limited.coditect(&["run", "true"]);
    assert_eq!(printed.code, 1, "{printed:?}");
    assert!(printed.stderr.starts_with("error: Today's 2 commands are used up."), "{printed:?}");
    assert_eq!(cloud.asked("release").len(), 1, "the seat is given back");
}

#[test]
fn an_engine_counts_by_the_last_validation_and_by_the_free_tier_after_the_grace() {
    let cloud = Cloud::start();
    let machine = Machine::new(&cloud.url);
    let (hands, told) = (Hands::new(), Told::default());
    cloud.mood().now = Some(hands.now());
    let client = || machine.client().clock(hands.reader()).on_notice(told.listener()).build().unwrap();
    client().activate(&machine.key).unwrap();
    assert!(client().count_command().unwrap().is_none(), "TEAM");
    cloud.away(true);
    hands.pass(SignedDuration::from_hours(6 * 24));
    assert!(client().count_command().unwrap().is_none(), "in its grace");
    hands.pass(SignedDuration::from_hours(2 * 24));
    for left in (0..10).rev() {
        assert_eq!(client().count_command().unwrap().unwrap().left(), left);
    }
    let Err(Error::UsedUp(today)) = client().count_command() else { panic!("the eleventh") };
    assert_eq!((today.used, today.limit), (10, 10));
    assert!(today.next_day_at > hands.now() && today.next_day_at <= hands.now() + SignedDuration::from_hours(25));
    assert_eq!(client().commands_today().unwrap(), Some(today));
}

#[test]
fn after_the_grace_commands_run_in_the_free_tier() {
    let mut cloud = Cloud::start();
    let machine = Machine::new(&cloud.url);
    cloud.mood().signed_ago = SignedDuration::from_hours(8 * 24);
    assert_eq!(machine.coditect(&["activate", &machine.key.to_string()]).code, 0);
    cloud.stop();
    expect(
        &machine.coditect(&["run", "--", "sh", "-c", "echo $CODITECT_TIER"]),
        0,
        "FREE\n",
        "This machine's clock has moved ahead by 8 days, and what is stored no longer serves. If the clock is wrong, set it right: \
         then it serves again.\nThe cloud cannot be reached at {cloud}/api/v1/auth/license (connection refused). No earlier answer serves any more, so \
         the free tier applies.\n",
    );
    assert_eq!(machine.used(), 1);
}
