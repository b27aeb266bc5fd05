//! TLS in front of the cloud: Python's, with certificates made by openssl, so that none of it uses the client's own libraries.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::cloud::Cloud;
use crate::machine::at_time;

/// A valid certificate for this machine.
pub(crate) const GOOD: Leaf = Leaf { names: "IP:127.0.0.1,DNS:localhost", signed: None, by_itself: false };

/// A server's certificate.
pub(crate) struct Leaf {
    /// Subject alternative names, in openssl's format.
    pub(crate) names: &'static str,
    /// Time from which it is valid, for 30 days, in faketime's format; from now on, if `None`.
    pub(crate) signed: Option<&'static str>,
    /// True if it is self-signed.
    pub(crate) by_itself: bool,
}

pub(crate) struct Front {
    folder: TempDir,
    process: Child,
    pub(crate) port: u16,
}

impl Front {
    /// Starts TLS in front of a cloud, on the loopback address.
    pub(crate) fn of(cloud: &Cloud, leaf: &Leaf) -> Self {
        Self::speaking(cloud, leaf, "TLSv1_3", "127.0.0.1")
    }

    /// Starts TLS with this as its newest version, at this address.
    pub(crate) fn speaking(cloud: &Cloud, leaf: &Leaf, version: &str, address: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        authority(folder.path());
        present(folder.path(), leaf);
        let mut process = Command::new("python3")
            .args(["-c", include_str!("front.py")])
            .args([folder.path().join("leaf.pem"), folder.path().join("leaf.key")])
            .args([version, address, &cloud.port().to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is installed");
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let front = Self { folder, process, port: line.trim().parse().unwrap() };
        cloud.mood().known_as = Some(front.url("127.0.0.1"));
        front
    }

    /// Presents another certificate from now on.
    pub(crate) fn present(&self, leaf: &Leaf) {
        present(self.folder.path(), leaf);
    }

    pub(crate) fn url(&self, host: &str) -> String {
        format!("https://{host}:{}", self.port)
    }

    /// Returns the certificate of the authority that signs the others.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const NEW_KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

fn authority(folder: &Path) {
    let mut command = openssl(folder, "req -x509 -days 30 -keyout authority.key -out authority.pem");
    run(command.args(NEW_KEY).args(["-subj", "/CN=Test Authority", "-addext", "basicConstraints=critical,CA:TRUE"]));
}

/// Presents a certificate, which replaces the old one at once.
fn present(folder: &Path, leaf: &Leaf) {
    let names = format!("subjectAltName={}", leaf.names);
    if leaf.by_itself {
        let mut command = openssl(folder, "req -x509 -days 30 -keyout leaf.key -out leaf.pem");
        return run(command.args(NEW_KEY).args(["-subj", "/CN=Test", "-addext", &names]));
    }
    fs::write(folder.join("extensions"), &names).unwrap();
    run(openssl(folder, "req -new -keyout leaf.key -out leaf.csr -subj /CN=Test").args(NEW_KEY));
    let sign =
        "x509 -req -days 30 -in leaf.csr -CA authority.pem -CAkey authority.key -extfile extensions -out leaf.pem";
    let mut command = openssl(folder, sign);
    if let Some(signed) = leaf.signed {
        at_time(&mut command, signed);
    }
    run(&mut command);
}

fn openssl(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' ')).current_dir(folder);
    command
}

fn run(command: &mut Command) {
    let output = command.output().expect("openssl is installed");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
