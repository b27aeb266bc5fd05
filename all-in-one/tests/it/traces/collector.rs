//! A third-party OpenTelemetry collector; see `all-in-one/tests/telemetry/collector.py`.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Map, Value};

pub(crate) struct Collector {
    pub(crate) url: String,
    lines: Receiver<Value>,
}

#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) service: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) start: f64,
    pub(crate) seconds: f64,
    pub(crate) attributes: Map<String, Value>,
}

impl Collector {
    pub(crate) fn start(words: &'static [&'static str]) -> Self {
        let (tell, told) = channel();
        let (begin, begun) = channel();
        // The kernel kills it when the thread that started it ends, so the same thread reads its output.
        std::thread::spawn(move || {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/telemetry");
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL"]).arg(script).arg("collector").args(words);
            let mut collector = command.stdout(Stdio::piped()).spawn().unwrap();
            let mut said = BufReader::new(collector.stdout.take().unwrap()).lines().map_while(Result::ok);
            begin.send(said.next()).unwrap();
            for line in said {
                if tell.send(serde_json::from_str(&line).unwrap()).is_err() {
                    break;
                }
            }
            let _ = collector.kill();
            let _ = collector.wait();
        });
        let url =
            begun.recv().unwrap().expect("the collector didn't start; run scripts/telemetry collector to see why");
        Self { url, lines: told }
    }

    /// Returns the spans that have arrived. The collector prints a span before it acknowledges it, and so before the sender ends.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(Duration::from_millis(500)) {
            if line.get("span").is_some() {
                let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
                spans.push(Span {
                    name: text("span"),
                    kind: text("kind"),
                    service: text("service"),
                    trace: text("trace_id"),
                    id: text("span_id"),
                    parent: text("parent"),
                    start: line["start"].as_f64().unwrap(),
                    seconds: line["seconds"].as_f64().unwrap(),
                    attributes: line["attributes"].as_object().unwrap().clone(),
                });
            }
        }
        spans
    }

    /// Returns the next request for anything else: its path, and its `traceparent`.
    pub(crate) fn call(&self) -> (String, Option<String>) {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(10)).expect("a call");
            if let Some(path) = line["request"].as_str() {
                return (path.to_owned(), line["traceparent"].as_str().map(str::to_owned));
            }
        }
    }
}
