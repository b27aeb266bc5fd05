//! Load on one HTTP server: a number of users on connections of their own, each sending its next request when the last
//! one was answered (and, when paced, not before its time).
//!
//! The generator shares the machine with what it measures, so that it does as little as it can: requests are bytes made
//! beforehand, and of an answer only the status and the length are read.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Results of a load.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    pub(crate) latencies: Vec<Duration>,
    pub(crate) errors: usize,
    /// The bodies of the answers, where they were asked for.
    pub(crate) bodies: Vec<Vec<u8>>,
}

impl Measured {
    /// The latency that this share of requests stayed under.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
    }
}

/// Parameters of a load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) users: usize,
    pub(crate) requests_per_user: usize,
    /// The time between the starts of a user's requests; `None`: as fast as the answers come.
    pub(crate) pace: Option<Duration>,
    pub(crate) keep_bodies: bool,
}

/// Sends `request(user, n)` for each user and n.
pub(crate) async fn run(address: &str, plan: Plan, request: impl Fn(usize, usize) -> Vec<u8>) -> Measured {
    let scripts: Vec<Vec<Vec<u8>>> =
        (0..plan.users).map(|user| (0..plan.requests_per_user).map(|n| request(user, n)).collect()).collect();
    let started = Instant::now();
    let users = scripts.into_iter().enumerate().map(|(user, script)| {
        let address = address.to_owned();
        tokio::spawn(async move { one_user(&address, plan, user, script).await })
    });
    let results = futures_util::future::join_all(users).await;
    let elapsed = started.elapsed();
    let mut all = Measured { per_second: 0.0, latencies: Vec::new(), errors: 0, bodies: Vec::new() };
    for result in results {
        let one = result.expect("a user doesn't panic");
        all.latencies.extend(one.latencies);
        all.errors += one.errors;
        all.bodies.extend(one.bodies);
    }
    all.latencies.sort_unstable();
    all.per_second = all.latencies.len() as f64 / elapsed.as_secs_f64();
    all
}

async fn one_user(address: &str, plan: Plan, user: usize, script: Vec<Vec<u8>>) -> Measured {
    let mut measured =
        Measured { per_second: 0.0, latencies: Vec::with_capacity(script.len()), errors: 0, bodies: Vec::new() };
    let mut connection = Connection::open(address).await;
    // Users start spread over one pace, as people do.
    let offset = plan.pace.map_or(Duration::ZERO, |pace| pace.mul_f64(user as f64 / plan.users as f64));
    let begin = Instant::now() + offset;
    for (n, request) in script.iter().enumerate() {
        if let Some(pace) = plan.pace {
            tokio::time::sleep_until((begin + pace * u32::try_from(n).unwrap_or(u32::MAX)).into()).await;
        }
        let sent = Instant::now();
        let (status, body) = connection.ask(request).await;
        measured.latencies.push(sent.elapsed());
        if !(200..300).contains(&status) {
            measured.errors += 1;
        } else if plan.keep_bodies {
            measured.bodies.push(body);
        }
    }
    measured
}

/// A connection that stays open.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        stream.set_nodelay(true).expect("a TCP socket");
        Self { stream, buffer: Vec::with_capacity(8192) }
    }

    /// Sends a request and returns status and body.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> (u16, Vec<u8>) {
        let (status, body) = self.exchange(request).await;
        (status, body.to_vec())
    }

    /// Sends a request and returns the body without a copy: it stays here until the next request. A chunked body includes
    /// the lengths of its chunks.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> (u16, &[u8]) {
        self.stream.write_all(request).await.expect("the server reads");
        let (status, head) = answer(&mut self.stream, &mut self.buffer).await;
        (status, &self.buffer[head..])
    }
}

/// Reads one answer; returns its status, and the offset of its body.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> (u16, usize) {
    buffer.clear();
    let mut head = None;
    loop {
        let read = stream.read_buf(buffer).await.expect("the server answers");
        assert!(read > 0, "the server closed the connection: {}", String::from_utf8_lossy(buffer));
        if head.is_none() {
            head = find(buffer, b"\r\n\r\n").map(|at| (at + 4, content_length(&buffer[..at])));
        }
        let Some((begin, length)) = head else { continue };
        let is_whole = match length {
            Some(length) => buffer.len() >= begin + length,
            None => buffer[begin..].ends_with(b"\r\n0\r\n\r\n"),
        };
        if is_whole {
            let status = std::str::from_utf8(&buffer[9..12]).ok().and_then(|s| s.parse().ok()).unwrap_or(0);
            return (status, begin);
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

/// Returns the length of the body that follows; `None` if it is chunked.
fn content_length(head: &[u8]) -> Option<usize> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    if head.contains("\r\ntransfer-encoding: chunked") {
        return None;
    }
    Some(head.split("\r\n").find_map(|l| l.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0))
}

/// Returns a POST request as bytes.
pub(crate) fn post(path: &str, bearer: Option<&str>, body: &str) -> Vec<u8> {
    post_with(path, &bearer.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default(), body)
}

/// Returns a POST request with a header line, or none, as bytes.
pub(crate) fn post_with(path: &str, header: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n{header}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Returns the `host:port` of a URL.
pub(crate) fn address(url: &str) -> String {
    url.trim_start_matches("http://").trim_end_matches('/').to_owned()
}
