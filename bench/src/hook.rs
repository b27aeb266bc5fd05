//! Times of `coditect hook task-plan` as an agent runs it: a whole process for each event, next to one that does nothing.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::table::{self, ms};

/// Number of changes in the queue; an event holds `PLAN` of them.
const QUEUE: usize = 10_000;
const PLAN: usize = 500;

/// Number of runs of each program.
const RUNS: usize = 50;

struct Agent {
    program: PathBuf,
    home: PathBuf,
}

impl Agent {
    /// Passes an event to the hook, and returns the time that the agent waited.
    fn send(&self, event: &str) -> Duration {
        let mut command = Command::new(&self.program);
        command.env_clear().env("CODITECT_HOME", &self.home).args(["hook", "task-plan"]);
        timed(command, event)
    }
}

fn timed(mut command: Command, input: &str) -> Duration {
    let began = Instant::now();
    let mut process = command.stdin(Stdio::piped()).spawn().expect("a program");
    // A program need not read its input.
    let _ = process.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
    let status = process.wait().expect("it ends");
    assert!(status.success(), "it always ends well");
    began.elapsed()
}

/// Returns a plan as an agent lists it, after the task `done` was finished.
fn event(session: usize, tasks: usize, done: usize) -> String {
    let list = |done: usize| -> Vec<Value> {
        let status = |n| if n < done { "completed" } else { "pending" };
        (0..tasks)
            .map(|n| {
                let content = format!("Step {n}: let the parser keep what it can't read, and say so in the answer");
                json!({"content": content, "status": status(n), "activeForm": "Working on it"})
            })
            .collect()
    };
    let (now, before) = (list(done), if done == 0 { Vec::new() } else { list(done - 1) });
    json!({
        "session_id": format!("bench-{session}"), "cwd": "/home/ada/bench", "hook_event_name": "PostToolUse", "tool_name": "TodoWrite",
        "tool_input": {"todos": now}, "tool_response": {"oldTodos": before, "newTodos": now},
    })
    .to_string()
}

/// Measures the hook and returns its table.
pub(crate) fn table(v: &HashMap<String, String>) -> String {
    let agent = Agent { program: v["BENCH_CLIENT"].clone().into(), home: v["BENCH_HOME"].clone().into() };
    for session in 0..QUEUE / PLAN {
        agent.send(&event(session, PLAN, 0));
    }
    let waits = waiting(&agent);
    assert!(waits >= QUEUE as u64, "{waits} changes wait");
    let nothing = || timed(Command::new("/bin/true"), "");
    // A plan of its own, of which one task after another is finished.
    let event = |done| event(QUEUE, RUNS + 2, done);
    agent.send(&event(0));
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for done in 1..=RUNS {
        let event = event(done);
        // An agent works between two events, and the cleanup that the last one started is done by then.
        std::thread::sleep(Duration::from_millis(100));
        bare.push(nothing());
        ours.push(agent.send(&event));
    }
    let rows =
        vec![row("/bin/true", bare), row(&format!("**coditect hook task-plan**, {QUEUE} changes waiting"), ours)];
    table::table(&["a whole process, warm", "median", "90th percentile"], rows)
}

fn row(what: &str, mut times: Vec<Duration>) -> Vec<String> {
    times.sort_unstable();
    vec![what.to_owned(), ms(times[times.len() / 2]), ms(times[times.len() * 9 / 10])]
}

/// Returns the number of changes that wait in the queue.
fn waiting(agent: &Agent) -> u64 {
    let mut command = Command::new(&agent.program);
    command.env_clear().env("CODITECT_HOME", &agent.home).args(["sync", "status", "--json"]);
    let output = command.output().expect("a program");
    let status: Value = serde_json::from_slice(&output.stdout).expect("its answer is JSON");
    status["waiting"].as_u64().expect("how many wait")
}
