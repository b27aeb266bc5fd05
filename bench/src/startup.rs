//! What a function costs when it starts and when it waits: the price of scaling to zero.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;

/// What one binary costs.
#[derive(Debug)]
pub(crate) struct Cost {
    pub(crate) to_first_answer: Duration,
    pub(crate) size_bytes: u64,
    pub(crate) idle_bytes: u64,
}

/// Starts a function a few times with the caller's environment, and takes the median until it answers.
pub(crate) async fn cost(binary: &Path, database_url: &str) -> Cost {
    let mut times = Vec::new();
    let mut idle_bytes = 0;
    for _ in 0..5 {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let address = format!("127.0.0.1:{port}");
        let started = Instant::now();
        let mut child = Command::new(binary)
            .env("PORT", &address)
            .env("DATABASE_URL", database_url)
            .env("RUST_LOG", "error")
            // Nobody is asked with it: billing starts only with one.
            .env("STRIPE_API_KEY", "sk_test_none")
            .kill_on_drop(true)
            .spawn()
            .expect("the binary was built");
        while !answers(&address).await {
            assert!(started.elapsed() < Duration::from_secs(5), "{} never answered", binary.display());
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        times.push(started.elapsed());
        tokio::time::sleep(Duration::from_millis(500)).await;
        idle_bytes = resident(child.id().expect("it runs"));
        child.kill().await.expect("it was ours");
    }
    times.sort_unstable();
    let size_bytes = std::fs::metadata(binary).map(|m| m.len()).unwrap_or_default();
    Cost { to_first_answer: times[times.len() / 2], size_bytes, idle_bytes }
}

async fn answers(address: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(address).await else { return false };
    let asked = stream.write_all(b"GET /health HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n").await;
    let mut answer = [0; 12];
    asked.is_ok() && stream.read_exact(&mut answer).await.is_ok() && answer.ends_with(b"200")
}

/// Resident memory, from `/proc`.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default() * 1024
}
