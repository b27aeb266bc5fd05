//! Secrets in a real keychain: GNOME's, on a D-Bus of the test's own.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::cloud::Cloud;
use crate::machine::{Machine, Printed, expect, files};

const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>"#;

/// A desktop session, as far as secrets are concerned. It ends with this value.
struct Desktop {
    folder: TempDir,
    bus: Child,
    keyring: Child,
    address: String,
}

impl Desktop {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The bus starts no service on demand.
        let config = folder.path().join("bus.conf");
        fs::write(&config, BUS).unwrap();
        let mut bus = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "dbus-daemon"])
            .arg(format!("--config-file={}", config.display()))
            .args(["--nofork", "--print-address"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("scripts/install installs dbus-daemon");
        let mut address = String::new();
        BufReader::new(bus.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let address = address.trim().to_owned();
        let keyring = Self::unlock(&folder, &address);
        Self { folder, bus, keyring, address }
    }

    /// Starts the keychain, and unlocks it as the login does.
    fn unlock(folder: &TempDir, address: &str) -> Child {
        let mut keyring = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"])
            .env("HOME", folder.path())
            .env("XDG_DATA_HOME", folder.path())
            .env("XDG_RUNTIME_DIR", folder.path())
            .env("DBUS_SESSION_BUS_ADDRESS", address)
            .env_remove("DISPLAY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("scripts/install installs gnome-keyring");
        keyring.stdin.take().unwrap().write_all(b"the person's password").unwrap();
        // It prints when it is ready.
        BufReader::new(keyring.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        keyring
    }

    fn run(&self, machine: &Machine, arguments: &[&str], input: &str) -> Printed {
        let mut command = machine.command(arguments);
        command.env("DBUS_SESSION_BUS_ADDRESS", &self.address).env_remove("CODITECT_KEYCHAIN");
        command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
        machine.printed(process.wait_with_output().unwrap())
    }

    fn lock(&self) {
        let locked = Command::new("dbus-send")
            .args(["--session", "--print-reply", "--dest=org.freedesktop.secrets", "/org/freedesktop/secrets"])
            .args(["org.freedesktop.Secret.Service.Lock", "array:objpath:/org/freedesktop/secrets/collection/login"])
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .output()
            .expect("scripts/install installs dbus-send");
        assert!(locked.status.success(), "{locked:?}");
    }

    /// Stops the keychain's own program; its data stays.
    fn stop_keyring(&mut self) {
        self.keyring.kill().unwrap();
        self.keyring.wait().unwrap();
    }

    fn start_keyring(&mut self) {
        self.keyring = Self::unlock(&self.folder, &self.address);
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        let _ = self.keyring.kill();
        let _ = self.keyring.wait();
        let _ = self.bus.kill();
        let _ = self.bus.wait();
    }
}

/// Returns the name of the secret under which a file is sealed.
fn place(machine: &Machine, file: &str) -> &'static str {
    match fs::read(machine.home().join(file)).unwrap()[8] {
        1 => "home",
        2 => "keychain",
        other => panic!("{file} is sealed under {other}"),
    }
}

#[test]
fn the_key_is_sealed_under_the_keychains_secret_and_a_stored_answer_asks_it_nothing() {
    let cloud = Cloud::start();
    let machine = Machine::new(&cloud.url);
    let mut desktop = Desktop::start();
    assert_eq!(desktop.run(&machine, &["activate"], &machine.key.to_string()).code, 0);
    assert_eq!((place(&machine, "license"), place(&machine, "validation")), ("keychain", "home"));
    assert_eq!(desktop.run(&machine, &["run", "true"], "").code, 0);
    let doctor = desktop.run(&machine, &["doctor"], "");
    assert!(doctor.stdout.contains("  can be used\n"), "{doctor:?}");

    // Without the keychain the stored answer is used, and commands that need the key report that it is missing.
    desktop.stop_keyring();
    assert_eq!(desktop.run(&machine, &["validate"], "").code, 0);
    let missing = desktop.run(&machine, &["run", "true"], "");
    assert_eq!(missing.code, 2, "{missing:?}");
    assert!(missing.stderr.starts_with("error: {home}/license cannot be opened: there is no keychain."), "{missing:?}");
    assert!(desktop.run(&machine, &["status"], "").stdout.contains("not known, because there is no keychain"));
    // The key is not lost either.
    desktop.start_keyring();
    assert_eq!(desktop.run(&machine, &["run", "true"], "").code, 0);
    let key = machine.key.to_string();
    for path in files(&machine.home()) {
        let content = fs::read(&path).unwrap();
        assert!(!content.windows(key.len()).any(|part| part == key.as_bytes()), "{}", path.display());
    }
}

#[test]
fn a_locked_keychain_is_said_to_be_locked_and_loses_nothing() {
    let cloud = Cloud::start();
    let (machine, other) = (Machine::new(&cloud.url), Machine::new(&cloud.url));
    let desktop = Desktop::start();
    assert_eq!(desktop.run(&machine, &["activate"], &machine.key.to_string()).code, 0);
    desktop.lock();
    expect(
        &desktop.run(&machine, &["run", "true"], ""),
        2,
        "",
        "error: {home}/license cannot be opened: the keychain is locked.\nhint: Unlock your keychain and try again; `coditect \
         config set keychain off` does without it then.\n",
    );
    assert_eq!(place(&machine, "license"), "keychain");
    // A machine that is set up meanwhile uses no keychain, and reports that.
    let begun = desktop.run(&other, &["activate"], &other.key.to_string());
    assert_eq!((begun.code, place(&other, "license")), (0, "home"));
    assert_eq!(begun.stderr, "The home folder keeps your secrets, sealed, because the keychain is locked.\n");
}

#[test]
fn secrets_move_into_the_keychain_and_out_of_it() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let desktop = Desktop::start();
    assert_eq!(place(&machine, "license"), "home", "it was activated without");
    assert_eq!(desktop.run(&machine, &["run", "true"], "").code, 0, "and is used where it is");
    expect(
        &desktop.run(&machine, &["config", "set", "keychain", "on"], ""),
        0,
        "keychain = on\nYour secrets are sealed under the keychain's secret.\n",
        "",
    );
    assert_eq!(place(&machine, "license"), "keychain");
    // Turned off for one command, the keychain is neither asked nor lost.
    let off = machine.coditect(&["run", "true"]);
    assert_eq!(off.code, 2);
    assert!(off.stderr.contains("the keychain is turned off by CODITECT_KEYCHAIN"), "{off:?}");
    let kept = machine.coditect(&["config", "set", "keychain", "off"]);
    assert_eq!(
        (kept.code, place(&machine, "license")),
        (2, "keychain"),
        "what cannot be opened is not moved: {kept:?}"
    );

    expect(
        &desktop.run(&machine, &["config", "set", "keychain", "off"], ""),
        0,
        "keychain = off\nThe home folder keeps your secrets, sealed.\n",
        "",
    );
    assert_eq!(place(&machine, "license"), "home");
    assert!(!machine.home().join("keychain").exists());
    assert_eq!(machine.coditect(&["run", "true"]).code, 0, "without a keychain");
    // And it stays out.
    assert_eq!(desktop.run(&machine, &["activate"], &machine.key.to_string()).code, 0);
    assert_eq!(place(&machine, "license"), "home");
}

#[test]
fn two_at_once_make_one_secret() {
    let cloud = Cloud::start();
    let machine = Machine::new(&cloud.url);
    let desktop = Desktop::start();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(desktop.run(&machine, &["activate"], &machine.key.to_string()).code, 0));
        }
    });
    assert_eq!(place(&machine, "license"), "keychain");
    assert_eq!(desktop.run(&machine, &["run", "true"], "").code, 0);
}

#[test]
fn a_keychain_that_has_forgotten_is_helped_by_activating_again() {
    let cloud = Cloud::start();
    let machine = Machine::new(&cloud.url);
    let desktop = Desktop::start();
    assert_eq!(desktop.run(&machine, &["activate"], &machine.key.to_string()).code, 0);
    drop(desktop);
    let desktop = Desktop::start();
    let gone = desktop.run(&machine, &["run", "true"], "");
    assert_eq!(gone.code, 2);
    assert!(gone.stderr.contains("the keychain no longer has it"), "{gone:?}");
    assert_eq!(desktop.run(&machine, &["activate"], &machine.key.to_string()).code, 0, "and the hint helps");
    assert_eq!(desktop.run(&machine, &["run", "true"], "").code, 0);
}
