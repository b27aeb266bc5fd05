//! `coditect sync keys`, as far as it needs no cloud: exports that stay readable for ever, and sentences for every failure.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::Value;

use crate::machine::{Machine, Printed, expect};

const NOWHERE: &str = "http://127.0.0.1:1";
pub(crate) const PASSPHRASE: &str = "correct horse battery";

/// Two exports of version 1. Every later version must be able to open them.
pub(crate) const EXPORT: &str = "-----BEGIN CODITECT TENANT KEY-----
key-id: 7a399020da8f2b36

AQAAAQADAAAAAQAAAAImFs5mcPjdaNfxgj0hDYewX1JjX2O/tNAbIYQD7XPPjTdT
U83COT1XZbign4Ex419uq3zYA1vzdK8hBckxY+lEyCrY2S1rFFAPVRSaxUhAa1wQ
FUujWXmczfWj
-----END CODITECT TENANT KEY-----
";
pub(crate) const OTHER: &str = "-----BEGIN CODITECT TENANT KEY-----
key-id: bb18295e2219df69

AQAAAQADAAAAAQAAABXOow7swleHAPZ73xS4iCdJ31kB4aHgCT1eH9cls8yENpyb
40s49ULbSSLb0DJkxaXhTyPKy9saZMeOaZk5sHve8XGXw5LmMzjXQSDAG6A8yQwa
2s4+F789gqXL
-----END CODITECT TENANT KEY-----
";

const TAKEN: &str =
    "The key 7a399020da8f2b36 is on this machine now.\nfingerprint   7a39 9020 da8f 2b36 2f06 a9d2 3b3d 7bdc\n";

/// Imports an export that is a file in the machine's folder.
fn import(machine: &Machine, export: &str, passphrase: &str) -> Printed {
    let file = machine.home().join("../export");
    fs::write(&file, export).unwrap();
    let arguments = ["sync", "keys", "import", file.to_str().unwrap(), "--passphrase-file", "-"];
    machine.coditect_reading(&arguments, passphrase)
}

#[test]
fn a_key_is_not_made_by_accident() {
    let machine = Machine::new(NOWHERE);
    let printed = machine.coditect(&["--json", "sync", "keys", "init"]);
    assert_eq!(printed.code, 1);
    let object: Value = serde_json::from_str(&printed.stdout).unwrap();
    assert_eq!(object["code"], "confirmation_needed");
    assert!(object["detail"].as_str().unwrap().contains("unreadable for ever"));
    assert!(object["hint"].as_str().unwrap().contains("--yes"));
    // As long as the cloud cannot be reached, another machine may already have made a key.
    assert_ne!(machine.coditect(&["sync", "keys", "init", "--yes"]).code, 0);
    assert!(!machine.home().join("tenant-key").exists());
}

#[test]
fn an_export_brings_the_key_and_only_with_its_passphrase() {
    let machine = Machine::new(NOWHERE);
    expect(
        &import(&machine, EXPORT, "correct horse\n"),
        1,
        "",
        "error: The passphrase is not the one of this export.\nhint: `coditect sync keys import FILE` asks for it again.\n",
    );
    assert!(!machine.home().join("tenant-key").exists());
    let chatty = format!("Hi, here it is:\r\n\r\n{}bye", EXPORT.replace('\n', "  \r\n> ").replace("> ", "  "));
    expect(&import(&machine, &chatty, &format!("{PASSPHRASE}\r\n")), 0, TAKEN, "");
    expect(
        &import(&machine, EXPORT, PASSPHRASE),
        0,
        &TAKEN.replace("is on this machine now", "was on this machine already"),
        "",
    );
    let kept = fs::metadata(machine.home().join("tenant-key")).unwrap();
    assert_eq!(kept.mode() & 0o777, 0o600);
    expect(
        &machine.coditect(&["sync", "keys", "status"]),
        0,
        "key here      7a399020da8f2b36\nfingerprint   7a39 9020 da8f 2b36 2f06 a9d2 3b3d 7bdc\ncloud knows   it did not say\n",
        "",
    );
}

#[test]
fn what_is_no_export_is_told_apart() {
    let machine = Machine::new(NOWHERE);
    let another = "hint: `coditect sync keys export FILE` on a machine that has the key writes another one.\n";
    expect(
        &import(&machine, "hello", PASSPHRASE),
        2,
        "",
        &format!("error: This is no exported tenant key.\n{another}"),
    );
    let damaged =
        format!("error: This exported tenant key is damaged: characters are missing, or were changed.\n{another}");
    expect(&import(&machine, &EXPORT.replace("U83C", "U83D"), PASSPHRASE), 2, "", &damaged);
    expect(&import(&machine, &EXPORT.replace("FUujWXmczfWj\n", ""), PASSPHRASE), 2, "", &damaged);
    expect(
        &import(&machine, &EXPORT.replace("AQAAAQAD", "AgAAAQAD"), PASSPHRASE),
        2,
        "",
        "error: This tenant key was exported by a newer version of this program.\nhint: Update coditect; `coditect --version` \
         prints the version that is installed.\n",
    );
    let both = ["sync", "keys", "import", "-", "--passphrase-file", "-"];
    assert_eq!(machine.coditect_reading(&both, EXPORT).code, 64);
    assert_eq!(machine.coditect(&["sync", "keys", "import", "/nowhere/export"]).code, 2);
}

#[test]
fn another_key_does_not_take_the_place_of_one_unasked() {
    let machine = Machine::new(NOWHERE);
    assert_eq!(import(&machine, EXPORT, PASSPHRASE).code, 0);
    expect(
        &import(&machine, OTHER, PASSPHRASE),
        1,
        "",
        "error: This machine has the key 7a399020da8f2b36, this is bb18295e2219df69, and the cloud doesn't say which one your \
         organization encrypts with.\nhint: `coditect sync keys import FILE` again when the cloud can be asked; `coditect sync \
         keys status` shows both.\n",
    );
    let printed = machine.coditect(&["sync", "keys", "init", "--yes"]);
    assert_eq!(
        (printed.code, &*printed.stderr),
        (
            1,
            "error: This machine has the tenant key 7a399020da8f2b36 already.\nhint: `coditect sync keys export FILE` hands it on to another machine.\n"
        )
    );
}

#[test]
fn an_export_is_written_for_its_owner_alone_and_over_nothing() {
    let machine = Machine::new(NOWHERE);
    let file = machine.home().join("../written");
    let path = file.to_str().unwrap();
    let export = |passphrase: &str| {
        machine.coditect_reading(&["sync", "keys", "export", path, "--passphrase-file", "-"], passphrase)
    };
    let none = export(PASSPHRASE);
    assert_eq!((none.code, file.exists()), (1, false), "{none:?}");
    assert!(none.stderr.contains("There is no tenant key on this machine"), "{none:?}");

    assert_eq!(import(&machine, EXPORT, PASSPHRASE).code, 0);
    let short = export("short");
    assert_eq!((short.code, file.exists()), (64, false), "{short:?}");
    assert_eq!(export("another passphrase\n").code, 0);
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    let again = export("another passphrase");
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("is there already, and is not overwritten"), "{again:?}");

    let other = Machine::new(NOWHERE);
    expect(&import(&other, &fs::read_to_string(&file).unwrap(), "another passphrase"), 0, TAKEN, "");
    let object =
        machine.coditect_reading(&["--json", "sync", "keys", "export", "--passphrase-file", "-"], "another passphrase");
    let object: Value = serde_json::from_str(&object.stdout).unwrap();
    assert_eq!(object["key_id"], "7a399020da8f2b36");
    assert_eq!(import(&Machine::new(NOWHERE), object["export"].as_str().unwrap(), "another passphrase").code, 0);
}

#[test]
fn a_key_that_cannot_be_opened_stops_what_would_go_out_in_clear() {
    let machine = Machine::activated(&crate::cloud::Cloud::start().url);
    assert_eq!(import(&machine, EXPORT, PASSPHRASE).code, 0);
    fs::write(machine.home().join("tenant-key"), "x").unwrap();
    assert_eq!(machine.coditect(&["config", "set", "sync", "on"]).code, 0);
    assert_eq!(machine.coditect(&["decision", "add", "Use Postgres"]).code, 0);
    let printed = machine.coditect(&["sync", "push"]);
    assert_eq!(printed.code, 2);
    assert!(printed.stderr.contains("The tenant key in {home}/tenant-key was changed"), "{printed:?}");
    assert_eq!(import(&machine, EXPORT, PASSPHRASE).code, 0, "and the hint helps");
}

#[test]
fn a_passphrase_is_the_same_in_each_normal_form() {
    const COMPOSED: &str = "le caf\u{e9} est tr\u{e8}s chaud";
    const DECOMPOSED: &str = "le cafe\u{301} est tre\u{300}s chaud";
    let machine = Machine::new(NOWHERE);
    expect(&import(&machine, EXPORT, &format!("\u{feff}{PASSPHRASE}\n")), 0, TAKEN, "");
    for (number, passphrase) in [COMPOSED, DECOMPOSED].into_iter().enumerate() {
        let file = machine.folder().join(format!("export-{number}"));
        let export = ["sync", "keys", "export", file.to_str().unwrap(), "--passphrase-file", "-"];
        let printed = machine.coditect_reading(&export, passphrase);
        assert_eq!(printed.code, 0, "{printed:?}");
        let export = fs::read_to_string(file).unwrap();
        for form in [COMPOSED, DECOMPOSED] {
            let printed = import(&machine, &export, form);
            assert_eq!(printed.code, 0, "{printed:?}");
        }
        assert_eq!(import(&machine, &export, &COMPOSED.replace('\u{e9}', "e")).code, 1);
    }
    // Ten characters in composed form; thirteen as some keyboards type them.
    for short in ["caf\u{e9} gr\u{fc}\u{df}e", "cafe\u{301} gru\u{308}\u{df}e"] {
        let file = machine.folder().join("short");
        let export = ["sync", "keys", "export", file.to_str().unwrap(), "--passphrase-file", "-"];
        let printed = machine.coditect_reading(&export, short);
        assert!(printed.code == 64 && !file.exists(), "{short}: {printed:?}");
    }
}
