//! Answers that come before the request's body has: no later request is lost, and nothing of a refused one is kept.

use std::time::{Duration, Instant};

use serde_json::json;
use testing::World;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::{ACQUIRE, AUTH, HEARTBEAT, PUSH, all};

/// A connection as a simple client has it: it writes its whole request before it reads the answer.
struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

/// The head of an answer.
struct Head {
    status: u16,
    text: String,
}

impl Connection {
    async fn open(url: &str) -> Self {
        let stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
        Self { stream, read: Vec::new() }
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next answer; `None` when the connection ends instead.
    async fn answer(&mut self) -> Option<Head> {
        let length = |head: &str| {
            let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-length:"))?;
            line.split(':').nth(1)?.trim().parse::<usize>().ok()
        };
        loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                let text = String::from_utf8(self.read[..end].to_vec()).unwrap();
                let whole = end + 4 + length(&text).unwrap_or(0);
                if self.read.len() >= whole {
                    self.read.drain(..whole);
                    return Some(Head { status: text[9..12].parse().unwrap(), text: text.to_ascii_lowercase() });
                }
            }
            if self.stream.read_buf(&mut self.read).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    async fn ends(&mut self) -> bool {
        self.answer().await.is_none()
    }
}

fn request(line: &str, headers: &[&str], body: usize) -> Vec<u8> {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let head = format!("{line} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {body}\r\n\r\n");
    [head.into_bytes(), vec![b' '; body]].concat()
}

const JSON: &str = "content-type: application/json";

#[tokio::test]
async fn a_refused_body_costs_no_later_request_of_its_connection() {
    let world = World::new().await;
    let client = all(&world).await;
    let mut connection = Connection::open(client.url()).await;
    let lines = [
        (format!("POST {ACQUIRE}"), JSON, 401),
        (format!("POST {HEARTBEAT}"), JSON, 401),
        ("POST /nowhere".to_owned(), JSON, 404),
        (format!("PUT {AUTH}"), JSON, 405),
        (format!("POST {AUTH}"), JSON, 413),
        (format!("POST {AUTH}"), "content-type: text/plain", 415),
        (format!("POST {PUSH}"), JSON, 401),
    ];
    for round in 0..10 {
        for (line, kind, status) in &lines {
            connection.write(&request(line, &[kind], 100_000 + round * 77_777)).await;
            let answer = connection.answer().await.unwrap_or_else(|| panic!("{line} ended the connection"));
            assert_eq!(answer.status, *status, "{line}");
            assert!(!answer.text.contains("connection: close"), "{line}");
        }
    }
    connection.write(&request("GET /health", &[], 0)).await;
    assert_eq!(connection.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn an_answer_that_ends_its_connection_says_so() {
    let world = World::new().await;
    let client = all(&world).await;
    let post = format!("POST {AUTH} HTTP/1.1\r\nhost: x\r\n{JSON}\r\n");
    let far_too_long = format!("{post}content-length: 10000000000\r\n\r\n  ");
    let of_unknown_length =
        format!("PUT {AUTH} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\n     \r\n");
    let waiting = format!("{post}content-length: 100000\r\nexpect: 100-continue\r\n\r\n");
    for (head, status) in [(far_too_long, 413), (of_unknown_length, 405), (waiting, 413)] {
        let mut connection = Connection::open(client.url()).await;
        connection.write(head.as_bytes()).await;
        // At once: nothing is waited for.
        let answer = connection.answer().await.unwrap();
        assert_eq!(answer.status, status, "{head}");
        assert!(answer.text.contains("connection: close"), "{head}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_head_that_does_not_come_is_waited_for_for_seconds_alone() {
    let world = World::new().await;
    let client = all(&world).await;
    let begin = Instant::now();
    let mut silent = Connection::open(client.url()).await;
    let mut slow = Connection::open(client.url()).await;
    slow.write(b"GET /health HTTP/1.1\r\nhost: x\r\nx-a: ").await;
    // One that has asked may wait for longer than that with its next request.
    let mut idle = Connection::open(client.url()).await;
    idle.write(&request("GET /health", &[], 0)).await;
    assert_eq!(idle.answer().await.unwrap().status, 200);
    assert!(silent.ends().await && slow.ends().await);
    assert!(begin.elapsed() < Duration::from_secs(15));
    idle.write(&request("GET /health", &[], 0)).await;
    assert_eq!(idle.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn only_http_1_is_spoken() {
    let world = World::new().await;
    let client = all(&world).await;
    let mut connection = Connection::open(client.url()).await;
    // The preface of HTTP/2 in clear, and an empty frame of settings.
    connection.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    let mut answer = Vec::new();
    let _ = connection.stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 "), "{answer:?}");
}

#[tokio::test]
async fn refused_bodies_are_not_kept() {
    const BODY: usize = 31 << 20;
    let world = World::new().await;
    let process = world.spawn(env!("CARGO_BIN_EXE_all-in-one"), "coditect_all").await;
    let before = process.peak_memory();
    let senders = (0..12).map(|n| {
        let url = process.client.url().to_owned();
        async move {
            let mut connection = Connection::open(&url).await;
            let kind = if n % 2 == 0 { JSON } else { "content-type: text/plain" };
            connection.write(&request(&format!("POST {AUTH}"), &[kind], BODY)).await;
            connection.answer().await.unwrap().status
        }
    });
    let statuses = futures_util::future::join_all(senders).await;
    assert_eq!(statuses, [413, 415].repeat(6));
    let more = process.peak_memory() - before;
    assert!(more < 40 << 20, "{more} bytes for refused bodies");
    process.client.post(AUTH, json!({}), 422).await;
}
