//! `--wait`: for a seat that is not free yet.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use protocol::problem::{Code, ProblemDocument};
use rustix::process::{Pid, Signal, kill_process};

use crate::cloud::{Cloud, full};
use crate::machine::{Machine, expect};

const TOLD: &str = "All 5 seats are in use. Waiting for one; one may be free in 2 minutes.";

/// Makes a machine whose license has no free seat.
fn scene() -> (Cloud, Machine) {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    cloud.mood().problem_on = Some(("acquire", full()));
    cloud.forget();
    (cloud, machine)
}

/// Starts waiting, and returns once the waiting was reported.
fn waiting(machine: &Machine, arguments: &[&str]) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut command = machine.command(arguments);
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut words = BufReader::new(process.stderr.take().unwrap());
    let mut line = String::new();
    words.read_line(&mut line).unwrap();
    assert_eq!(line.trim_end(), TOLD);
    (process, words)
}

#[test]
fn the_command_starts_once_somebody_gives_a_seat_back() {
    let (cloud, machine) = scene();
    let (mut process, mut words) = waiting(&machine, &["run", "--wait", "--", "echo", "started"]);
    let begin = Instant::now();
    cloud.wait_for("acquire");
    cloud.wait_for("acquire");
    assert_eq!(process.try_wait().unwrap(), None);
    cloud.mood().problem_on = None;
    let printed = machine.printed(process.wait_with_output().unwrap());
    expect(&printed, 0, "started\n", "");
    let mut rest = String::new();
    words.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "", "it is told once");
    assert!(begin.elapsed() < Duration::from_secs(60), "it doesn't wait for the two minutes that were said");
    assert_eq!(cloud.asked("release").len(), 1);
}

#[test]
fn after_its_time_the_answer_is_no() {
    let (_cloud, machine) = scene();
    let begin = Instant::now();
    expect(
        &machine.coditect(&["run", "--wait=2s", "--", "echo", "started"]),
        1,
        "",
        "All 5 seats are in use. Waiting for one, for at most 2 seconds; one may be free in 2 minutes.\nerror: No seat came free \
         within 2 seconds. All 5 seats are in use. Try again in 120 seconds, or ask your admin for more seats.\nhint: \
         `--wait=DURATION` waits longer; `coditect status` shows the license.\n",
    );
    assert!(begin.elapsed() >= Duration::from_secs(2));
    let json = machine.coditect(&["--json", "-q", "seat", "hold", "--wait=1s"]);
    assert_eq!((json.code, json.stderr.as_str()), (1, ""));
    assert!(json.stdout.starts_with("{\"code\":\"no_seats_available\""), "{json:?}");
    assert_eq!(machine.coditect(&["run", "--wait=soon", "--", "true"]).code, 64);
}

#[test]
fn ctrl_c_ends_it() {
    let (_cloud, machine) = scene();
    let (process, _words) = waiting(&machine, &["seat", "acquire", "--wait"]);
    let begin = Instant::now();
    kill_process(Pid::from_child(&process), Signal::INT).unwrap();
    let printed = machine.printed(process.wait_with_output().unwrap());
    assert_eq!((printed.code, printed.stdout.as_str()), (130, ""));
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_outage_meanwhile_is_waited_for_too() {
    let (cloud, machine) = scene();
    let (process, _words) = waiting(&machine, &["run", "--wait", "--", "echo", "started"]);
    let mut busy = ProblemDocument::new(Code::Unavailable);
    busy.retry_after_seconds = Some(1);
    cloud.mood().problem_on = Some(("acquire", busy));
    for _ in 0..4 {
        cloud.wait_for("acquire");
    }
    cloud.mood().problem_on = None;
    expect(&machine.printed(process.wait_with_output().unwrap()), 0, "started\n", "");
}

#[test]
fn what_is_no_lack_of_seats_is_not_waited_for() {
    let (cloud, machine) = scene();
    cloud.mood().problem_on = Some(("acquire", ProblemDocument::new(Code::LicenseInactive)));
    assert_eq!(machine.coditect(&["run", "--wait", "--", "true"]).code, 1);
    let (cloud, machine) = scene();
    cloud.away(true);
    assert_eq!(machine.coditect(&["run", "--wait", "--", "true"]).code, 2);
}

#[test]
fn on_a_terminal_one_sees_that_it_waits_and_for_how_long() {
    let (_cloud, machine) = scene();
    let ours = machine.command(&["run", "--wait=2s", "--", "true"]);
    let line: Vec<_> =
        std::iter::once(ours.get_program()).chain(ours.get_args()).map(|word| word.to_str().unwrap()).collect();
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &format!("exec {}", line.join(" ")), "/dev/null"]);
    machine.surround(&mut terminal);
    let output = terminal.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for shown in ["| Waiting for a seat 0:00, all 5 are in use, one may be free in 1:5", "/ Waiting for a seat 0:01"] {
        assert!(text.contains(shown), "{text:?}");
    }
    assert!(text.contains("No seat came free within 2 seconds."), "{text:?}");
    assert_eq!(output.status.code(), Some(1));
}
