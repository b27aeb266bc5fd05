//! A test double of the cloud in a thread: answers as api.md describes, or as a test configures it, and records its requests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use jiff::{SignedDuration, Timestamp};
use protocol::id::{LicenseId, SessionId, TenantId};
use protocol::problem::{Code, ProblemDocument};
use protocol::wire::{InvalidLicense, InvalidReason, OtherLicense, SeatCounts};
use serde_json::{Value, json};

use crate::signer;
use crate::stream::Stream;

/// Longest time that a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
    }
}

/// Behavior of the cloud.
pub(crate) struct Mood {
    /// Drops connections before an answer, on every path that contains this.
    pub(crate) silent_on: Option<&'static str>,
    /// True if connections are accepted, but never answered.
    pub(crate) mute: bool,
    /// Bytes that are sent in place of any answer, head and all.
    pub(crate) instead: Option<&'static str>,
    /// Answers every path that contains the first with the second.
    pub(crate) problem_on: Option<(&'static str, ProblemDocument)>,
    /// Reason with which validate answers that the license is not valid.
    pub(crate) invalid: Option<InvalidReason>,
    /// With `invalid`: another license that can be used.
    pub(crate) other_license: Option<OtherLicense>,
    /// Time until which the key is valid, where the license has another one.
    pub(crate) key_replaced_until: Option<Timestamp>,
    /// Age of tokens; negative: signed in the future.
    pub(crate) signed_ago: SignedDuration,
    /// Lifetime of a license token.
    pub(crate) token_lifetime: SignedDuration,
    /// The issuer in tokens, if it is not the cloud itself.
    pub(crate) issuer: Option<String>,
    /// The heartbeat interval.
    pub(crate) interval: u32,
    /// The session that the next acquire gives.
    pub(crate) session: SessionId,
    /// Page on which a plan can be chosen.
    pub(crate) register_url: Option<String>,
    /// Number of commands a day in the plan.
    pub(crate) quota: i64,
    /// Time from which another machine can be activated, once one has been deactivated.
    pub(crate) next_activation_at: Option<Timestamp>,
    /// Number of requests at paths that contain `loses` that are executed, but whose connection is dropped before the answer.
    pub(crate) lose_answers: u32,
    pub(crate) loses: &'static str,
    /// Issuer at which people sign in, and the client id of this program there.
    pub(crate) oidc: Option<(String, &'static str)>,
    /// The credential that is refused.
    pub(crate) refused_bearer: Option<String>,
    /// The URL that it publishes, if something stands in front of it.
    pub(crate) known_as: Option<String>,
    /// The cloud's time, if not the real one.
    pub(crate) now: Option<Timestamp>,
    /// The URL that it publishes for telemetry, if not its own.
    pub(crate) telemetry_at: Option<String>,
}

impl Mood {
    fn is_silent(&self, asked: &Asked) -> bool {
        self.silent_on.is_some_and(|path| asked.path.contains(path))
    }
}

pub(crate) struct Cloud {
    pub(crate) url: String,
    address: SocketAddr,
    shared: Arc<Shared>,
    news: Mutex<Receiver<Asked>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    url: String,
    mood: Mutex<Mood>,
    asked: Mutex<Vec<Asked>>,
    news: Mutex<Sender<Asked>>,
    closed: Mutex<bool>,
    tenant: Mutex<TenantId>,
    license: LicenseId,
    stream: Mutex<Stream>,
}

impl Cloud {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (news, inbox) = channel();
        let mood = Mood {
            silent_on: None,
            mute: false,
            instead: None,
            problem_on: None,
            invalid: None,
            other_license: None,
            key_replaced_until: None,
            signed_ago: SignedDuration::ZERO,
            token_lifetime: SignedDuration::from_hours(24),
            issuer: None,
            interval: 300,
            session: SessionId::new(),
            register_url: None,
            quota: -1,
            next_activation_at: None,
            lose_answers: 0,
            loses: "acquire",
            oidc: None,
            refused_bearer: None,
            known_as: None,
            now: None,
            telemetry_at: None,
        };
        let shared = Arc::new(Shared {
            url: format!("http://{address}"),
            mood: Mutex::new(mood),
            asked: Mutex::default(),
            news: Mutex::new(news),
            closed: Mutex::new(false),
            tenant: Mutex::new(TenantId::new()),
            license: LicenseId::new(),
            stream: Mutex::default(),
        });
        let thread = Some(listen(listener, &shared));
        Self { url: shared.url.clone(), address, shared, news: Mutex::new(inbox), thread }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns the cloud's behavior, to be changed.
    pub(crate) fn mood(&self) -> MutexGuard<'_, Mood> {
        self.shared.mood.lock().unwrap()
    }

    /// Returns the tenant's records.
    pub(crate) fn stream(&self) -> MutexGuard<'_, Stream> {
        self.shared.stream.lock().unwrap()
    }

    /// Assigns every key to another tenant from now on.
    pub(crate) fn change_tenant(&self) {
        *self.shared.tenant.lock().unwrap() = TenantId::new();
    }

    /// Drops every connection before an answer, or none.
    pub(crate) fn away(&self, away: bool) {
        self.mood().silent_on = away.then_some("/");
    }

    /// Returns the requests so far at paths that contain this.
    pub(crate) fn asked(&self, path: &str) -> Vec<Asked> {
        let asked = self.shared.asked.lock().unwrap();
        asked.iter().filter(|asked| asked.path.contains(path)).cloned().collect()
    }

    /// Waits for a request, from now on, at a path that contains this.
    pub(crate) fn wait_for(&self, path: &str) -> Asked {
        let news = self.news.lock().unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let asked = news.recv_timeout(left).unwrap_or_else(|_| panic!("nobody asked for {path}"));
            if asked.path.contains(path) {
                return asked;
            }
        }
    }

    /// Forgets the requests so far.
    pub(crate) fn forget(&self) {
        self.shared.asked.lock().unwrap().clear();
        while self.news.lock().unwrap().try_recv().is_ok() {}
    }

    /// Closes the port.
    pub(crate) fn stop(&mut self) {
        if let Some(thread) = self.thread.take() {
            *self.shared.closed.lock().unwrap() = true;
            let _ = TcpStream::connect(self.address);
            thread.join().unwrap();
        }
    }
}

impl Cloud {
    /// Listens again at the same address, after it was stopped.
    pub(crate) fn resume(&mut self) {
        *self.shared.closed.lock().unwrap() = false;
        self.thread = Some(listen(TcpListener::bind(self.address).unwrap(), &self.shared));
    }
}

fn listen(listener: TcpListener, shared: &Arc<Shared>) -> JoinHandle<()> {
    let shared = shared.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            if *shared.closed.lock().unwrap() {
                break;
            }
            let shared = shared.clone();
            thread::spawn(move || shared.serve(stream.unwrap()));
        }
    })
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let asked = read(&mut reader)?;
        self.asked.lock().unwrap().push(asked.clone());
        let (mute, instead) = {
            let mood = self.mood.lock().unwrap();
            (mood.mute, mood.instead)
        };
        if mute {
            // Until the client gives up.
            return reader.read_to_end(&mut Vec::new()).ok().map(drop);
        }
        if let Some(text) = instead {
            return reader.into_inner().write_all(text.as_bytes()).ok();
        }
        // A request at a path of `silent_on` has no effect: its connection is dropped before it is handled.
        let (status, body) = if self.is_silent(&asked) { (503, Value::Null) } else { self.answer(&asked)? };
        let lost = {
            let mut mood = self.mood.lock().unwrap();
            let silent = mood.is_silent(&asked);
            let lost = !silent && asked.path.contains(mood.loses) && mood.lose_answers > 0;
            mood.lose_answers -= u32::from(lost);
            silent || lost
        };
        let _ = self.news.lock().unwrap().send(asked);
        if lost {
            return None;
        }
        let body = body.to_string();
        let now = self.mood.lock().unwrap().now.unwrap_or_else(Timestamp::now);
        let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT");
        let kind = if status < 400 { "application/json" } else { "application/problem+json" };
        let mut stream = reader.into_inner();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ndate: {date}\r\nconnection: close\r\ncontent-length: {}",
            body.len()
        );
        write!(stream, "{head}\r\n\r\n{body}").ok()
    }

    fn is_silent(&self, asked: &Asked) -> bool {
        self.mood.lock().unwrap().is_silent(asked)
    }

    fn answer(&self, asked: &Asked) -> Option<(u16, Value)> {
        let mood = self.mood.lock().unwrap();
        if let Some((path, problem)) = &mood.problem_on
            && asked.path.contains(path)
        {
            return Some((problem.status, serde_json::to_value(problem).unwrap()));
        }
        if let (Some(refused), Some(bearer)) = (&mood.refused_bearer, asked.header("authorization"))
            && bearer == format!("Bearer {refused}")
        {
            let problem = ProblemDocument::new(Code::InvalidToken);
            return Some((problem.status, serde_json::to_value(problem).unwrap()));
        }
        if asked.path.starts_with("/api/v1/context/") {
            return self.stream.lock().unwrap().answer(asked);
        }
        let now = mood.now.unwrap_or_else(Timestamp::now);
        Some(match asked.path.as_str() {
            "/ready" => (200, json!({"status": "ready"})),
            "/.well-known/coditect.json" => (200, self.discovery(&mood)),
            "/.well-known/jwks.json" => (200, serde_json::to_value(signer::jwks()).unwrap()),
            "/api/v1/licenses/validate" => (200, self.validation(&mood, asked, now - mood.signed_ago)),
            "/api/v1/auth/license" => (
                200,
                json!({"access_token": "access", "token_type": "Bearer", "expires_in": 3600, "tenant_id": *self.tenant.lock().unwrap(),
                       "tier": "TEAM"}),
            ),
            "/api/v1/licenses/acquire" => (201, self.seat(&mood, asked, now - mood.signed_ago)),
            "/api/v1/licenses/heartbeat" if asked.body["session_id"] != json!(mood.session) => {
                let mut gone = ProblemDocument::new(Code::SessionEnded);
                gone.reason = Some("expired".to_owned());
                (410, serde_json::to_value(gone).unwrap())
            }
            "/api/v1/licenses/heartbeat" => {
                let next = now + SignedDuration::from_secs(i64::from(mood.interval));
                let expires = now + SignedDuration::from_secs(360);
                (200, json!({"status": "ok", "next_heartbeat_at": next, "seat_expires_at": expires}))
            }
            "/api/v1/telemetry" => (202, json!({"accepted": 1})),
            "/api/v1/licenses/deactivate" => {
                (200, json!({"status": "deactivated", "next_activation_at": mood.next_activation_at}))
            }
            "/api/v1/licenses/release" => (200, json!({"status": "released"})),
            _ => (404, serde_json::to_value(ProblemDocument::new(Code::NotFound)).unwrap()),
        })
    }

    fn known_as<'a>(&'a self, mood: &'a Mood) -> &'a str {
        mood.known_as.as_deref().unwrap_or(&self.url)
    }

    fn discovery(&self, mood: &Mood) -> Value {
        let url = self.known_as(mood);
        let mut functions: serde_json::Map<String, Value> =
            ["validate", "acquire", "heartbeat", "release", "auth", "sync-push", "sync-pull", "telemetry"]
                .map(|name| (name.to_owned(), json!(url)))
                .into_iter()
                .collect();
        functions["telemetry"] = json!(mood.telemetry_at.as_deref().unwrap_or(url));
        let oidc = mood.oidc.as_ref().map(|(issuer, client)| json!({"issuer": issuer, "client_id": client}));
        json!({"issuer": url, "functions": functions, "jwks_uri": format!("{url}/.well-known/jwks.json"),
               "oidc": oidc, "register_url": mood.register_url})
    }

    fn validation(&self, mood: &Mood, asked: &Asked, signed: Timestamp) -> Value {
        if let Some(reason) = mood.invalid {
            let no = InvalidLicense::new(reason, reason.message()).with_other_license(mood.other_license.clone());
            return serde_json::to_value(no).unwrap();
        }
        let refresh = signed + SignedDuration::from_hours(24);
        let grace = signed + SignedDuration::from_hours(7 * 24);
        let token = signer::sign(&json!({
            "iss": mood.issuer.as_deref().unwrap_or(self.known_as(mood)), "sub": self.license, "aud": "coditect",
            "iat": signed.as_second(), "exp": grace.as_second(), "typ": "validation", "tenant_id": *self.tenant.lock().unwrap(), "tier": "TEAM",
            "features": ["all_agents", "shared_context"], "quotas": {"commands_per_day": mood.quota},
            "machine_id": asked.body["machine_id"], "refresh_after": refresh.as_second(),
        }));
        let mut yes = json!({"valid": true, "tier": "TEAM", "expires_at": null, "features": ["all_agents", "shared_context"],
               "quotas": {"commands_per_day": mood.quota}, "validation_token": token, "refresh_after": refresh, "grace_until": grace});
        if let Some(until) = mood.key_replaced_until {
            yes["key_replaced_until"] = json!(until);
        }
        yes
    }

    fn seat(&self, mood: &Mood, asked: &Asked, signed: Timestamp) -> Value {
        let expires = signed + mood.token_lifetime;
        let token = signer::sign(&json!({
            "iss": mood.issuer.as_deref().unwrap_or(self.known_as(mood)), "sub": self.license, "aud": "coditect",
            "iat": signed.as_second(), "nbf": signed.as_second(), "exp": expires.as_second(), "jti": "1", "typ": "license",
            "tenant_id": *self.tenant.lock().unwrap(), "license_id": self.license, "session_id": mood.session,
            "hardware_id": asked.body["hardware_id"], "tier": "TEAM", "features": [], "quotas": {"commands_per_day": mood.quota},
        }));
        json!({"session_id": mood.session, "license_token": token, "expires_at": expires,
               "seat_expires_at": signed + SignedDuration::from_secs(360), "heartbeat_interval_seconds": mood.interval,
               "seats": SeatCounts { limit: 5, in_use: 3 }, "tier": "TEAM", "features": [], "quotas": {}})
    }
}

/// Problem: all seats are taken.
pub(crate) fn full() -> ProblemDocument {
    let mut full = ProblemDocument::new(Code::NoSeatsAvailable);
    full.detail = "All 5 seats are in use. Try again in 120 seconds, or ask your admin for more seats.".to_owned();
    full.seats = Some(SeatCounts { limit: 5, in_use: 5 });
    full.retry_after_seconds = Some(120);
    full.request_id = "req-1".to_owned();
    full
}

/// Problem: a session has ended for this reason.
pub(crate) fn ended(reason: &str) -> ProblemDocument {
    let mut gone = ProblemDocument::new(Code::SessionEnded);
    gone.detail = format!("The session was {reason}.");
    gone.reason = Some(reason.to_owned());
    gone
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&length| length > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    // ureq sends JSON with its length, or in chunks.
    let header = |name: &str| headers.iter().find(|header| header.0 == name).map(|header| header.1.clone());
    let mut body = Vec::new();
    if let Some(length) = header("content-length").and_then(|length| length.parse().ok()) {
        body.resize(length, 0);
        reader.read_exact(&mut body).ok()?;
    } else if header("transfer-encoding").is_some() {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).ok()?;
            let size = usize::from_str_radix(size.trim(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).ok()?;
            body.extend(&chunk[..size]);
            if size == 0 {
                break;
            }
        }
    }
    if header("content-encoding").is_some_and(|coding| coding == "gzip") {
        let packed = std::mem::take(&mut body);
        GzDecoder::new(&packed[..]).read_to_end(&mut body).ok()?;
    }
    Some(Asked { path, headers, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
}
