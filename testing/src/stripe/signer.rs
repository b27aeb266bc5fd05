//! Signatures by Stripe's own library.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

/// A process that signs; it ends with the test.
#[derive(Debug)]
pub struct Signer {
    child: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Signer {
    /// Starts one.
    ///
    /// # Panics
    /// When it can't be started.
    #[must_use]
    pub fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/stripe-signer");
        let mut child = Command::new(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("scripts/stripe-signer can be run");
        let stdin = child.stdin.take().expect("a pipe");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, pipes: Mutex::new((stdin, stdout)) }
    }

    /// The `Stripe-Signature` header of a body that was signed at a time, in seconds since 1970.
    ///
    /// # Panics
    /// When Stripe's library takes the body for no event.
    pub fn header(&self, body: &str, secret: &str, at: i64) -> String {
        self.answer(&json!({"body": body, "secret": secret, "timestamp": at}))
    }

    /// The `Stripe-Signature` header of a body that the library need not take for an event.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn sign(&self, body: &str, secret: &str, at: i64) -> String {
        self.answer(&json!({"body": body, "secret": secret, "timestamp": at, "any": true}))
    }

    fn answer(&self, ask: &Value) -> String {
        let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(pipes.0, "{ask}").expect("scripts/stripe-signer reads");
        let mut line = String::new();
        pipes.1.read_line(&mut line).expect("scripts/stripe-signer answers");
        let answer: Value = serde_json::from_str(&line).expect("an answer is JSON; run scripts/stripe-signer to see");
        answer["header"].as_str().unwrap_or_else(|| panic!("no signature: {answer}")).to_owned()
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
