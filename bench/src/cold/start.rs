//! Starts a program and measures the time from `exec` to its first answer.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Pause between two attempts to connect.
const CONNECT_INTERVAL: Duration = Duration::from_micros(100);
/// Timeout of a program to listen, and of its first answer.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// The first request to a new process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// Liveness check.
    Health,
    /// Readiness check, which Cloud Run makes before it sends requests.
    Ready,
    /// The function's own request, with none before it, so that its connections are opened for it.
    Work,
}

impl Question {
    pub(crate) const ALL: [Self; 3] = [Self::Health, Self::Ready, Self::Work];
}

/// A program with its environment variables.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    environment: Vec<(String, String)>,
}

impl Program {
    /// Makes a function's program with its own database role.
    pub(crate) fn new(v: &HashMap<String, String>, folder: &Path, name: &str) -> Self {
        let mut environment: Vec<(String, String)> =
            ["REDIS_URL", "SIGNING_KEY", "PUBLIC_URL", "LICENSE_KEY_PEPPER", "STRIPE_WEBHOOK_SECRETS", "FUNCTION_URLS"]
                .iter()
                .map(|name| ((*name).to_owned(), v[*name].clone()))
                .collect();
        // No request is made with it: billing only needs one to start.
        environment.push(("STRIPE_API_KEY".to_owned(), "sk_test_none".to_owned()));
        let file = format!("{}/function-password", v["BENCH_STACK_DIR"]);
        let password = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file}: {e}"));
        let role = if name == super::ALL { "all".to_owned() } else { name.replace('-', "_") };
        let (_, place) = v["DATABASE_URL"].rsplit_once('@').expect("a URL with a user");
        let url = format!("postgresql://coditect_{role}:{}@{place}", password.trim());
        environment.push(("DATABASE_URL".to_owned(), url));
        Self { name: name.to_owned(), path: folder.join(name), environment }
    }

    /// Takes the program's file out of memory, so that the next start reads it from the disk.
    pub(crate) fn forget(&self) {
        let input = format!("if={}", self.path.display());
        let status = Command::new("dd").args([&input, "iflag=nocache", "count=0", "status=none"]).status();
        assert!(status.is_ok_and(|status| status.success()), "dd can tell the kernel to forget a file");
        let left =
            Command::new("fincore").args(["--bytes", "--noheadings", "--output", "RES"]).arg(&self.path).output();
        let left = left.expect("fincore").stdout;
        let left = String::from_utf8_lossy(&left);
        assert_eq!(left.trim(), "0", "bytes of {} in memory: put it on a disk", self.path.display());
    }

    /// Starts it with nothing but its own environment, and sends the request as soon as it listens.
    pub(crate) fn start(&self, request: &[u8], status: u16) -> Started {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new(&self.path);
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value))).env("PORT", &address);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let began = Instant::now();
        let process = Running(command.spawn().unwrap_or_else(|e| panic!("{}: {e}", self.path.display())));
        let mut stream = loop {
            if let Ok(stream) = TcpStream::connect(&address) {
                break stream;
            }
            assert!(began.elapsed() < START_TIMEOUT, "{} never listened", self.name);
            std::thread::sleep(CONNECT_INTERVAL);
        };
        stream.set_read_timeout(Some(START_TIMEOUT)).expect("a TCP socket");
        let mut head = [0; 12];
        let asked = stream.write_all(request).and_then(|()| stream.read_exact(&mut head));
        let to_answer = began.elapsed();
        asked.unwrap_or_else(|e| panic!("{} never answered: {e}", self.name));
        assert!(head.ends_with(status.to_string().as_bytes()), "{}: {}", self.name, String::from_utf8_lossy(&head));
        Started { to_answer, process }
    }
}

/// A process that has answered; ended when dropped.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) to_answer: Duration,
    process: Running,
}

impl Started {
    /// Returns its resident memory in bytes, from `/proc`.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.0.id())).unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
        let kib = line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).expect("it runs");
        kib * 1024
    }
}

#[derive(Debug)]
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns a GET request as bytes.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n").into_bytes()
}
