//! Rules for the output of all commands: usage, pipes, colors.

use std::process::Stdio;

use crate::machine::{Machine, expect};

#[test]
fn wrong_usage_is_64_and_says_where_to_look() {
    let machine = Machine::new("https://cloud.example");
    let printed = machine.coditect(&["vaildate"]);
    assert_eq!(printed.code, 64);
    assert_eq!(printed.stdout, "");
    assert_eq!(printed.stderr, "error: There is no command `coditect vaildate`.\nhint: `validate` is similar.\n");
    for arguments in [&["run"][..], &["config", "set"], &["task", "show"], &["validate", "--loud"]] {
        assert_eq!(machine.coditect(arguments).code, 64, "{arguments:?}");
    }
    let json = machine.coditect(&["--json", "vaildate"]);
    assert_eq!((json.code, json.stderr.as_str()), (64, ""));
    let object: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(object["code"], "usage");
}

#[test]
fn help_and_version_are_answers() {
    let machine = Machine::new("https://cloud.example");
    expect(&machine.coditect(&["--version"]), 0, concat!("coditect ", env!("CARGO_PKG_VERSION"), "\n"), "");
    let help = machine.coditect(&["--help"]);
    assert_eq!((help.code, help.stderr.as_str()), (0, ""));
    for command in ["activate", "validate", "status", "run", "config"] {
        assert!(help.stdout.contains(command), "{}", help.stdout);
    }
}

#[test]
fn a_reader_that_has_read_enough_is_no_failure() {
    let machine = Machine::new("https://cloud.example");
    for arguments in [&["validate"][..], &["status"], &["--help"]] {
        let mut command = machine.command(arguments);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        expect(&machine.printed(output), 0, "", "");
    }
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let machine = Machine::new("https://cloud.example");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = machine.command(&["status"]).stdout(full).output().unwrap();
    let printed = machine.printed(output);
    assert_eq!(printed.code, 2);
    assert!(printed.stderr.contains("hint: "), "{}", printed.stderr);
}

#[test]
fn there_are_no_colors_with_or_without_no_color() {
    let machine = Machine::new("https://cloud.example");
    for arguments in [&["validate"][..], &["vaildate"], &["--help"], &["config", "get", "x"]] {
        let plain = machine.printed(machine.command(arguments).env("NO_COLOR", "1").output().unwrap());
        let usual = machine.coditect(arguments);
        assert_eq!(plain, usual);
        assert!(!usual.stdout.contains('\x1b') && !usual.stderr.contains('\x1b'), "{usual:?}");
    }
}

#[test]
fn a_wrong_hardware_id_is_wrong_usage() {
    let machine = Machine::new("https://cloud.example");
    let output = machine.command(&["status"]).env("CODITECT_HARDWARE_ID", "laptop").output().unwrap();
    expect(
        &machine.printed(output),
        64,
        "",
        "error: CODITECT_HARDWARE_ID is not usable. A machine's id is 64 hex characters: the SHA-256 of its hardware facts. Send \
         all of them, and nothing else.\nhint: `unset CODITECT_HARDWARE_ID` makes coditect use the machine's own; `coditect \
         status` shows it.\n",
    );
}

#[test]
fn without_a_home_there_is_nowhere_to_look() {
    let machine = Machine::new("https://cloud.example");
    let output = machine.command(&["status"]).env_remove("CODITECT_HOME").env_remove("HOME").output().unwrap();
    let printed = machine.printed(output);
    assert_eq!(printed.code, 2);
    assert!(printed.stderr.contains("`coditect --home DIR …`"), "{}", printed.stderr);
    let output =
        machine.command(&["status", "--home", machine.home().to_str().unwrap()]).env_remove("CODITECT_HOME").output();
    assert_eq!(machine.printed(output.unwrap()).code, 0);
}
