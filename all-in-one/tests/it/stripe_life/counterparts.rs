//! The parties around a deployment that sells: a Stripe server that calls webhooks by itself, a mail server, and the
//! programs of operators and customers.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use testing::World;
use testing::world::WEBHOOK_SECRET;

/// A key of the server's API, which takes any.
pub(crate) const API_KEY: &str = "sk_test_12345";

/// A program of `scripts/`; killed with the test.
struct Running(Child);

impl Running {
    /// Starts it and returns the first line that it prints.
    fn start(script: &str, arguments: &[&str]) -> (Self, String) {
        let script = format!("{}/../scripts/{script}", env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", &script])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "{script} didn't start; run it to see why");
        (Self(child), line.trim_end().to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A third-party Stripe-compatible server.
pub(crate) struct Localstripe {
    _process: Running,
    pub(crate) url: String,
    http: reqwest::Client,
}

impl Localstripe {
    pub(crate) fn start() -> Self {
        let (process, url) = Running::start("localstripe", &[]);
        Self { _process: process, url, http: reqwest::Client::new() }
    }

    /// Makes it call a webhook from now on.
    pub(crate) async fn call(&self, cloud: &str) {
        let url = format!("{cloud}/webhooks/stripe");
        self.post("_config/webhooks/ours", &[("url", &url), ("secret", WEBHOOK_SECRET)]).await;
    }

    /// Creates a customer with a card, and a subscription whose period of a day ends now. Returns their ids.
    pub(crate) async fn subscribe(&self, price: &str, quantity: u32, now: i64) -> (String, String) {
        let plan = [("id", price), ("amount", "9900"), ("currency", "usd"), ("interval", "day"), ("name", "CODITECT")];
        self.post("v1/plans", &plan).await;
        let card = [
            ("type", "card"),
            ("card[number]", "4242424242424242"),
            ("card[exp_month]", "12"),
            ("card[exp_year]", "2040"),
            ("card[cvc]", "123"),
        ];
        let card = self.post("v1/payment_methods", &card).await;
        let customer = self.post("v1/customers", &[("email", "ann@acme.test"), ("name", "Ann Archer")]).await;
        self.post(&format!("v1/payment_methods/{card}/attach"), &[("customer", &customer)]).await;
        let pays_by = [("invoice_settings[default_payment_method]", card.as_str())];
        self.post(&format!("v1/customers/{customer}"), &pays_by).await;
        let (quantity, began) = (quantity.to_string(), (now - 86_400).to_string());
        let subscription = [
            ("customer", customer.as_str()),
            ("items[0][plan]", price),
            ("items[0][quantity]", &quantity),
            ("backdate_start_date", &began),
        ];
        let subscription = self.post("v1/subscriptions", &subscription).await;
        (customer, subscription)
    }

    /// Cancels a subscription immediately.
    pub(crate) async fn cancel(&self, subscription: &str) {
        let request = self.http.delete(format!("{}/v1/subscriptions/{subscription}", self.url));
        self.send(request).await;
    }

    /// Posts a form, and returns the id of the created object.
    async fn post(&self, path: &str, form: &[(&str, &str)]) -> String {
        let url = reqwest::Url::parse_with_params("http://form.test", form).unwrap();
        let request = self.http.post(format!("{}/{path}", self.url));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let made = self.send(request.body(url.query().unwrap_or_default().to_owned())).await;
        made["id"].as_str().unwrap_or_default().to_owned()
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Value {
        let answer = request.basic_auth(API_KEY, None::<&str>).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{status}: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }
}

/// A mail server that keeps the mails that it receives.
pub(crate) struct MailServer {
    _process: Running,
    port: String,
    folder: tempfile::TempDir,
}

/// A mail as its receiver reads it.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) recipients: Vec<String>,
    pub(crate) text: String,
}

impl MailServer {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (process, port) = Running::start("smtp-sink", &[folder.path().to_str().unwrap()]);
        Self { _process: process, port, folder }
    }

    /// Takes out what has arrived, the oldest first.
    pub(crate) fn take(&self) -> Vec<Received> {
        let files = std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let is_told = |path: &Path| path.extension().is_some_and(|e| e == "json");
        let hidden = |path: &Path| path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
        let mut files: Vec<_> = files.filter(|path| is_told(path) && !hidden(path)).collect();
        files.sort();
        files
            .iter()
            .map(|path| {
                let told: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
                std::fs::remove_file(path).unwrap();
                let texts = |value: &Value| {
                    value.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect::<Vec<_>>()
                };
                Received { recipients: texts(&told["recipients"]), text: told["text"].as_str().unwrap().to_owned() }
            })
            .collect()
    }
}

/// Runs `ops` as an operator does, with a mail server at hand, and returns its output.
pub(crate) fn ops(world: &World, mail: &MailServer, words: &[&str]) -> String {
    let url = format!("smtp://127.0.0.1:{}", mail.port);
    let output = crate::machine::program("ops")
        .env_clear()
        .envs(world.variables("coditect_owner"))
        .envs([("SMTP_URL", url.as_str()), ("USER", "alice")])
        .args(words)
        .output()
        .unwrap();
    assert!(output.status.success(), "ops {words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
