//! A client's first pull of a whole stream, by the real command line on a machine that has nothing yet.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::cpu;
use super::pull::{Pages, STREAM, Stream};
use super::round::ROUNDS;
use crate::load::{self, Connection};
use crate::table::{self, rate};

struct Machine<'a> {
    program: PathBuf,
    home: PathBuf,
    cloud: &'a str,
}

impl Machine<'_> {
    fn coditect(&self, words: &[&str]) {
        let mut command = Command::new(&self.program);
        command.env_clear().env("CODITECT_HOME", &self.home).env("CODITECT_HARDWARE_ID", "b".repeat(64)).args(words);
        let output = command.output().expect("a program");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "coditect {words:?}: {said}");
    }

    /// A machine with nothing but a license.
    fn begin(&self, key: &str) {
        let _ = std::fs::remove_dir_all(&self.home);
        self.coditect(&["config", "set", "cloud-url", self.cloud]);
        self.coditect(&["activate", key]);
        self.coditect(&["config", "set", "sync", "on"]);
    }
}

async fn read(address: &str, pages: &Pages) -> Duration {
    let mut connection = Connection::open(address).await;
    let began = Instant::now();
    for request in &pages.requests {
        assert_eq!(connection.exchange(request).await.0, 200, "a page");
    }
    began.elapsed()
}

/// The table of first pulls.
pub(crate) async fn table(v: &HashMap<String, String>, stream: &Stream<'_>) -> String {
    let program = PathBuf::from(&v["BENCH_CLIENT"]);
    let home = Path::new(&v["BENCH_STACK_DIR"]).join("bench-machine");
    let machine = Machine { program, home, cloud: &v["CODITECT_URL"] };
    let address = load::address(&v["SYNC_PULL_URL"]);
    let (mut ours, mut cpu, mut plain, mut gzip) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        machine.begin(&stream.tenant.key);
        let before = cpu::of_ended_children();
        let began = Instant::now();
        machine.coditect(&["sync", "pull"]);
        ours.push(began.elapsed());
        cpu.push(cpu::of_ended_children().saturating_sub(before));
        plain.push(read(&address, &stream.plain).await);
        gzip.push(read(&address, &stream.gzip).await);
    }
    let cpu = format!("{:.2} s of its own processor time", median(cpu).as_secs_f64());
    let pages = stream.plain.requests.len();
    let rows = vec![
        row(&format!("the same {pages} pages, only read"), median(plain), String::new()),
        row(&format!("the same {pages} pages, gzip, only read"), median(gzip), String::new()),
        row("**coditect sync pull**, on a new machine", median(ours), cpu),
    ];
    table::table(&["100,000 records, once", "time", "records per second", ""], rows)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn row(what: &str, time: Duration, note: String) -> Vec<String> {
    let seconds = time.as_secs_f64();
    vec![what.to_owned(), format!("{seconds:.2} s"), rate(STREAM as f64 / seconds), note]
}
