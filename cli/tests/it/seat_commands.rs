//! `coditect seat acquire|hold|release|list`

use std::io::Read;
use std::process::{Child, Command, Stdio};

use coditect::SessionId;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::cloud::{Cloud, ended, full};
use crate::machine::{Machine, expect};

/// `coditect seat hold`, once it has the seat.
fn hold(machine: &Machine) -> Child {
    let mut command = machine.command(&["seat", "hold"]);
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = [0; 37];
    process.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
    assert!(std::str::from_utf8(&line).unwrap().trim().parse::<SessionId>().is_ok());
    process
}

fn listed(machine: &Machine) -> Vec<Value> {
    // With its times, which differ.
    let output = machine.command(&["seat", "list", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    serde_json::from_slice::<Value>(&output.stdout).unwrap()["seats"].as_array().unwrap().clone()
}

#[test]
fn a_seat_is_taken_in_one_process_and_given_back_in_another() {
    let mut cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let session = cloud.mood().session;
    expect(
        &machine.coditect(&["seat", "acquire"]),
        0,
        &format!("{session} until {{time}}\n"),
        "Unless `coditect seat hold` keeps it, the seat is free at {time} again. `coditect seat release` gives it back.\n",
    );
    assert!(cloud.asked("release").is_empty());
    // Commands that need a seat meanwhile use the same one, and do not release it.
    assert_eq!(machine.coditect(&["run", "true"]).code, 0);
    assert!(cloud.asked("release").is_empty());
    assert_eq!(machine.coditect(&["seat", "acquire", "-q"]).code, 0, "again, for another six minutes");
    assert_eq!(listed(&machine).len(), 1);
    expect(&machine.coditect(&["seat", "release"]), 0, &format!("Released {session}.\n"), "");
    let released = cloud.asked("release");
    assert_eq!(released.len(), 1);
    assert_eq!(released[0].body["session_id"], session.to_string());
    assert!(released[0].header("authorization").unwrap().starts_with("Bearer eyJ"));
    cloud.stop();
    expect(&machine.coditect(&["seat", "release"]), 0, "Nothing to release.\n", "No seat was left here.\n");
    expect(&machine.coditect(&["seat", "release", &session.to_string(), "--json", "-q"]), 0, "{\"released\":[]}\n", "");
    expect(&machine.coditect(&["seat", "list"]), 0, "This machine has no seat.\n", "");
}

#[test]
fn a_shell_takes_over_what_is_exported() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let ours = machine.command(&["seat", "acquire", "--export", "--quiet"]);
    let line: Vec<_> =
        std::iter::once(ours.get_program()).chain(ours.get_args()).map(|word| word.to_str().unwrap()).collect();
    let script = format!("set -e; eval \"$({})\"; env | grep ^CODITECT_", line.join(" "));
    let mut shell = Command::new("sh");
    machine.surround(shell.args(["-c", &script]));
    let text = String::from_utf8(shell.output().unwrap().stdout).unwrap();
    let session = cloud.mood().session;
    for found in
        [format!("CODITECT_SESSION_ID={session}"), "CODITECT_TIER=TEAM".into(), "CODITECT_LICENSE_TOKEN=eyJ".into()]
    {
        assert!(text.contains(&found), "{text}");
    }
    // The token is for those who ask for it.
    let json = machine.coditect(&["seat", "acquire", "--json", "-q"]);
    assert!(json.stdout.contains(&session.to_string()) && !json.stdout.contains("eyJ"), "{json:?}");
    assert_eq!(machine.coditect(&["seat", "acquire", "--json", "--export"]).code, 64);
}

#[test]
fn holding_goes_on_until_a_signal_and_is_listed_meanwhile() {
    let cloud = Cloud::start();
    cloud.mood().interval = 1;
    let machine = Machine::activated(&cloud.url);
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        cloud.forget();
        let process = hold(&machine);
        let first = listed(&machine)[0].clone();
        assert_eq!(first["process"], process.id());
        // Until a heartbeat was noted.
        while listed(&machine)[0]["last_heartbeat_at"] == first["last_heartbeat_at"] {
            std::thread::yield_now();
        }
        let lines = machine.coditect(&["seat", "list"]).stdout;
        assert!(lines.contains(&format!("  {:<8}  ", process.id())), "{lines}");
        kill_process(Pid::from_child(&process), signal).unwrap();
        expect(&machine.printed(process.wait_with_output().unwrap()), 0, "", "");
        assert_eq!(cloud.asked("release").len(), 1, "{signal:?}");
        assert!(listed(&machine).is_empty());
    }
}

#[test]
fn a_seat_that_a_process_keeps_is_not_taken_from_it() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let process = hold(&machine);
    let (session, id) = (cloud.mood().session, process.id());
    for arguments in
        [&["seat", "release"][..], &["seat", "release", "--all"], &["seat", "release", &session.to_string()]]
    {
        expect(
            &machine.coditect(arguments),
            1,
            "",
            &format!(
                "error: {session} is kept by process {id}, which gives it back when it ends.\nhint: `kill {id}` ends it.\n"
            ),
        );
    }
    assert!(cloud.asked("release").is_empty());
    // `seat acquire` adds an entry for the same session, which is released with the last one.
    assert_eq!(machine.coditect(&["seat", "acquire", "-q"]).code, 0);
    assert_eq!(listed(&machine).len(), 2);
    assert_eq!(machine.coditect(&["seat", "release"]).code, 1);
    assert_eq!(listed(&machine).len(), 1);
    kill_process(Pid::from_child(&process), Signal::TERM).unwrap();
    assert_eq!(process.wait_with_output().unwrap().status.code(), Some(0));
    assert_eq!(cloud.asked("release").len(), 1);
}

#[test]
fn what_was_killed_is_not_listed() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let mut process = hold(&machine);
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(listed(&machine).is_empty());
}

#[test]
fn a_seat_that_ends_ends_the_holding() {
    let cloud = Cloud::start();
    cloud.mood().interval = 1;
    let machine = Machine::activated(&cloud.url);
    let process = hold(&machine);
    cloud.mood().problem_on = Some(("heartbeat", ended("revoked")));
    expect(
        &machine.printed(process.wait_with_output().unwrap()),
        1,
        "",
        "This seat has ended. The session was revoked.\n",
    );
    assert!(listed(&machine).is_empty());
}

#[test]
fn holding_for_a_command_is_running_it() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    expect(&machine.coditect(&["seat", "hold", "--", "sh", "-c", "echo $CODITECT_TIER; exit 3"]), 3, "TEAM\n", "");
    assert_eq!(cloud.asked("release").len(), 1);
}

#[test]
fn no_seat_is_an_answer() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    cloud.mood().problem_on = Some(("acquire", full()));
    for verb in ["acquire", "hold"] {
        let printed = machine.coditect(&["seat", verb]);
        assert_eq!((printed.code, printed.stdout.as_str()), (1, ""));
        assert!(printed.stderr.starts_with("error: All 5 seats are in use."), "{printed:?}");
    }
    // The free tier has no seats.
    let free = Machine::new(&cloud.url);
    assert_eq!(free.coditect(&["seat", "acquire"]).code, 1);
}
