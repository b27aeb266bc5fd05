//! Output at a terminal, and the details for users who look for a cause. The terminal is that of `script`.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use crate::cloud::Cloud;
use crate::machine::Machine;

/// Returns a command that runs the binary at a terminal, and prints everything that it shows.
pub(crate) fn at_terminal(machine: &Machine, arguments: &str) -> Command {
    let mut command = Command::new("script");
    command.args(["-qec", &format!("{} {arguments}", env!("CARGO_BIN_EXE_coditect")), "/dev/null"]);
    machine.surround(command.env("TERM", "xterm-256color"));
    command
}

pub(crate) fn shown(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn colors_are_for_terminals_whose_owners_want_them() {
    let machine = Machine::new("https://cloud.example");
    for (arguments, code, colored) in [
        ("config get x", 64, "\x1b[1m\x1b[31merror:\x1b[0m There is no setting"),
        ("vaildate", 64, "\x1b[1m\x1b[31merror:\x1b[0m There is no command"),
        ("--help", 0, "\x1b[1;4mExamples:\x1b[0m"),
    ] {
        let (ended, text) = shown(&mut at_terminal(&machine, arguments));
        assert_eq!(ended, Some(code), "{text}");
        assert!(text.contains(colored), "{text:?}");
        for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "")] {
            let mut plain = at_terminal(&machine, arguments);
            plain.env(name, value);
            let (ended, text) = shown(&mut plain);
            assert_eq!(ended, Some(code), "{text}");
            assert!(!text.contains('\x1b'), "{name}={value}: {text:?}");
        }
    }
}

#[test]
fn verbose_says_who_is_asked_and_which_stored_answer_serves() {
    let cloud = Cloud::start();
    let machine = Machine::new(&cloud.url);
    let key = machine.key.to_string();
    let first = machine.coditect(&["activate", &key, "--verbose"]);
    assert_eq!(first.code, 0, "{first:?}");
    let asked: Vec<&str> =
        first.stderr.lines().filter_map(|line| line.split_once(" after ").map(|(step, _)| step)).collect();
    let steps = [
        "GET {cloud}/.well-known/coditect.json: 200",
        "GET {cloud}/.well-known/jwks.json: 200",
        "POST {cloud}/api/v1/licenses/validate: 200",
    ];
    assert!(asked.starts_with(&steps), "{first:?}");
    let again = machine.coditect(&["validate", "-v"]);
    assert_eq!(again.stderr, "the validation: stored 1 minute ago, nobody is asked\n");
    cloud.away(true);
    let refused = machine.coditect(&["activate", &key, "-v"]);
    assert!(refused.stderr.contains("POST {cloud}/api/v1/licenses/validate: connection lost after "), "{refused:?}");
    for printed in [first, again, refused] {
        assert!(!printed.stderr.contains(&key) && !printed.stderr.contains("eyJ"), "{printed:?}");
    }
    assert_eq!(machine.coditect(&["validate"]).stderr, "", "only those who ask are told");
}

#[test]
fn what_takes_longer_than_a_moment_shows_that_it_is_alive() {
    // Accepts connections, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let machine = Machine::new(&format!("http://{}", silent.local_addr().unwrap()));
    let mut command = at_terminal(&machine, &format!("activate {}", machine.key));
    let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
    let (mut screen, mut text) = (process.stdout.take().unwrap(), Vec::new());
    while !String::from_utf8_lossy(&text).contains("/ Asking 127.0.0.1:") {
        let mut some = [0; 256];
        let count = screen.read(&mut some).unwrap();
        assert_ne!(count, 0, "{}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&some[..count]);
    }
    drop(silent);
    screen.read_to_end(&mut text).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(2));
    let text = String::from_utf8_lossy(&text);
    let (_, after) = text.rsplit_once("Asking").unwrap();
    assert!(after.contains(" \r\x1b[1m\x1b[31merror:"), "the line is gone before the next: {text:?}");

    for quiet in ["--quiet", "--json"] {
        let (_, text) = shown(&mut at_terminal(&machine, &format!("activate {} {quiet}", machine.key)));
        assert!(!text.contains("Asking"), "{text:?}");
    }
}

#[test]
fn shells_can_read_their_completions() {
    let machine = Machine::new("https://cloud.example");
    for (shell, holds) in [
        ("bash", "complete -F _coditect"),
        ("zsh", "#compdef coditect"),
        ("fish", "complete -c coditect"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = machine.coditect(&["completions", shell]);
        assert_eq!((script.code, script.stderr.as_str()), (0, ""));
        assert!(script.stdout.contains(holds) && script.stdout.contains("validate"), "{}", script.stdout);
    }
    let script = machine.coditect(&["completions", "bash"]).stdout;
    let asks = format!(
        "{script}\nCOMP_WORDS=(coditect val) COMP_CWORD=1; _coditect coditect val coditect; echo ${{COMPREPLY[@]}}"
    );
    // Longer than an argument may be.
    let file = machine.home().join("completions.bash");
    fs::write(&file, asks).unwrap();
    let bash = Command::new("bash").arg("--norc").arg(file).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&bash.stdout), "validate\n", "{}", String::from_utf8_lossy(&bash.stderr));
    assert_eq!(machine.coditect(&["completions", "cmd.exe"]).code, 64);
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let machine = Machine::new("https://cloud.example");
    let folder = machine.home().join("man");
    assert_eq!(machine.coditect(&["man", "--output", folder.to_str().unwrap()]).code, 0);
    for page in ["coditect.1", "coditect-validate.1", "coditect-task-add.1"] {
        let text = fs::read_to_string(folder.join(page)).unwrap();
        assert!(text.contains(".TH") && text.contains("Examples:") && !text.contains('\x1b'), "{page}: {text}");
    }
    assert!(!folder.join("coditect-man.1").exists(), "what is hidden in the help is hidden here");
}

/// Returns the number of processes whose home is this machine's.
fn processes(machine: &Machine) -> usize {
    let home = format!("CODITECT_HOME={}", machine.home().display());
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read(entry.ok()?.path().join("environ")).ok());
    all.filter(|environment| environment.split(|byte| *byte == 0).any(|variable| variable == home.as_bytes())).count()
}

#[test]
fn once_sync_is_on_it_goes_on_by_itself_and_leaves_no_process_behind() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    assert_eq!(machine.coditect(&["task", "add", "one", "--id", "one"]).code, 0);
    assert!(cloud.asked("context").is_empty(), "not for programs");
    for silent in ["--quiet", "--json"] {
        assert_eq!(shown(&mut at_terminal(&machine, &format!("task list {silent}"))).0, Some(0));
    }
    let mut in_ci = at_terminal(&machine, "task list");
    assert_eq!(shown(in_ci.env("CI", "true")).0, Some(0));
    assert!(cloud.asked("context").is_empty() && processes(&machine) == 0);
    assert_eq!(shown(&mut at_terminal(&machine, "task list")).0, Some(0));
    cloud.wait_for("/context/push");
    cloud.wait_for("/context/pull");
    let deadline = std::time::Instant::now() + crate::cloud::PATIENCE;
    while processes(&machine) > 0 {
        assert!(std::time::Instant::now() < deadline, "a process was left behind");
        std::thread::yield_now();
    }
    assert_eq!(cloud.stream().current(coditect::Kind::Task, "one").content["description"], "one");
    cloud.forget();
    assert_eq!(shown(&mut at_terminal(&machine, "task add two")).0, Some(0));
    assert_eq!(processes(&machine), 0, "not again within minutes");
    assert!(cloud.asked("context").is_empty());
}
