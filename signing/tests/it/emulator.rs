//! One emulator of Cloud KMS for all tests; each has a key version of its own in it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, mpsc};

use serde_json::{Value, json};
use signing::{Signer, SigningKeySpec};
use testing::http::{Client, Method};

static SHARED: LazyLock<Emulator> = LazyLock::new(Emulator::start);

/// A running emulator; killed when dropped, and with the process, which is what ends the shared one.
struct Emulator {
    url: String,
    child: Child,
}

impl Emulator {
    fn start() -> Self {
        common::serve::install_crypto();
        let (sender, receiver) = mpsc::channel();
        // The kernel kills the child when the thread that started it ends: this thread has to outlive the first test.
        std::thread::spawn(move || {
            let spawned = Command::new("setpriv")
                .args(["--pdeathsig", "KILL", concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/kms-emulator"), "--key"])
                .arg(testing::world::signing_key())
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn();
            sender.send(spawned).expect("the test waits for it");
            loop {
                std::thread::park();
            }
        });
        let mut child = receiver.recv().expect("the thread answers").expect("setpriv is installed");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("the emulator's first line");
        let url = line.trim_end().to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "the emulator didn't start; run scripts/kms-emulator to see why");
        Self { url, child }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A key version of one test.
pub(crate) struct Version {
    pub(crate) name: String,
    control: Client,
}

impl Version {
    /// Returns a fresh version; `test` is a word of one test.
    pub(crate) fn of(test: &str) -> Self {
        let name = format!("projects/p/locations/europe-west1/keyRings/{test}/cryptoKeys/k/cryptoKeyVersions/1");
        Self { name, control: Client::new(&SHARED.url) }
    }

    pub(crate) fn endpoint(&self) -> &str {
        self.control.url()
    }

    pub(crate) fn signer(&self) -> Signer {
        let spec = SigningKeySpec::Kms(self.name.clone());
        Signer::connect(spec, Some(self.endpoint().to_owned())).unwrap()
    }

    /// Makes a number of answers to `on` (`sign` or `publicKey`) wrong, or all of them from now on.
    pub(crate) async fn fault(&self, fault: &str, on: &str, times: Option<u32>) {
        self.put(json!({"fault": fault, "on": on, "times": times})).await;
    }

    pub(crate) async fn heal(&self) {
        self.put(Value::Null).await;
    }

    async fn put(&self, body: Value) {
        let request = self.control.request(Method::PUT, &format!("/control/{}", self.name));
        self.control.send(request.json(&body), 200).await;
    }

    /// Returns the number of requests: `sign`, `publicKey`, or with `credentials`.
    pub(crate) async fn count(&self, what: &str) -> u64 {
        let counts = self.control.get(&format!("/control/{}", self.name), 200).await;
        counts.body[what].as_u64().unwrap()
    }
}
