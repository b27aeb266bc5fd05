//! Files on disk: sealed, private, and of no use when copied or changed.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use coditect::{Error, HardwareId};

use crate::cloud::Cloud;
use crate::machine::{Machine, Told, expect, files};

fn chmod(path: &std::path::Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_key_is_never_in_clear() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    assert_eq!(machine.coditect(&["run", "true"]).code, 0);
    let key = machine.key.to_string();
    let body = key.split('-').nth(2).unwrap();
    let files = files(&machine.home());
    let names: Vec<_> = files.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    let all = [
        "clock",
        "clock.lock",
        "config.json",
        "config.lock",
        "directory",
        "holders",
        "instance",
        "instance.lock",
        "license",
        "seat",
        "seats",
        "seats.lock",
        "secret",
        "validation",
        "vault.lock",
    ];
    assert_eq!(names, all);
    for path in files {
        let content = fs::read(&path).unwrap();
        for secret in [body, "eyJ"] {
            let found = content.windows(secret.len()).any(|part| part.eq_ignore_ascii_case(secret.as_bytes()));
            assert!(!found, "{secret} is in {}", path.display());
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
    assert_eq!(fs::metadata(machine.home()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn what_others_can_read_is_not_used() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    chmod(&machine.home().join("license"), 0o644);
    expect(
        &machine.coditect(&["validate"]),
        2,
        "",
        "error: {home}/license can be read or changed by others (mode 644), so it is not used.\nhint: `chmod 600 \
         {home}/license`, and if the machine has other users, ask for a new key.\n",
    );
    chmod(&machine.home().join("license"), 0o600);
    chmod(&machine.home(), 0o755);
    expect(
        &machine.coditect(&["run", "true"]),
        2,
        "",
        "error: {home} can be read or changed by others (mode 755), so it is not used.\nhint: `chmod 700 {home}`, and if the \
         machine has other users, ask for a new key.\n",
    );
    chmod(&machine.home(), 0o700);
    assert_eq!(machine.coditect(&["validate"]).code, 0, "and the hint helps");
}

#[test]
fn a_changed_answer_is_refused_and_fetched_anew() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    for change in ["flip", "swap", "empty"] {
        let path = machine.home().join("validation");
        match change {
            "flip" => {
                let mut content = fs::read(&path).unwrap();
                *content.last_mut().unwrap() ^= 1;
                fs::write(&path, content).unwrap();
            }
            "swap" => fs::write(&path, fs::read(machine.home().join("license")).unwrap()).unwrap(),
            _ => fs::write(&path, "").unwrap(),
        }
        cloud.forget();
        let printed = machine.coditect(&["validate"]);
        assert_eq!(printed.code, 0, "{change}: {printed:?}");
        assert_eq!(
            printed.stderr,
            "What was stored is not used. {home}/validation was changed, or comes from another machine, and cannot be opened. \
             The cloud is asked again.\n",
            "{change}"
        );
        assert_eq!(cloud.asked("validate").len(), 1, "{change}");
        assert_eq!(machine.coditect(&["validate"]).stderr, "", "the new one is good");
    }
}

#[test]
fn a_changed_answer_does_not_serve_offline() {
    let mut cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    cloud.stop();
    fs::write(machine.home().join("validation"), "coditect").unwrap();
    assert_eq!(machine.coditect(&["validate"]).code, 1);
}

#[test]
fn a_copied_home_opens_on_no_other_machine() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let other = machine.client().hardware_id(HardwareId::of(b"another machine")).build().unwrap();
    let error = other.validate().unwrap_err();
    assert!(matches!(error, Error::Sealed { .. }), "{error}");
    assert_eq!(error.hint(), "`coditect activate` stores a license key anew, `coditect login` signs in again.");
    other.activate(&machine.key).unwrap();
    assert!(other.validate().unwrap().is_valid(), "and the hint helps");
}

#[test]
fn a_lost_secret_is_helped_by_activating_again() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    fs::remove_file(machine.home().join("secret")).unwrap();
    assert_eq!(machine.coditect(&["validate"]).code, 2);
    let told = Told::default();
    machine.client().on_notice(told.listener()).build().unwrap().activate(&machine.key).unwrap();
    expect(&machine.coditect(&["config", "get", "cloud-url"]), 0, "{cloud}\n", "");
    assert_eq!(machine.coditect(&["validate"]).code, 0);
    assert_eq!(told.take(), Vec::<String>::new());
}

#[test]
fn what_cannot_be_stored_serves_once() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    // A folder in the file's place cannot be replaced by a file.
    fs::remove_file(machine.home().join("directory")).unwrap();
    fs::create_dir(machine.home().join("directory")).unwrap();
    fs::write(machine.home().join("directory/x"), "").unwrap();
    let printed = machine.coditect(&["validate"]);
    assert_eq!(printed.code, 2, "{printed:?}");
    assert!(printed.stderr.contains("{home}/directory"), "{printed:?}");
}
