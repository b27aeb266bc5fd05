//! A developer's machine: a home of its own, and the real binary. Its cloud is at any given address.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, LazyLock, Mutex};

use coditect::{HardwareId, LicenseClient, LicenseClientBuilder, LicenseKey, Uptime};
use jiff::{SignedDuration, Timestamp};
use protocol::key::{Brand, KeyType};
use tempfile::TempDir;

pub(crate) struct Machine {
    folder: TempDir,
    cloud_url: String,
    pub(crate) hardware_id: HardwareId,
    pub(crate) key: LicenseKey,
    /// Additional environment variables.
    variables: Vec<(&'static str, OsString)>,
}

/// Exit code and output of the binary, with parts that differ between runs replaced.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Printed {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Machine {
    /// Makes a fresh machine, configured for this cloud.
    pub(crate) fn new(cloud_url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = LicenseKey::generate(Brand::Coditect, KeyType::Team);
        let hardware_id = HardwareId::of(folder.path().to_str().unwrap().as_bytes());
        let machine = Self { folder, cloud_url: cloud_url.to_owned(), hardware_id, key, variables: Vec::new() };
        assert_eq!(machine.coditect(&["config", "set", "cloud-url", cloud_url, "--offline"]).code, 0);
        machine
    }

    /// Makes a machine with its key activated.
    pub(crate) fn activated(cloud_url: &str) -> Self {
        let machine = Self::new(cloud_url);
        let printed = machine.coditect(&["activate", &machine.key.to_string()]);
        assert_eq!(printed.code, 0, "{printed:?}");
        machine
    }

    /// Makes a machine with its key activated and sync turned on.
    pub(crate) fn syncing(cloud_url: &str) -> Self {
        let machine = Self::activated(cloud_url);
        assert_eq!(machine.coditect(&["config", "set", "sync", "on"]).code, 0);
        machine
    }

    /// Adds a variable to the machine's environment.
    pub(crate) fn with(mut self, variable: &'static str, value: impl Into<OsString>) -> Self {
        self.variables.push((variable, value.into()));
        self
    }

    /// Makes the same machine with a copy of its home.
    pub(crate) fn twin(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&self.home(), folder.path());
        Self {
            folder,
            cloud_url: self.cloud_url.clone(),
            hardware_id: self.hardware_id.clone(),
            key: self.key.clone(),
            variables: self.variables.clone(),
        }
    }

    /// Returns the folder that contains its home.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Returns a command of the binary with these arguments, in an environment without the variables of the test run.
    pub(crate) fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coditect"));
        self.surround(command.args(arguments));
        command
    }

    /// Gives a command of any kind an environment without the variables of the test run.
    pub(crate) fn surround(&self, command: &mut Command) {
        command
            .env("CODITECT_HOME", self.home())
            .env("CODITECT_HARDWARE_ID", self.hardware_id.as_str())
            .env_remove("CODITECT_PROFILE")
            .env_remove("CODITECT_LICENSE_KEY")
            .env_remove("TRACEPARENT")
            // Never the keychain of the user who runs the tests.
            .env("CODITECT_KEYCHAIN", "off")
            .env_remove("NO_COLOR")
            .env_remove("CI")
            .env_remove("CLAUDE_CONFIG_DIR")
            .env_remove("CLAUDE_PROJECT_DIR")
            .stdin(Stdio::null());
        for name in ["HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        command.env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
    }

    /// Returns a command at another time, in another time zone: `2026-06-15 12:00:00`, `Europe/Berlin`.
    pub(crate) fn command_at(&self, time: &str, zone: &str, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        // Without an @ before it, time stands still.
        at_time(command.env("TZ", zone), time);
        command
    }

    pub(crate) fn coditect_at(&self, time: &str, zone: &str, arguments: &[&str]) -> Printed {
        self.printed(self.command_at(time, zone, arguments).output().unwrap())
    }

    pub(crate) fn coditect(&self, arguments: &[&str]) -> Printed {
        self.printed(self.command(arguments).output().unwrap())
    }

    /// Returns the number of commands that were used today.
    pub(crate) fn used(&self) -> i64 {
        self.client().build().unwrap().commands_today().unwrap().map_or(0, |today| today.used)
    }

    /// Runs a command with this on standard input.
    pub(crate) fn coditect_reading(&self, arguments: &[&str], input: &str) -> Printed {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        // A command need not read all of it.
        let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
        self.printed(process.wait_with_output().unwrap())
    }

    pub(crate) fn printed(&self, output: Output) -> Printed {
        Printed {
            code: output.status.code().unwrap_or(-1),
            stdout: self.stable(&output.stdout),
            stderr: self.stable(&output.stderr),
        }
    }

    /// Returns a builder of a library client on the same home.
    pub(crate) fn client(&self) -> LicenseClientBuilder {
        LicenseClient::builder().home(self.home()).hardware_id(self.hardware_id.clone()).keychain(false)
    }

    fn stable(&self, text: &[u8]) -> String {
        let text = std::str::from_utf8(text).unwrap();
        let text = text.replace(&self.cloud_url, "{cloud}").replace(self.home().to_str().unwrap(), "{home}");
        let text = text.replace(&self.key.redacted(), "{key}").replace(self.hardware_id.as_str(), "{machine}");
        let quoted = text.split_inclusive(['"', ' ', '\n', '(']).map(|word| {
            let bare = word.trim_end_matches(['"', ' ', '\n', ')', ';', ':', '.', ',']);
            let time = bare.len() >= 20 && bare.parse::<Timestamp>().is_ok();
            if time { word.replace(bare, "{time}") } else { word.to_owned() }
        });
        quoted.collect()
    }
}

/// Copies a folder into another one.
pub(crate) fn copy(from: &Path, into: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, into]).status().unwrap().success());
}

/// Gives a command another wall clock: `+8d`, `2026-06-15 12:00:00`.
pub(crate) fn at_time<'a>(command: &'a mut Command, time: &str) -> &'a mut Command {
    command.env("LD_PRELOAD", &FAKETIME.library).env("FAKETIME_SHARED", &FAKETIME.shared);
    command.env("FAKETIME", time).env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
}

/// libfaketime, and the memory that its processes share. Otherwise each process would create it anew under the name of its
/// process id, and fail where another one of that id was once killed.
struct Faketime {
    library: PathBuf,
    shared: String,
    /// Process that lives as long as this program, and cleans up.
    _keeper: Child,
}

static FAKETIME: LazyLock<Faketime> = LazyLock::new(|| {
    let libraries = fs::read_dir("/usr/lib").unwrap().filter_map(Result::ok);
    let mut libraries = libraries.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    let library = libraries.find(|path| path.exists()).expect("scripts/install installs libfaketime");
    loop {
        let mut keeper = Command::new("sh");
        keeper.args(["-c", "echo \"$FAKETIME_SHARED\"; read line"]).env("LD_PRELOAD", &library).env("FAKETIME", "+0");
        let mut keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut shared = String::new();
        BufReader::new(keeper.stdout.as_mut().unwrap()).read_line(&mut shared).unwrap();
        if !shared.trim().is_empty() {
            return Faketime { library, shared: shared.trim().to_owned(), _keeper: keeper };
        }
        keeper.wait().unwrap();
    }
});

/// Compares, and on a difference prints the output in the form in which a test expects it.
#[track_caller]
pub(crate) fn expect(printed: &Printed, code: i32, stdout: &str, stderr: &str) {
    let (out, err) = (&printed.stdout, &printed.stderr);
    assert!(
        printed.code == code && out == stdout && err == stderr,
        "exit code {}\n--- stdout\n{out}--- stderr\n{err}--- expected exit code {code}\n--- stdout\n{stdout}--- stderr\n{stderr}",
        printed.code
    );
}

/// Returns every file in a home.
pub(crate) fn files(home: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(home).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// A clock and an uptime that a test controls.
#[derive(Clone)]
pub(crate) struct Hands(Arc<Mutex<Time>>);

struct Time {
    shown: Timestamp,
    start: u32,
    running: SignedDuration,
}

impl Hands {
    /// Makes a clock that shows the real time.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Time { shown: Timestamp::now(), start: 1, running: SignedDuration::ZERO })))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.lock().unwrap().shown
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, time: SignedDuration) {
        let mut now = self.0.lock().unwrap();
        now.shown += time;
        now.running += time;
    }

    /// Sets the clock, as a user would.
    pub(crate) fn set(&self, by: SignedDuration) {
        self.0.lock().unwrap().shown += by;
    }

    /// Switches the machine off for this time, and starts it again.
    pub(crate) fn off(&self, time: SignedDuration) {
        let mut now = self.0.lock().unwrap();
        now.shown += time;
        now.start += 1;
        now.running = SignedDuration::ZERO;
    }

    pub(crate) fn reader(&self) -> impl Fn() -> Timestamp + Send + Sync + 'static {
        let hands = self.clone();
        move || hands.now()
    }

    pub(crate) fn uptime(&self) -> impl Fn() -> Option<Uptime> + Send + Sync + 'static {
        let hands = self.clone();
        move || {
            let now = hands.0.lock().unwrap();
            Some(Uptime { start: now.start.to_string(), seconds: now.running.as_secs() })
        }
    }
}

/// Notices of a library client.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    pub(crate) fn listener(&self) -> impl Fn(&coditect::Notice) + Send + Sync + 'static {
        let told = self.clone();
        move |notice| told.0.lock().unwrap().push(notice.to_string())
    }

    /// Returns the notices since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// Waits until there is a notice with these words.
    pub(crate) fn wait_for(&self, words: &str) {
        let deadline = std::time::Instant::now() + crate::cloud::PATIENCE;
        while !self.0.lock().unwrap().iter().any(|sentence| sentence.contains(words)) {
            assert!(std::time::Instant::now() < deadline, "nobody said {words:?}: {:?}", self.0.lock().unwrap());
            std::thread::yield_now();
        }
    }
}

/// Installs a program by another process: a file that is open for writing can't be run, and a process that another test
/// starts at that moment would inherit it open.
pub(crate) fn install(from: &Path, to: &Path) {
    assert!(Command::new("install").args(["-m", "750"]).args([from, to]).status().unwrap().success());
}
