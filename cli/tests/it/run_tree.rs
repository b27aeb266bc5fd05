//! `coditect run` and the processes below it, the terminal in front of it, and the machine that sleeps around it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use coditect::SessionId;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::cloud::{Cloud, PATIENCE};
use crate::machine::{Machine, expect};

/// Starts a script on a seat that prints process ids, and then a line that ends the list.
fn start(machine: &Machine, script: &str) -> (Child, Vec<Pid>) {
    let mut command = machine.command(&["run", "--", "sh", "-c", script]);
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let ids = lines.map(|line| line.unwrap()).take_while(|line| line != "ready");
    let ids = ids.map(|line| Pid::from_raw(line.parse().unwrap()).unwrap()).collect();
    (process, ids)
}

fn state(process: Pid) -> Option<char> {
    let text = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_pid())).ok()?;
    text.rsplit_once(')')?.1.trim().chars().next()
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < PATIENCE, "{what}");
        thread::yield_now();
    }
}

/// Returns true if a process has ended, even if its parent has not waited for it.
fn is_gone(process: Pid) -> bool {
    matches!(state(process), None | Some('Z'))
}

/// Processes in its group, in a session of their own, and without a parent.
const TREE: &str = "sleep 1000 & echo $!; setsid sh -c 'echo $$; exec sleep 1000' & sleep 0.2; \
                    (setsid sh -c 'echo $$; exec sleep 1000' & ); sleep 0.2; echo ready; wait; wait";

#[test]
fn told_to_end_it_ends_all_that_it_started() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let (process, tree) = start(&machine, TREE);
    assert_eq!(tree.len(), 3);
    kill_process(Pid::from_child(&process), Signal::TERM).unwrap();
    let printed = machine.printed(process.wait_with_output().unwrap());
    assert_eq!(printed.code, 143, "{printed:?}");
    assert!(tree.iter().all(|process| is_gone(*process)), "{tree:?}");
    assert_eq!(cloud.asked("release").len(), 1);
}

#[test]
fn what_does_not_end_is_killed_wherever_it_hides() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let deaf = "trap '' TERM; (setsid sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & ); sleep 0.3; echo $$; echo ready";
    let (process, tree) = start(&machine, &format!("{deaf}; while :; do sleep 1; done"));
    let begin = Instant::now();
    kill_process(Pid::from_child(&process), Signal::TERM).unwrap();
    let printed = machine.printed(process.wait_with_output().unwrap());
    assert_eq!(printed.code, 137, "{printed:?}");
    assert!(begin.elapsed().as_secs() >= 9, "it had its time");
    assert!(tree.iter().all(|process| is_gone(*process)), "{tree:?}");
}

#[test]
fn what_it_leaves_when_it_ends_by_itself_goes_on() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let (process, tree) = start(&machine, "sleep 1000 >/dev/null 2>&1 & echo $!; echo ready; exit 5");
    let printed = machine.printed(process.wait_with_output().unwrap());
    expect(&printed, 5, "", "");
    assert_eq!(cloud.asked("release").len(), 1, "without its seat");
    assert!(!is_gone(tree[0]));
    kill_process(tree[0], Signal::KILL).unwrap();
}

#[test]
fn what_has_lost_its_parent_leaves_no_zombie() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let (mut process, orphans) =
        start(&machine, "(sh -c 'echo $$; sleep 0.3' & ); sleep 0.1; echo ready; exec sleep 1000");
    wait_until("the orphan is a zombie", || test_kill_process(orphans[0]).is_err());
    kill_process(Pid::from_child(&process), Signal::TERM).unwrap();
    process.wait().unwrap();
}

#[test]
fn the_command_does_not_outlive_us_when_we_are_killed() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let (mut process, command) = start(&machine, "echo $$; echo ready; exec sleep 1000");
    process.kill().unwrap();
    process.wait().unwrap();
    wait_until("the command goes on", || is_gone(command[0]));
}

#[test]
fn what_whoever_started_us_ignores_stays_ignored() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let ours = machine.command(&["run", "--", "sh", "-c", "kill -HUP $PPID; kill -HUP $$; echo goes on"]);
    let mut nohup = Command::new("nohup");
    nohup.arg(ours.get_program()).args(ours.get_args());
    machine.surround(&mut nohup);
    let printed = machine.printed(nohup.output().unwrap());
    expect(&printed, 0, "goes on\n", "");
}

#[test]
fn a_process_that_was_stopped_finds_its_seat_again_and_says_so() {
    let cloud = Cloud::start();
    cloud.mood().interval = 1;
    let machine = Machine::activated(&cloud.url);
    let (mut process, _) = start(&machine, "echo ready; exec sleep 1000");
    let us = Pid::from_child(&process);
    kill_process(us, Signal::STOP).unwrap();
    wait_until("it doesn't stop", || state(us) == Some('T'));
    cloud.mood().session = SessionId::new();
    kill_process(us, Signal::CONT).unwrap();
    let mut told = String::new();
    BufReader::new(process.stderr.as_mut().unwrap()).read_line(&mut told).unwrap();
    assert_eq!(told, "The seat was lost and has been taken again.\n");
    kill_process(us, Signal::TERM).unwrap();
    process.wait().unwrap();
}

/// A shell with job control, on a terminal of its own.
struct Terminal {
    process: Child,
    screen: BufReader<std::process::ChildStdout>,
}

impl Terminal {
    fn start(machine: &Machine, command: &str) -> Self {
        let mut script = Command::new("script");
        script.args(["-qec", command, "/dev/null"]).env("PS1", "$ ").env("TERM", "dumb");
        machine.surround(&mut script);
        let mut process = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let screen = BufReader::new(process.stdout.take().unwrap());
        Self { process, screen }
    }

    fn type_in(&mut self, keys: &str) {
        self.process.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Returns the first line with these words.
    fn read_until(&mut self, words: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.screen.read_line(&mut line).unwrap() > 0, "the screen ends before {words:?}");
            if line.contains(words) {
                return line.trim().to_owned();
            }
        }
    }
}

fn written_id(file: &Path) -> Pid {
    let id = || Pid::from_raw(fs::read_to_string(file).ok()?.trim().parse().ok()?);
    wait_until("nothing is written", || id().is_some());
    id().unwrap()
}

#[test]
fn ctrl_z_stops_it_and_fg_continues_it() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let file = machine.home().join("pid");
    let program = env!("CARGO_BIN_EXE_coditect");
    let mut terminal = Terminal::start(&machine, "exec bash --norc --noprofile -i");
    // The terminal echoes input, so the quotes keep the words from appearing whole in it.
    terminal.type_in(&format!(
        "{program} run -- sh -c 'echo $PPID >{0}.new; mv {0}.new {0}; echo rea\"\"dy; exec sleep 1000'\n",
        file.display()
    ));
    terminal.read_until("ready");
    let us = written_id(&file);
    terminal.type_in("\x1a");
    terminal.read_until("Stopped");
    assert_eq!(state(us), Some('T'));
    terminal.type_in("fg\n");
    wait_until("it doesn't go on", || state(us) == Some('S'));
    terminal.type_in("\x03");
    terminal.type_in("echo code=$?.\n");
    let code = terminal.read_until("code=1");
    assert!(code.ends_with("code=130."), "{code}");
    terminal.type_in("exit\n");
    terminal.process.wait().unwrap();
    assert_eq!(cloud.asked("release").len(), 1);
}

#[test]
fn a_closed_terminal_ends_it_and_gives_the_seat_back() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    for shell in ["exec", ""] {
        cloud.forget();
        let file = machine.home().join("pid");
        let _ = fs::remove_file(&file);
        let program = env!("CARGO_BIN_EXE_coditect");
        let inner = format!("echo $$ >{0}.new; mv {0}.new {0}; exec sleep 1000", file.display());
        fs::write(machine.home().join("inner"), inner).unwrap();
        let line = format!("{shell} {program} run -- sh {}/inner", machine.home().display());
        let mut terminal = Terminal::start(&machine, &line);
        let command = written_id(&file);
        terminal.process.kill().unwrap();
        terminal.process.wait().unwrap();
        wait_until("the command goes on", || is_gone(command));
        cloud.wait_for("release");
    }
}
