//! A real OpenID Connect provider (`scripts/oidc-provider`), and the person in front of the browser.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, mpsc};

use serde_json::Value;
use ureq::Agent;
use ureq::http::Response;

use crate::cloud::{Cloud, PATIENCE};
use crate::machine::{Machine, Printed};

/// Client id of this program at the provider.
pub(crate) const CLIENT: &str = "coditect";

/// An account, as the provider knows it.
pub(crate) const ANN: &str = "sub=ann&name=Ann&email=ann@acme.test&email_verified=true";

static ON_TIME: LazyLock<String> = LazyLock::new(|| start(None));
static BEHIND: LazyLock<String> = LazyLock::new(|| start(Some("-2h")));

/// An issuer.
pub(crate) struct Provider {
    http: Agent,
    pub(crate) issuer: String,
}

impl Provider {
    /// Returns the issuer that no test stops.
    pub(crate) fn shared() -> Self {
        Self::at(ON_TIME.clone())
    }

    /// Returns an issuer whose clock is two hours behind.
    pub(crate) fn behind() -> Self {
        Self::at(BEHIND.clone())
    }

    /// Returns an issuer for a single test.
    pub(crate) fn own() -> Self {
        Self::at(Self::shared().control("issuers")["issuer"].as_str().unwrap().to_owned())
    }

    fn at(issuer: String) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None);
        Self { http: config.build().new_agent(), issuer }
    }

    /// Makes a cloud whose users sign in here, and a machine of it.
    pub(crate) fn scene(&self) -> (Cloud, Machine) {
        let cloud = Cloud::start();
        cloud.mood().oidc = Some((self.issuer.clone(), CLIENT));
        let machine = Machine::new(&cloud.url);
        (cloud, machine)
    }

    /// Changes how it behaves; see `provider.mjs`.
    pub(crate) fn control(&self, what: &str) -> Value {
        let answer = self.http.post(format!("{}/control/{what}", self.issuer)).send_empty();
        answer.unwrap().body_mut().read_json().unwrap()
    }

    /// Returns the number of requests at a path.
    pub(crate) fn requests(&self, path: &str) -> i64 {
        self.control("requests")[path].as_i64().unwrap_or_default()
    }

    /// Opens an address as a browser in which this account signs in, and follows all redirects. Returns the last page.
    pub(crate) fn visit(&self, url: &str, account: &str) -> String {
        Browser { provider: self, account, cookies: BTreeMap::new() }.get(url)
    }

    /// Opens the address of a code, and confirms it.
    pub(crate) fn confirm(&self, url: &str, account: &str) -> String {
        let mut browser = Browser { provider: self, account, cookies: BTreeMap::new() };
        let page = browser.get(url);
        let hidden = |name: &str| {
            let rest = page.split(&format!("name=\"{name}\" value=\"")).nth(1);
            rest.unwrap_or_else(|| panic!("no {name} in {page}")).split('"').next().unwrap().to_owned()
        };
        let (xsrf, user_code) = (hidden("xsrf"), hidden("user_code"));
        let to = format!("{}/device", self.issuer);
        browser.post(&to, &[("xsrf", &xsrf), ("user_code", &user_code), ("confirm", "yes")])
    }

    /// Signs in on a machine, as a user would.
    pub(crate) fn sign_in(&self, machine: &Machine, account: &str, arguments: &[&str]) -> Printed {
        let mut login = Login::start(machine, &[&["login", "--no-browser"], arguments].concat());
        let url = login.told_address();
        self.visit(&url, account);
        login.end(machine)
    }
}

/// `coditect login` while it waits.
pub(crate) struct Login {
    process: Child,
    stderr: BufReader<std::process::ChildStderr>,
    told: String,
}

impl Login {
    pub(crate) fn start(machine: &Machine, arguments: &[&str]) -> Self {
        Self::spawn(&mut machine.command(arguments))
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        Self { process, stderr, told: String::new() }
    }

    /// Reads on until an address is printed, and returns it.
    pub(crate) fn told_address(&mut self) -> String {
        loop {
            let line = self.line();
            if let Some(url) = line.trim().strip_prefix("http") {
                return format!("http{url}");
            }
        }
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.stderr.read_line(&mut line).unwrap(), 0, "it told no more than {:?}", self.told);
        self.told.push_str(&line);
        line
    }

    fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for the end, and returns exit code and output.
    pub(crate) fn end(mut self, machine: &Machine) -> Printed {
        let (tell, ended) = mpsc::channel();
        let (id, mut told) = (self.id(), std::mem::take(&mut self.told));
        std::thread::spawn(move || {
            std::io::Read::read_to_string(&mut self.stderr, &mut told).unwrap();
            let mut output = self.process.wait_with_output().unwrap();
            output.stderr = told.into_bytes();
            let _ = tell.send(output);
        });
        let output = ended.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            rustix::process::kill_process(pid(id), rustix::process::Signal::KILL).unwrap();
            panic!("it did not end: {:?}", ended.recv());
        });
        machine.printed(output)
    }

    /// Interrupts it, as Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        rustix::process::kill_process(pid(self.id()), rustix::process::Signal::INT).unwrap();
    }
}

fn pid(id: u32) -> rustix::process::Pid {
    rustix::process::Pid::from_raw(id.cast_signed()).unwrap()
}

struct Browser<'a> {
    provider: &'a Provider,
    account: &'a str,
    cookies: BTreeMap<String, String>,
}

impl Browser<'_> {
    fn get(&mut self, url: &str) -> String {
        self.follow(url, None)
    }

    fn post(&mut self, url: &str, form: &[(&str, &str)]) -> String {
        self.follow(url, Some(form))
    }

    fn follow(&mut self, url: &str, mut form: Option<&[(&str, &str)]>) -> String {
        let mut url = url.to_owned();
        for _ in 0..20 {
            let mut answer = self.ask(&url, form.take());
            for cookie in answer.headers().get_all("set-cookie") {
                let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
            let Some(to) = answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned()) else {
                return answer.body_mut().read_to_string().unwrap();
            };
            let host = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
            url = if to.starts_with('/') { format!("{host}{to}") } else { to };
        }
        panic!("{url} leads nowhere");
    }

    fn ask(&self, url: &str, form: Option<&[(&str, &str)]>) -> Response<ureq::Body> {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let (http, cookies) = (&self.provider.http, cookies.join("; "));
        match form {
            Some(form) => {
                let request = http.post(url).header("x-account", self.account).header("cookie", cookies);
                request.send_form(form.iter().copied()).unwrap()
            }
            None => http.get(url).header("x-account", self.account).header("cookie", cookies).call().unwrap(),
        }
    }
}

/// Starts a provider, optionally with a wrong clock. It is killed when the thread that started it ends, so that thread waits.
fn start(clock: Option<&'static str>) -> String {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/oidc-provider");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(script).stdout(Stdio::piped()).stderr(Stdio::null());
        if let Some(clock) = clock {
            command.env("OIDC_PROVIDER_CLOCK", clock);
        }
        let mut provider = command.spawn().unwrap();
        let mut issuer = String::new();
        BufReader::new(provider.stdout.take().unwrap()).read_line(&mut issuer).unwrap();
        tell.send(issuer.trim().to_owned()).unwrap();
        provider.wait().unwrap();
    });
    let issuer = told.recv().unwrap();
    assert!(!issuer.is_empty(), "the provider never began; run scripts/oidc-provider to see why");
    issuer
}
