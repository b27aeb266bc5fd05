//! `coditect self update`: updates that are installed, updates that are refused, and the state after a crash.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cloud::{Cloud, PATIENCE};
use crate::machine::{Machine, expect};
use crate::release::{Installed, Publisher, new_key, saying};

const HERE: &str = concat!("coditect ", env!("CARGO_PKG_VERSION"));
const NOVEMBER: &str = "2026-11-01T00:00:00Z";
const DECEMBER: &str = "2026-12-01T00:00:00Z";

/// Checks that an update is refused with this sentence, and that nothing was changed.
#[track_caller]
fn refused(installed: &Installed, publisher: &Publisher, code: i32, sentence: &str) {
    let printed = installed.run(publisher, &["self", "update"]);
    assert_eq!((printed.code, printed.stdout.as_str()), (code, ""), "{printed:?}");
    assert!(printed.stderr.starts_with(&format!("error: {sentence}")), "{printed:?}");
    assert!(printed.stderr.contains("\nhint: "), "{printed:?}");
    assert_eq!((installed.version().as_str(), installed.beside().len()), (HERE, 0));
}

#[test]
fn a_newer_version_takes_the_place_of_this_one() {
    let (publisher, installed) = (Publisher::new(), Installed::at("bin/coditect"));
    publisher.release("9.1.0", NOVEMBER);
    let says = "coditect 9.1.0 was released on 2026-11-01; this is 0.1.0. `coditect self update` installs it.\n";
    expect(&installed.run(&publisher, &["self", "update", "--check"]), 1, says, "");
    assert_eq!(installed.version(), HERE);
    let says = "coditect 9.1.0 is installed in place of 0.1.0: {program}\n";
    expect(&installed.run(&publisher, &["self", "update"]), 0, says, "");
    assert_eq!((installed.version().as_str(), installed.beside().len()), ("coditect 9.1.0", 0));
    assert_eq!(
        fs::metadata(&installed.program).unwrap().permissions().mode() & 0o777,
        0o750,
        "its permissions are kept"
    );
}

#[test]
fn the_newest_stays() {
    let (publisher, installed) = (Publisher::new(), Installed::at("bin/coditect"));
    publisher.release(env!("CARGO_PKG_VERSION"), NOVEMBER);
    for arguments in [&["self", "update"][..], &["self", "update", "--check"]] {
        expect(&installed.run(&publisher, arguments), 0, "This coditect, 0.1.0, is the newest.\n", "");
    }
    let json = installed.run(&publisher, &["self", "update", "--check", "--json"]);
    let says = "{\"newest\":\"0.1.0\",\"released_at\":\"{time}\",\"updated\":false,\"version\":\"0.1.0\"}\n";
    expect(&json, 0, says, "");
}

#[test]
fn nothing_is_believed_that_the_key_has_not_signed() {
    let (publisher, installed) = (Publisher::new(), Installed::at("bin/coditect"));
    let unsigned = "The update is not signed by CODITECT";
    publisher.release("9.1.0", NOVEMBER);
    let manifest = fs::read_to_string(publisher.manifest()).unwrap();
    fs::write(publisher.manifest(), manifest.replace("9.1.0", "9.2.0")).unwrap();
    refused(&installed, &publisher, 2, unsigned);
    // A valid signature by another key.
    publisher.release("9.1.0", NOVEMBER);
    new_key(publisher.manifest().parent().unwrap(), "other");
    publisher.sign("other");
    refused(&installed, &publisher, 2, unsigned);
    // A signature whose comment was changed, an empty one, and none at all.
    publisher.release("9.1.0", NOVEMBER);
    let signature = publisher.file("manifest.json.minisig");
    let good = fs::read_to_string(&signature).unwrap();
    fs::write(&signature, good.replace("timestamp:", "timestamp:1")).unwrap();
    refused(&installed, &publisher, 2, unsigned);
    fs::write(&signature, "").unwrap();
    refused(&installed, &publisher, 2, unsigned);
    fs::remove_file(&signature).unwrap();
    refused(&installed, &publisher, 2, "The update cannot be fetched from http://127.0.0.1");
    fs::write(&signature, good).unwrap();
    assert_eq!(installed.run(&publisher, &["self", "update"]).code, 0, "the same, as it was signed");
}

#[test]
fn a_program_that_is_not_the_signed_one_is_not_installed() {
    let (publisher, installed) = (Publisher::new(), Installed::at("bin/coditect"));
    publisher.release("9.1.0", NOVEMBER);
    let good = fs::read(publisher.program()).unwrap();
    for (wrong, sentence) in [
        ([&good[..good.len() - 1], b"#"].concat(), "What was fetched is not the file that was signed"),
        (good[1..].to_vec(), "What was fetched is not the file that was signed"),
        ([&good[..], b"#"].concat(), "What is at http://127.0.0.1"),
    ] {
        fs::write(publisher.program(), wrong).unwrap();
        refused(&installed, &publisher, 2, sentence);
    }
}

#[test]
fn an_older_version_is_never_installed() {
    let (publisher, installed) = (Publisher::new(), Installed::at("bin/coditect"));
    publisher.release("0.0.9", NOVEMBER);
    refused(
        &installed,
        &publisher,
        1,
        "The newest coditect is 0.0.9, and this is 0.1.0; an older one is never installed.",
    );
}

#[test]
fn an_older_message_is_not_believed_once_a_later_one_was_seen() {
    let (publisher, installed) = (Publisher::new(), Installed::at("bin/coditect"));
    publisher.release("9.2.0", DECEMBER);
    assert_eq!(installed.run(&publisher, &["self", "update", "--check"]).code, 1);
    publisher.release("9.1.0", NOVEMBER);
    refused(
        &installed,
        &publisher,
        2,
        "The update server offers coditect 9.1.0 as the newest, in a message from before the one",
    );
    // A later manifest withdraws 9.2.0: the holder of the signing key may do that.
    publisher.release("9.1.0", "2026-12-02T00:00:00Z");
    assert_eq!(installed.run(&publisher, &["self", "update"]).code, 0);
}

#[test]
fn what_is_signed_for_something_else_or_too_old_is_no_manifest() {
    let (publisher, installed) = (Publisher::new(), Installed::at("bin/coditect"));
    publisher.release("9.1.0", NOVEMBER);
    let good = publisher.announced();
    for (field, value, says) in [
        (
            "purpose",
            "coditect-sums".into(),
            "What is said about the update cannot be read: it was signed for another purpose",
        ),
        ("purpose", Value::Null, "What is said about the update cannot be read"),
        (
            "expires_at",
            "2026-01-01T00:00:00Z".into(),
            "What is said about the update was to be believed until {time}, so it is not used",
        ),
        ("expires_at", Value::Null, "What is said about the update cannot be read"),
    ] {
        let mut other = good.clone();
        other[field] = value;
        publisher.announce(&other);
        refused(&installed, &publisher, 2, says);
    }
    publisher.announce(&good);
    assert_eq!(installed.run(&publisher, &["self", "update"]).code, 0);
}

#[test]
fn a_program_that_does_not_start_is_not_installed() {
    let (publisher, installed) = (Publisher::new(), Installed::at("bin/coditect"));
    for (program, cause) in [
        (&b"#!/bin/sh\nexit 3\n"[..], "exit status: 3"),
        (b"\x7fELF of another machine", "Exec format error"),
        (&saying("9.0.9"), "it says that it is \"coditect 9.0.9\""),
    ] {
        publisher.release_program("9.1.0", NOVEMBER, program);
        refused(&installed, &publisher, 2, &format!("The new coditect does not start on this machine ({cause}"));
    }
}

#[test]
fn a_folder_that_this_user_may_not_write_to_names_the_command_that_may() {
    let (publisher, installed) = (Publisher::new(), Installed::at("bin/coditect"));
    publisher.release("9.1.0", NOVEMBER);
    let folder = installed.program.parent().unwrap();
    let mut command = installed.command(&publisher, &["self", "update"]);
    if rustix::process::geteuid().is_root() {
        // Root may write everything, so another user tries.
        for open in [folder, installed.machine.folder(), &installed.program] {
            fs::set_permissions(open, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let home = installed.machine.home();
        for path in fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().path()).chain([home]) {
            chown(path, Some(65534), Some(65534)).unwrap();
        }
        let mut other = Command::new("setpriv");
        other
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&installed.program)
            .args(["self", "update"]);
        installed.machine.surround(&mut other);
        publisher.surround(&mut other);
        // Where coverage is measured, this user cannot write the counts, and the program would report that.
        other.env("LLVM_PROFILE_FILE", "/dev/null");
        command = other;
    } else {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o555)).unwrap();
    }
    let printed = installed.replace(installed.machine.printed(command.output().unwrap()));
    let says = "error: This user may not replace {program}.\nhint: `sudo {program} self update` may.\n";
    expect(&printed, 1, "", says);
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!((installed.version().as_str(), installed.beside().len()), (HERE, 0));
}

#[test]
fn a_package_managers_program_is_left_to_it() {
    let publisher = Publisher::new();
    publisher.release("9.1.0", NOVEMBER);
    let installed = Installed::at("Cellar/coditect/0.1.0/bin/coditect");
    let says = "error: This coditect was installed by Homebrew, which also updates it.\nhint: `brew upgrade coditect` updates it.\n";
    expect(&installed.run(&publisher, &["self", "update"]), 1, "", says);
    assert_eq!(installed.version(), HERE);
}

#[test]
fn a_build_without_a_key_is_updated_the_way_it_was_installed() {
    let (publisher, installed) = (Publisher::new(), Installed::at("bin/coditect"));
    let mut command = installed.command(&publisher, &["self", "update"]);
    let printed = installed.machine.printed(command.env_remove("CODITECT_UPDATE_KEY").output().unwrap());
    let says = "error: This coditect was built without the key that updates are checked with.\n\
        hint: Update it the way it was installed.\n";
    expect(&printed, 1, "", says);
    // With `--check`, exit code 1 means that there is a newer version, so this failure has exit code 2.
    let mut command = installed.command(&publisher, &["self", "update", "--check"]);
    let printed = installed.machine.printed(command.env_remove("CODITECT_UPDATE_KEY").output().unwrap());
    expect(&printed, 2, "", says);
    assert!(!publisher.was_asked());
}

#[test]
fn updates_come_over_encrypted_connections_alone() {
    let (publisher, installed) = (Publisher::new(), Installed::at("bin/coditect"));
    let mut command = installed.command(&publisher, &["self", "update"]);
    command.env("CODITECT_UPDATE_URL", "http://download.example/manifest.json");
    let printed = installed.machine.printed(command.output().unwrap());
    assert_eq!(printed.code, 2);
    assert!(printed.stderr.contains("\"http://download.example/manifest.json\" cannot be used"), "{printed:?}");
}

#[test]
fn killed_while_it_fetches_the_old_one_still_runs() {
    let (publisher, installed) = (Publisher::new(), Installed::at("bin/coditect"));
    publisher.release("9.1.0", NOVEMBER);
    publisher.hold("coditect-next", 10);
    let mut process = installed.command(&publisher, &["self", "update"]).stderr(Stdio::null()).spawn().unwrap();
    publisher.wait_for("coditect-next");
    let busy = installed.run(&publisher, &["self", "update"]);
    assert!(busy.stderr.starts_with("error: Another update of this coditect is at work."), "{busy:?}");
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!((installed.version().as_str(), installed.beside().len()), (HERE, 1), "what was fetched is still there");
    publisher.let_go();
    assert_eq!(installed.run(&publisher, &["self", "update"]).code, 0);
    assert_eq!((installed.version().as_str(), installed.beside().len()), ("coditect 9.1.0", 0), "and is cleaned up");
}

#[test]
fn killed_before_the_last_step_the_old_one_still_runs() {
    let (publisher, installed) = (Publisher::new(), Installed::at("bin/coditect"));
    let started = installed.machine.folder().join("started");
    let waits = format!("#!/bin/sh\necho $$ >{0}.new; mv {0}.new {0}; exec sleep 600\n", started.display());
    publisher.release_program("9.1.0", NOVEMBER, waits.as_bytes());
    let mut process = installed.command(&publisher, &["self", "update"]).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !started.exists() {
        assert!(Instant::now() < deadline, "the new one is never started");
        thread::sleep(Duration::from_millis(5));
    }
    process.kill().unwrap();
    process.wait().unwrap();
    let new_one = fs::read_to_string(&started).unwrap();
    assert!(Command::new("kill").arg(new_one.trim()).status().unwrap().success());
    assert_eq!((installed.version().as_str(), installed.beside().len()), (HERE, 1));
    publisher.release("9.1.0", DECEMBER);
    assert_eq!(installed.run(&publisher, &["self", "update"]).code, 0);
    assert_eq!((installed.version().as_str(), installed.beside().len()), ("coditect 9.1.0", 0));
}

/// Returns the output at a terminal of a command line that updates from this publisher.
fn at_terminal(machine: &Machine, publisher: &Publisher, arguments: &str, variables: &[(&str, &str)]) -> String {
    let mut command = crate::manners::at_terminal(machine, arguments);
    publisher.surround(&mut command);
    command.env("NO_COLOR", "1").envs(variables.iter().copied());
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

#[test]
fn a_person_is_told_once_a_day() {
    let (publisher, machine) = (Publisher::new(), Machine::new("https://cloud.example"));
    publisher.release("9.1.0", NOVEMBER);
    let mut check = machine.command(&["self", "update", "--check"]);
    publisher.surround(&mut check);
    assert_eq!(check.output().unwrap().status.code(), Some(1));
    let news = "coditect 9.1.0 was released; this is 0.1.0. `coditect self update` installs it.";
    assert!(!at_terminal(&machine, &publisher, "config list", &[]).contains(news), "he was just told");

    let yesterday = || {
        let file = machine.home().join("update.json");
        let mut memory: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        memory["told_at"] = "2026-01-01T00:00:00Z".into();
        fs::write(file, memory.to_string()).unwrap();
    };
    yesterday();
    for (arguments, variables) in
        [("config list --quiet", &[][..]), ("config list --json", &[]), ("config list", &[("CI", "true")])]
    {
        assert!(!at_terminal(&machine, &publisher, arguments, variables).contains(news), "{arguments} {variables:?}");
    }
    let mut piped = machine.command(&["config", "list"]);
    publisher.surround(&mut piped);
    assert!(piped.output().unwrap().stderr.is_empty(), "nobody reads a pipe");
    assert!(at_terminal(&machine, &publisher, "config list", &[]).contains(news));
    assert!(!at_terminal(&machine, &publisher, "config list", &[]).contains(news), "once");
    yesterday();
    assert!(at_terminal(&machine, &publisher, "config list", &[]).contains(news), "a day");
}

#[test]
fn a_command_that_went_to_the_network_has_somebody_ask_afterwards() {
    let (publisher, cloud) = (Publisher::new(), Cloud::start());
    publisher.release("9.1.0", NOVEMBER);
    let machine = Machine::new(&cloud.url);
    let activate = format!("activate {}", machine.key);
    at_terminal(&machine, &publisher, "config list", &[]);
    at_terminal(&machine, &publisher, &activate, &[("CI", "1")]);
    at_terminal(&machine, &publisher, &format!("{activate} --quiet"), &[]);
    assert!(!publisher.was_asked(), "without a network, in CI, and where nobody listens");
    // The server holds its answer back, and the command does not wait for it.
    publisher.hold("manifest.json", 10);
    assert!(at_terminal(&machine, &publisher, &activate, &[]).contains("Activated"));
    publisher.wait_for("manifest.json");
    publisher.let_go();
    at_terminal(&machine, &publisher, &activate, &[]);
    assert!(!publisher.was_asked(), "once a day");
}
