//! A developer's machine with the real command line.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// A developer's machine with the real command line.
pub(crate) struct Machine {
    home: tempfile::TempDir,
    hardware_id: String,
    /// The license key in its environment.
    key: Option<String>,
}

impl Machine {
    pub(crate) fn new(n: usize, cloud: &str) -> Self {
        let machine = Self { home: tempfile::tempdir().unwrap(), hardware_id: crate::world::device(n), key: None };
        let (status, said) = machine.coditect(&["config", "set", "cloud-url", cloud]);
        assert_eq!(status, 0, "{said}");
        machine
    }

    /// Puts a license key into the machine's environment.
    pub(crate) fn with_key(self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self }
    }

    /// Runs a command; returns the exit status and all output.
    pub(crate) fn coditect(&self, words: &[&str]) -> (i32, String) {
        let Output { status, stdout, stderr } = self.command(words).output().unwrap();
        (status.code().unwrap(), String::from_utf8([stdout, stderr].concat()).unwrap())
    }

    /// Runs a command that must succeed; returns its JSON output.
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let Output { status, stdout, stderr } = self.command(&[words, &["--json"]].concat()).output().unwrap();
        assert!(
            status.success(),
            "{words:?}: {}{}",
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr)
        );
        serde_json::from_slice(&stdout).unwrap()
    }

    /// Runs a command within a caller's trace; returns the exit status and all output.
    pub(crate) fn traced(&self, traceparent: &str, words: &[&str]) -> (i32, String) {
        let Output { status, stdout, stderr } = self.command(words).env("TRACEPARENT", traceparent).output().unwrap();
        (status.code().unwrap(), String::from_utf8([stdout, stderr].concat()).unwrap())
    }

    /// Starts a command, to be killed while it runs.
    pub(crate) fn start(&self, words: &[&str]) -> Child {
        self.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Starts `coditect login` up to the address that it prints. It goes on once a browser has opened that address.
    pub(crate) fn login(&self) -> (Child, String) {
        let mut login =
            self.command(&["login", "--no-browser"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(login.stderr.take().unwrap()).lines().map(Result::unwrap);
        let url = said.find(|line| line.trim().starts_with("http")).unwrap();
        (login, url.trim().to_owned())
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = program("coditect");
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            // The command creates the folder itself, readable by its user only.
            .env("CODITECT_HOME", self.home.path().join("home"))
            .env("CODITECT_HARDWARE_ID", &self.hardware_id)
            .envs(self.key.as_ref().map(|key| ("CODITECT_LICENSE_KEY", key)))
            .args(words);
        command
    }
}

/// A program that was built beside this one.
pub(crate) fn program(name: &str) -> Command {
    let path = Path::new(env!("CARGO_BIN_EXE_all-in-one")).with_file_name(name);
    assert!(path.exists(), "{} is not built; `cargo build -p ops -p cli` does it", path.display());
    Command::new(path)
}
