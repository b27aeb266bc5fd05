//! Output of each command during each fault, and a check that nothing is lost: once the fault is over, everything works as
//! before.
//!
//! The output is in `faults/`, a file for each fault, with `!` before lines of standard error. `UPDATE_SNAPSHOTS=1 cargo
//! test -p coditect --test it faults` writes it anew.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use coditect::{ContextStore, Kind};
use jiff::SignedDuration;

use crate::cloud::Cloud;
use crate::doctor::timeless;
use crate::front::{Front, GOOD, Leaf};
use crate::machine::{Machine, Printed, at_time, copy};

/// Commands, each of which is tried in a home of its own.
const COMMANDS: [&[&str]; 6] =
    [&["validate"], &["status"], &["run", "--", "echo", "started"], &["sync"], &["activate", "KEY"], &["doctor"]];

/// A cloud, and a developer's machine in the middle of its life: activated two days ago, a seat taken an hour ago or so,
/// some context synced, and a change that waits to be sent.
struct Scene {
    cloud: Cloud,
    front: Option<Front>,
    machine: Machine,
}

impl Scene {
    fn new() -> Self {
        let cloud = Cloud::start();
        let machine = Machine::new(&cloud.url);
        Self::with(cloud, None, machine)
    }

    fn behind_tls() -> Self {
        let cloud = Cloud::start();
        let front = Front::of(&cloud, &GOOD);
        let machine = Machine::new(&front.url("127.0.0.1")).with("SSL_CERT_FILE", front.authority());
        Self::with(cloud, Some(front), machine)
    }

    fn with(cloud: Cloud, front: Option<Front>, machine: Machine) -> Self {
        let done = |arguments: &[&str]| {
            let printed = machine.coditect(arguments);
            assert_eq!(printed.code, 0, "{arguments:?}: {printed:?}");
        };
        cloud.mood().signed_ago = SignedDuration::from_hours(48);
        done(&["activate", &machine.key.to_string()]);
        cloud.mood().signed_ago = SignedDuration::from_mins(75);
        done(&["run", "true"]);
        cloud.mood().signed_ago = SignedDuration::ZERO;
        done(&["config", "set", "sync", "on"]);
        done(&["task", "add", "Pack", "--id", "sent"]);
        done(&["sync"]);
        done(&["task", "add", "Leave", "--id", "waiting"]);
        Self { cloud, front, machine }
    }

    /// Runs every command during the fault, each in a copy of the home; the caller decides how to run it. Then the fault is over.
    fn play(mut self, name: &str, run: impl Fn(&Machine, &[&str]) -> Output + Sync, over: impl FnOnce(&mut Self)) {
        let key = self.machine.key.to_string();
        let play = |command: &[&str]| {
            let twin = self.machine.twin();
            let arguments: Vec<&str> = command.iter().map(|word| if *word == "KEY" { &key } else { *word }).collect();
            let printed = twin.printed(run(&twin, &arguments));
            (transcript(command, &printed), twin)
        };
        let played: Vec<(String, Machine)> = thread::scope(|scope| {
            let threads: Vec<_> = COMMANDS.iter().map(|command| scope.spawn(|| play(command))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let text: Vec<&str> = played.iter().map(|(text, _)| text.as_str()).collect();
        compare(name, &text.join("\n"));
        over(&mut self);
        for (text, twin) in &played {
            unharmed(twin, text);
        }
        assert_eq!(self.cloud.stream().current(Kind::Task, "waiting").content["description"], "Leave");
    }
}

/// Checks that nothing was lost, and that everything works.
fn unharmed(machine: &Machine, after: &str) {
    for arguments in [&["sync"][..], &["validate"], &["run", "true"]] {
        let printed = machine.coditect(arguments);
        assert_eq!(printed.code, 0, "{arguments:?} after {after}: {printed:?}");
    }
    let store = ContextStore::open(Some(machine.home())).unwrap();
    assert_eq!(store.status().unwrap().waiting, 0, "after {after}");
    for id in ["sent", "waiting"] {
        assert!(store.get(Kind::Task, &id.parse().unwrap()).unwrap().is_some(), "{id} after {after}");
    }
}

fn transcript(command: &[&str], printed: &Printed) -> String {
    let mut text = format!("$ coditect {}\n", command.join(" "));
    for line in timeless(&printed.stdout).lines() {
        text.push_str(&steady(line));
        text.push('\n');
    }
    text.extend(printed.stderr.lines().map(|line| format!("! {line}\n")));
    text.push_str(&format!("exit code {}\n", printed.code));
    text
}

/// Returns a line without irrelevant details: the time until midnight, and the list of functions.
fn steady(line: &str) -> String {
    if let Some((before, _)) = line.split_once(" begins in ") {
        return before.to_owned();
    }
    match (line.split_once("functions  "), line.split_once(": "), line.split_once(" answers, and names ")) {
        (Some((mark, _)), Some((_, after)), _) => format!("{mark}functions             {{functions}}: {after}"),
        (_, _, Some((before, _))) => format!("{before} answers, and names its functions"),
        _ => line.to_owned(),
    }
}

#[track_caller]
fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/faults/{name}.txt"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let first = text.lines().zip(expected.lines()).find(|(now, then)| now != then);
    assert!(text == expected, "{} differs, first in {first:?}; all of it is now:\n{text}", path.display());
}

fn directly(machine: &Machine, arguments: &[&str]) -> Output {
    machine.command(arguments).output().unwrap()
}

/// Plays a fault in which the cloud sends this in place of any answer, and then answers again.
fn answering(name: &str, instead: &'static str) {
    let scene = Scene::new();
    scene.cloud.mood().instead = Some(instead);
    scene.play(name, directly, |scene| scene.cloud.mood().instead = None);
}

#[test]
fn up() {
    Scene::new().play("up", directly, |_| ());
}

#[test]
fn down() {
    let mut scene = Scene::new();
    scene.cloud.stop();
    scene.play("down", directly, |scene| scene.cloud.resume());
}

#[test]
fn slow() {
    let scene = Scene::new();
    scene.cloud.mood().mute = true;
    scene.play("slow", directly, |scene| scene.cloud.mood().mute = false);
}

#[test]
fn rubbish() {
    answering(
        "rubbish",
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 8\r\nconnection: close\r\n\r\n{\"a\": \u{7}!",
    );
}

#[test]
fn error_500() {
    answering("error_500", "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 5\r\nconnection: close\r\n\r\nOops!");
}

#[test]
fn captive_portal() {
    answering(
        "captive_portal",
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 30\r\nconnection: close\r\n\r\n<html>Welcome to our hotel!\n\n\n",
    );
}

#[test]
fn captive_redirect() {
    answering(
        "captive_redirect",
        "HTTP/1.1 302 Found\r\nlocation: http://login.hotel.example/?from=here\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    );
}

/// The answer of a company's proxy for a site that it blocks.
#[test]
fn blocked() {
    answering(
        "blocked",
        "HTTP/1.1 403 Forbidden\r\ncontent-type: text/html\r\ncontent-length: 14\r\nconnection: close\r\n\r\n<html>Blocked!",
    );
}

#[test]
fn expired_certificate() {
    let scene = Scene::behind_tls();
    let present = |scene: &Scene, leaf: &Leaf| scene.front.as_ref().unwrap().present(leaf);
    present(&scene, &Leaf { signed: Some("-60d"), ..GOOD });
    scene.play("expired_certificate", directly, |scene| present(scene, &GOOD));
}

/// Plays a wrong clock, while the cloud can be reached and while it cannot.
fn clock(name: &str, away: &str) {
    let run = |machine: &Machine, arguments: &[&str]| {
        let mut command = machine.command(arguments);
        at_time(&mut command, away).output().unwrap()
    };
    Scene::new().play(name, run, |_| ());
    let mut scene = Scene::new();
    scene.cloud.stop();
    scene.play(&format!("{name}_offline"), run, |scene| scene.cloud.resume());
}

#[test]
fn clock_ahead() {
    clock("clock_ahead", "+8d");
}

#[test]
fn clock_behind() {
    clock("clock_behind", "-8d");
}

/// Runs in a mount namespace of its own, set up by the script, whose `$1` is the machine's folder and `$2` another one.
fn mounted(machine: &Machine, arguments: &[&str], script: &str) -> Output {
    let aside = tempfile::tempdir().unwrap();
    let command = machine.command(arguments);
    let mut unshare = Command::new("unshare");
    let root = rustix::process::geteuid().is_root();
    unshare.args(if root { &["-m"][..] } else { &["-m", "-r"] }).args(["sh", "-euc", script, "sh"]);
    unshare.arg(machine.home().parent().unwrap()).arg(aside.path()).arg(command.get_program()).args(command.get_args());
    machine.surround(&mut unshare);
    let output = unshare.output().expect("util-linux is installed");
    // 99 is the script's own.
    assert_ne!(output.status.code(), Some(99), "nothing can be mounted here: {output:?}");
    if aside.path().join("home").exists() {
        fs::remove_dir_all(machine.home()).unwrap();
        copy(&aside.path().join("home"), machine.home().parent().unwrap());
    }
    output
}

#[test]
fn read_only_home() {
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" || exit 99\nshift 2\nexec \"$@\"";
    Scene::new().play("read_only_home", |machine, arguments| mounted(machine, arguments, script), |_| ());
}

#[test]
fn what_is_there_is_read_where_nothing_can_be_written() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    assert_eq!(machine.coditect(&["decision", "add", "Use Postgres", "--id", "d"]).code, 0);
    assert_eq!(machine.coditect(&["sync"]).code, 0);
    // An agent's hook leaves its changes in the database's write-ahead log.
    let event =
        "{\"tool_name\":\"TodoWrite\",\"session_id\":\"s\",\"tool_input\":{\"todos\":[{\"content\":\"in the log\"}]}}";
    assert_eq!(machine.coditect_reading(&["hook", "task-plan"], event).code, 0);
    assert!(fs::metadata(machine.home().join("sessions.db-wal")).unwrap().len() > 0);
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" || exit 99\nshift 2\nexec \"$@\"";
    for (arguments, says) in [
        (&["task", "list"][..], "in the log"),
        (&["decision", "list"], "Use Postgres"),
        (&["decision", "show", "d"], "Use Postgres"),
        (&["learning", "list"], ""),
        (&["sync", "status"], "1 change"),
        (&["sync", "log"], ""),
        (&["config", "list"], "sync = on"),
    ] {
        let printed = machine.printed(mounted(&machine, arguments, script));
        assert_eq!((printed.code, printed.stderr.as_str()), (0, ""), "{arguments:?}: {printed:?}");
        assert!(printed.stdout.contains(says), "{arguments:?}: {printed:?}");
    }
    let doctor = machine.printed(mounted(&machine, &["doctor"], script));
    for row in ["BAD  home", "ok   database org.db", "ok   database sessions.db"] {
        assert!(doctor.stdout.contains(row), "{row}: {doctor:?}");
    }
    let printed = machine.printed(mounted(&machine, &["task", "add", "x"], script));
    assert!(printed.code == 2 && printed.stderr.contains("sessions.db"), "{printed:?}");
}

#[test]
fn full_disk() {
    let script = "machine=$1 aside=$2\nshift 2\ncp -a \"$machine/home\" \"$aside\"\n\
        mount -t tmpfs -o size=8m none \"$machine\" || exit 99\ncp -a \"$aside/home\" \"$machine\"\n\
        cat /dev/zero >\"$machine/filler\" 2>/dev/null || :\ncode=0\n\"$@\" || code=$?\n\
        rm -r \"$aside/home\" \"$machine/filler\"\ncp -a \"$machine/home\" \"$aside\"\nexit $code";
    Scene::new().play("full_disk", |machine, arguments| mounted(machine, arguments, script), |_| ());
}

#[test]
fn two_at_once() {
    let scene = Scene::new();
    let key = scene.machine.key.to_string();
    for command in COMMANDS {
        let twin = scene.machine.twin();
        let arguments: Vec<&str> = command.iter().map(|word| if *word == "KEY" { &key } else { *word }).collect();
        let [one, other] = [(), ()].map(|()| {
            let mut command = twin.command(&arguments);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
        });
        for process in [one, other] {
            let printed = twin.printed(process.wait_with_output().unwrap());
            assert_eq!((printed.code, printed.stderr.as_str()), (0, ""), "{command:?}: {printed:?}");
        }
        unharmed(&twin, &command.join(" "));
    }
}
