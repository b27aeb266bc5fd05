//! A publisher of new versions: signs them with the real `minisign`, and serves them over HTTP.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::cloud::PATIENCE;
use crate::machine::{Machine, Printed, install};

/// This machine's target name in a manifest.
const TARGET: &str = if cfg!(target_arch = "aarch64") { "linux-aarch64" } else { "linux-x86_64" };

/// The file that is released.
const PROGRAM: &str = "coditect-next";

pub(crate) struct Publisher {
    folder: TempDir,
    url: String,
    /// End of a path, and the number of bytes after which its transfer stalls.
    held: Arc<Mutex<Option<(&'static str, usize)>>>,
    asked: Mutex<Receiver<String>>,
}

impl Publisher {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        new_key(folder.path(), "key");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/stable/manifest.json", listener.local_addr().unwrap());
        let held: Arc<Mutex<Option<(&'static str, usize)>>> = Arc::default();
        let (tell, asked) = channel();
        let (shelf, holding) = (folder.path().to_owned(), held.clone());
        // The thread ends with the process; the tests have no reason to wait for it.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (shelf, holding, tell) = (shelf.clone(), holding.clone(), tell.clone());
                thread::spawn(move || serve(stream.ok()?, &shelf, &holding, |path| tell.send(path).is_ok()));
            }
        });
        Self { folder, url, held, asked: Mutex::new(asked) }
    }

    /// Releases a program that reports this version.
    pub(crate) fn release(&self, version: &str, released_at: &str) {
        self.release_program(version, released_at, &saying(version));
    }

    /// Releases any program.
    pub(crate) fn release_program(&self, version: &str, released_at: &str, program: &[u8]) {
        fs::write(self.file(PROGRAM), program).unwrap();
        let file = json!({ "url": PROGRAM, "sha256": format!("{:x}", Sha256::digest(program)), "size": program.len() });
        self.announce(&json!({
            "purpose": "coditect-update", "version": version, "released_at": released_at,
            "expires_at": "9999-01-01T00:00:00Z", "targets": { TARGET: file }
        }));
    }

    /// Writes and signs a manifest.
    pub(crate) fn announce(&self, manifest: &Value) {
        fs::write(self.manifest(), serde_json::to_vec_pretty(manifest).unwrap()).unwrap();
        self.sign("key");
    }

    /// Returns the manifest.
    pub(crate) fn announced(&self) -> Value {
        serde_json::from_slice(&fs::read(self.manifest()).unwrap()).unwrap()
    }

    /// Signs the manifest.
    pub(crate) fn sign(&self, key: &str) {
        let mut command = Command::new("minisign");
        command.arg("-S").arg("-s").arg(self.file(&format!("{key}.sec"))).arg("-m").arg(self.manifest());
        let output = command.output().expect("scripts/install brings minisign");
        assert!(output.status.success(), "{output:?}");
    }

    pub(crate) fn manifest(&self) -> PathBuf {
        self.file("manifest.json")
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.file(PROGRAM)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Stalls transfers of paths that end so after this many bytes.
    pub(crate) fn hold(&self, path: &'static str, after: usize) {
        *self.held.lock().unwrap() = Some((path, after));
    }

    pub(crate) fn let_go(&self) {
        *self.held.lock().unwrap() = None;
    }

    /// Waits for a request of a path that ends so.
    pub(crate) fn wait_for(&self, path: &str) {
        let asked = self.asked.lock().unwrap();
        while !asked.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("nobody asked for {path}")).ends_with(path) {}
    }

    /// Returns true if there were requests since the last call.
    pub(crate) fn was_asked(&self) -> bool {
        self.asked.lock().unwrap().try_iter().count() > 0
    }

    /// Sets the variables with which a command line updates from here.
    pub(crate) fn surround(&self, command: &mut Command) {
        let key = fs::read_to_string(self.file("key.pub")).unwrap();
        command.env("CODITECT_UPDATE_URL", &self.url).env("CODITECT_UPDATE_KEY", key.lines().nth(1).unwrap());
    }
}

/// Returns a program that reports this version.
pub(crate) fn saying(version: &str) -> Vec<u8> {
    format!("#!/bin/sh\necho coditect {version}\n").into_bytes()
}

/// Makes a key pair with minisign.
pub(crate) fn new_key(folder: &Path, name: &str) {
    let (public, secret) = (folder.join(format!("{name}.pub")), folder.join(format!("{name}.sec")));
    let output = Command::new("minisign").args(["-G", "-W", "-p"]).arg(public).arg("-s").arg(secret).output();
    assert!(output.expect("scripts/install brings minisign").status.success());
}

fn serve(
    stream: TcpStream,
    shelf: &Path,
    held: &Mutex<Option<(&'static str, usize)>>,
    tell: impl Fn(String) -> bool,
) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    while reader.read_line(&mut line).ok()? > 2 {}
    let found = path.strip_prefix("/stable/").and_then(|name| fs::read(shelf.join(name)).ok());
    let (status, body) = found.map_or((404, Vec::new()), |body| (200, body));
    let held = held.lock().unwrap().filter(|(end, _)| path.ends_with(end)).map(|(_, after)| after);
    let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    let stream = reader.get_mut();
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(&body[..held.unwrap_or(body.len()).min(body.len())]).ok()?;
    tell(path);
    if held.is_some() {
        // Until the client has disconnected.
        let _ = reader.read(&mut [0]);
    }
    Some(())
}

/// A copy of the command line that can be replaced.
pub(crate) struct Installed {
    pub(crate) program: PathBuf,
    pub(crate) machine: Machine,
}

impl Installed {
    /// Installs it in a folder of the machine's.
    pub(crate) fn at(path: &str) -> Self {
        let machine = Machine::new("https://cloud.example");
        let program = machine.folder().join(path);
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        install(Path::new(env!("CARGO_BIN_EXE_coditect")), &program);
        Self { program, machine }
    }

    pub(crate) fn command(&self, publisher: &Publisher, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        self.machine.surround(command.args(arguments));
        publisher.surround(&mut command);
        command
    }

    /// Runs it; returns its output, with its own path replaced.
    pub(crate) fn run(&self, publisher: &Publisher, arguments: &[&str]) -> Printed {
        self.replace(self.machine.printed(self.command(publisher, arguments).output().unwrap()))
    }

    pub(crate) fn replace(&self, printed: Printed) -> Printed {
        let plain = |text: String| text.replace(self.program.to_str().unwrap(), "{program}");
        Printed { code: printed.code, stdout: plain(printed.stdout), stderr: plain(printed.stderr) }
    }

    /// Returns the version that a new start reports.
    pub(crate) fn version(&self) -> String {
        let output = Command::new(&self.program).arg("--version").output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Returns the other files in its folder.
    pub(crate) fn beside(&self) -> Vec<String> {
        let folder = fs::read_dir(self.program.parent().unwrap()).unwrap();
        let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "coditect").collect()
    }
}
