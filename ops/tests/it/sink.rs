//! A mail server from outside this repository; see `ops/tests/smtp_sink/sink.py`.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;

use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) struct Sink {
    dir: TempDir,
    port: u16,
}

/// A mail as the server's own parser read it.
#[derive(Debug)]
pub(crate) struct Arrived(pub(crate) Value);

impl Sink {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(args: &'static [&'static str]) -> Self {
        let dir = TempDir::new().unwrap();
        let (path, (tell, told)) = (dir.path().to_owned(), mpsc::channel());
        // The kernel kills the server when the thread that started it ends: that one waits for it.
        std::thread::spawn(move || {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/smtp-sink");
            let mut command = Command::new("setpriv");
            command
                .args(["--pdeathsig", "KILL"])
                .arg(script)
                .arg(path)
                .args(args)
                .stdout(Stdio::piped())
                .stderr(Stdio::null());
            let mut server = command.spawn().unwrap();
            let mut port = String::new();
            BufReader::new(server.stdout.take().unwrap()).read_line(&mut port).unwrap();
            tell.send(port).unwrap();
            server.wait().unwrap();
        });
        let port = told.recv().unwrap();
        let port = port.trim().parse().expect("the mail server didn't start; run scripts/smtp-sink to see why");
        Self { dir, port }
    }

    pub(crate) fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Sets the server's treatment of recipients from now on.
    pub(crate) fn rules(&self, rules: &Value) {
        let fresh = self.dir.path().join("rules.fresh");
        std::fs::write(&fresh, rules.to_string()).unwrap();
        std::fs::rename(fresh, self.dir.path().join("rules.json")).unwrap();
    }

    /// Lets the answers go that were held.
    pub(crate) fn go(&self) {
        std::fs::write(self.dir.path().join("go"), "").unwrap();
    }

    /// Returns the mails that arrived so far, in order.
    pub(crate) fn mails(&self) -> Vec<Arrived> {
        let files = std::fs::read_dir(self.dir.path()).unwrap().map(|file| file.unwrap().path());
        let mut files: Vec<_> = files.filter(|f| f.extension().is_some_and(|e| e == "json")).collect();
        files.retain(|f| f.file_name().unwrap() != "rules.json");
        files.sort();
        files.iter().map(|f| Arrived(serde_json::from_slice(&std::fs::read(f).unwrap()).unwrap())).collect()
    }

    /// The only mail that arrived.
    pub(crate) fn mail(&self) -> Arrived {
        let mut mails = self.mails();
        assert_eq!(mails.len(), 1, "{mails:?}");
        mails.remove(0)
    }
}

impl Arrived {
    /// A header that occurs once.
    pub(crate) fn header(&self, name: &str) -> &str {
        let headers = self.0["headers"].as_array().unwrap();
        let mut found = headers.iter().filter(|h| h[0].as_str().unwrap().eq_ignore_ascii_case(name));
        let value = found.next().unwrap_or_else(|| panic!("no {name}: {self:?}"))[1].as_str().unwrap();
        assert!(found.next().is_none(), "two {name}: {self:?}");
        value
    }

    /// The headers' names, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let headers = self.0["headers"].as_array().unwrap();
        let mut names: Vec<_> = headers.iter().map(|h| h[0].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    pub(crate) fn text(&self) -> &str {
        self.0["text"].as_str().unwrap()
    }

    /// To whom the envelope says that it goes, when nothing is wrong with the mail.
    pub(crate) fn recipients(&self) -> &Value {
        assert_eq!(self.0["defects"], json!([]), "{self:?}");
        &self.0["recipients"]
    }
}
