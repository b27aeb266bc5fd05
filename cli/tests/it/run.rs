//! `coditect run`

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};

use coditect::SessionId;
use jiff::SignedDuration;
use rustix::process::{Pid, Signal, kill_process};

use crate::cloud::{Cloud, ended, full};
use crate::machine::{Machine, Printed, expect};

/// Starts a shell script on a seat, and waits until it has printed a line.
fn start(machine: &Machine, script: &str) -> (Child, String) {
    let mut command = machine.command(&["run", "--", "sh", "-c", script]);
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Read byte by byte, so that the rest stays in the pipe for the next reader.
    let mut line = Vec::new();
    let out = process.stdout.as_mut().unwrap();
    let mut byte = [0];
    while out.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    (process, String::from_utf8(line).unwrap())
}

fn signal(process: &Child, signal: Signal) {
    kill_process(Pid::from_child(process), signal).unwrap();
}

fn end(machine: &Machine, process: Child) -> Printed {
    machine.printed(process.wait_with_output().unwrap())
}

#[test]
fn the_command_has_the_seat_in_its_environment_and_gives_it_back() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let script = "echo $CODITECT_SESSION_ID $CODITECT_TIER $CODITECT_SEAT_EXPIRES_AT; echo $CODITECT_LICENSE_TOKEN | cut -c1-3; echo \"$@\"";
    let printed = machine.coditect(&["run", "--", "sh", "-c", script, "sh", "--json", "-q"]);
    let session = cloud.mood().session;
    expect(&printed, 0, &format!("{session} TEAM {{time}}\neyJ\n--json -q\n"), "");
    assert_eq!(cloud.asked("release").len(), 1);
    // The -- can be left out.
    expect(&machine.coditect(&["run", "echo", "-n", "x"]), 0, "x", "");
}

#[test]
fn the_exit_code_is_passed_on() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    for (script, code) in
        [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
    {
        cloud.forget();
        expect(&machine.coditect(&["run", "--", "sh", "-c", script]), code, "", "");
        assert_eq!(cloud.asked("release").len(), 1, "{script}");
    }
}

#[test]
fn a_command_that_is_not_there_takes_no_seat_away() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    expect(
        &machine.coditect(&["run", "--", "no-such-command"]),
        127,
        "",
        "error: \"no-such-command\" cannot be started: No such file or directory (os error 2).\nhint: `command -v no-such-command` \
         shows whether it is installed.\n",
    );
    assert_eq!(cloud.asked("release").len(), 1);
    assert_eq!(machine.coditect(&["run", "--", "/"]).code, 126);
    let printed = machine.coditect(&["run", "--", "/etc/passwd"]);
    assert!(printed.code == 126 && printed.stderr.contains("hint: `chmod +x /etc/passwd`"), "{printed:?}");
}

#[test]
fn no_seat_no_command() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    cloud.mood().problem_on = Some(("acquire", full()));
    expect(
        &machine.coditect(&["run", "--", "echo", "started"]),
        1,
        "",
        "error: All 5 seats are in use. Try again in 120 seconds, or ask your admin for more seats.\nhint: `coditect run -- \
         COMMAND…` again in 120 seconds.\n",
    );
    let unchanged = format!("{}\n", serde_json::to_value(full()).unwrap());
    expect(&machine.coditect(&["--json", "run", "--", "echo", "started"]), 1, &unchanged, "");
}

#[test]
fn offline_the_last_token_lets_it_run_with_a_warning() {
    let mut cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    cloud.mood().token_lifetime = SignedDuration::from_hours(3);
    expect(&machine.coditect(&["run", "true"]), 0, "", "");
    cloud.stop();
    let printed = machine.coditect(&["run", "--", "sh", "-c", "echo started; exit 3"]);
    expect(
        &printed,
        3,
        "started\n",
        "Cloud unavailable. Continuing on the last license token (valid for 3 more hours).\nThe seat could not be given back, \
         and comes free by itself within minutes. The cloud cannot be reached at {cloud}/api/v1/licenses/release (connection \
         refused).\n",
    );
}

#[test]
fn offline_without_a_token_it_does_not_start() {
    let mut cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    cloud.stop();
    expect(
        &machine.coditect(&["run", "--", "echo", "started"]),
        2,
        "",
        "error: The cloud cannot be reached at {cloud}/api/v1/auth/license (connection refused).\nhint: Check the network; `coditect doctor` looks for the cause.\n",
    );
}

#[test]
fn signals_are_for_the_command() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    for (sent, name, number) in [(Signal::INT, "INT", 2), (Signal::TERM, "TERM", 15), (Signal::HUP, "HUP", 1)] {
        cloud.forget();
        // One that ends by the signal; and one that has something to say first.
        let (process, _) = start(&machine, "echo ready; exec sleep 60");
        signal(&process, sent);
        expect(&end(&machine, process), 128 + number, "", "");
        let script = format!("trap 'echo caught; exit 9' {name}; echo ready; while :; do :; done");
        let (process, _) = start(&machine, &script);
        signal(&process, sent);
        expect(&end(&machine, process), 9, "caught\n", "");
        assert_eq!(cloud.asked("release").len(), 2, "{name}");
    }
}

#[test]
fn what_the_terminal_sends_reaches_the_command_once() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let counting =
        "trap 'n=$((n+1))' INT; echo ready; for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1; done; echo caught $n";
    std::fs::write(machine.home().join("count"), counting).unwrap();
    // `script` gives it a terminal of its own, whose Ctrl-C is a byte that is written to it. Not every shell that stands
    // between them makes room for its last command by itself, and one that stays would be ended by the Ctrl-C too.
    let ours = machine.command(&["run", "--", "sh", machine.home().join("count").to_str().unwrap()]);
    let line: Vec<_> =
        std::iter::once(ours.get_program()).chain(ours.get_args()).map(|word| word.to_str().unwrap()).collect();
    let mut terminal = std::process::Command::new("script");
    terminal.args(["-qec", &format!("exec {}", line.join(" ")), "/dev/null"]);
    machine.surround(&mut terminal);
    let mut process = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    assert_eq!(lines.next().unwrap(), "ready");
    process.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    let rest: Vec<_> = lines.collect();
    assert!(rest.last().unwrap().ends_with("caught 1"), "{rest:?}");
    assert_eq!(process.wait().unwrap().code(), Some(0));
    assert_eq!(cloud.asked("release").len(), 1);
}

#[test]
fn a_command_that_survives_the_signal_goes_on() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let (mut process, _) = start(&machine, "trap 'echo caught' INT; echo ready; read line; echo $line");
    assert_eq!(process.try_wait().unwrap(), None);
    signal(&process, Signal::INT);
    // The trap ends the read, and the script goes on to its end.
    let printed = end(&machine, process);
    assert_eq!(printed.code, 0, "{printed:?}");
}

#[test]
fn a_killed_command_still_gives_the_seat_back() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let (process, pid) = start(&machine, "echo $$; exec sleep 60");
    kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
    expect(&end(&machine, process), 137, "", "");
    assert_eq!(cloud.asked("release").len(), 1);
}

#[test]
fn it_beats_while_the_command_runs() {
    let cloud = Cloud::start();
    cloud.mood().interval = 1;
    let machine = Machine::activated(&cloud.url);
    let (process, _) = start(&machine, "echo ready; exec sleep 60");
    cloud.wait_for("heartbeat");
    cloud.wait_for("heartbeat");
    signal(&process, Signal::TERM);
    assert_eq!(end(&machine, process).code, 143);
}

#[test]
fn when_the_license_is_revoked_the_command_is_stopped() {
    let cloud = Cloud::start();
    cloud.mood().interval = 1;
    let machine = Machine::activated(&cloud.url);
    let (process, _) = start(&machine, "trap 'echo asked to stop; exit 0' TERM; echo ready; while :; do :; done");
    cloud.mood().problem_on = Some(("heartbeat", ended("revoked")));
    expect(
        &end(&machine, process),
        1,
        "asked to stop\n",
        "This seat has ended. The session was revoked.\nThe command is asked to stop, and stopped after 10 seconds.\n",
    );
}

#[test]
fn a_command_that_does_not_stop_is_stopped() {
    let cloud = Cloud::start();
    cloud.mood().interval = 1;
    let machine = Machine::activated(&cloud.url);
    let (process, _) = start(&machine, "trap '' TERM; echo ready; while :; do sleep 1; done");
    cloud.mood().problem_on = Some(("heartbeat", ended("suspended")));
    let begin = std::time::Instant::now();
    assert_eq!(end(&machine, process).code, 1);
    assert!(begin.elapsed().as_secs() >= 9, "it had its time");
}

#[test]
fn without_the_cloud_the_command_runs_until_the_token_ends() {
    let cloud = Cloud::start();
    {
        let mut mood = cloud.mood();
        mood.interval = 1;
        mood.token_lifetime = SignedDuration::from_secs(4);
    }
    let machine = Machine::activated(&cloud.url);
    let (process, _) = start(&machine, "echo ready; exec sleep 60");
    cloud.away(true);
    let printed = end(&machine, process);
    assert_eq!(printed.code, 2, "{printed:?}");
    let lines: Vec<_> = printed.stderr.lines().collect();
    assert!(lines[0].starts_with("The cloud cannot be reached. This seat goes on for 1 more minute"), "{lines:?}");
    assert!(lines[1].starts_with("This seat has ended. The cloud could not be reached"), "{lines:?}");
    assert_eq!(lines[2], "The command is asked to stop, and stopped after 10 seconds.");
}

#[test]
fn a_seat_that_is_taken_again_is_told_and_the_command_goes_on() {
    let cloud = Cloud::start();
    cloud.mood().interval = 1;
    let machine = Machine::activated(&cloud.url);
    let (mut process, _) = start(&machine, "echo ready; exec sleep 60");
    cloud.mood().session = SessionId::new();
    let mut told = String::new();
    BufReader::new(process.stderr.as_mut().unwrap()).read_line(&mut told).unwrap();
    assert_eq!(told, "The seat was lost and has been taken again.\n");
    assert_eq!(process.try_wait().unwrap(), None);
    signal(&process, Signal::TERM);
    assert_eq!(end(&machine, process).code, 143);
}
