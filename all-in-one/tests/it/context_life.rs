//! Two developers' machines with the real command line, and the real cloud between them.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use testing::World;
use testing::process::Process;
use testing::world::License;

use crate::machine::Machine;

/// A deployment, and a license of a plan that syncs.
struct Cloud {
    _world: World,
    process: Process,
    license: License,
}

impl Cloud {
    async fn start() -> Self {
        let world = World::new().await;
        let license = world.license(world.tenant("acme").await, "TEAM", 5).await;
        let process = world.spawn_public(env!("CARGO_BIN_EXE_all-in-one"), "coditect_all").await;
        Self { _world: world, process, license }
    }

    fn machine(&self, n: usize) -> Machine {
        let machine = Machine::new(n, self.process.client.url());
        for words in [&["activate", &self.license.key.to_string()][..], &["config", "set", "sync", "on"]] {
            let (status, said) = machine.coditect(words);
            assert_eq!(status, 0, "{said}");
        }
        machine
    }
}

/// The tasks of a machine by their ids.
fn tasks(machine: &Machine) -> BTreeMap<String, Value> {
    let list = machine.json(&["task", "list", "--limit", "10000"]);
    let tasks = list["data"].as_array().unwrap().iter();
    tasks.map(|task| (task["id"].as_str().unwrap().to_owned(), task["content"].clone())).collect()
}

/// Returns the texts of a task's history in the cloud: the current one, the earlier ones, and those that lost a conflict.
fn history(machine: &Machine, id: &str) -> Vec<(String, String)> {
    let task = machine.json(&["task", "show", id, "--history"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entries = task["data"].as_array().unwrap_or_else(|| panic!("no history in {task:#}")).iter();
    entries.map(|entry| (text(&entry["outcome"]), text(&entry["content"]["description"]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_changed_offline_meets_and_nothing_is_lost() {
    let mut cloud = Cloud::start().await;
    let (anna, ben) = (cloud.machine(1), cloud.machine(2));
    anna.json(&["task", "add", "the plan", "--id", "shared"]);
    anna.json(&["decision", "add", "Use Postgres", "--id", "pg", "--why", "One store."]);
    anna.json(&["sync"]);
    ben.json(&["sync"]);
    assert_eq!(tasks(&ben)["shared"]["description"], "the plan");
    assert_eq!(ben.json(&["decision", "show", "pg"])["content"]["why"], "One store.");

    // The machines lose their connection, as on a train in a tunnel.
    let url = cloud.process.client.url().to_owned();
    cloud.process.kill();
    anna.json(&["task", "update", "shared", "Anna's plan"]);
    anna.json(&["task", "add", "only Anna's", "--id", "a"]);
    ben.json(&["task", "update", "shared", "Ben's plan"]);
    ben.json(&["task", "update", "shared", "Ben's better plan"]);
    ben.json(&["task", "add", "only Ben's", "--id", "b"]);
    let (status, said) = ben.coditect(&["sync"]);
    assert_eq!(status, 2, "{said}");
    let waits = ben.json(&["sync", "status"]);
    assert_eq!(waits["waiting"], json!(3), "{waits:#}");

    // The connection is back. The cloud is at another address now, as after a deployment.
    let process = cloud._world.spawn_public(env!("CARGO_BIN_EXE_all-in-one"), "coditect_all").await;
    assert_ne!(process.client.url(), url);
    for machine in [&anna, &ben] {
        assert_eq!(machine.coditect(&["config", "set", "cloud-url", process.client.url()]).0, 0);
    }
    for machine in [&anna, &ben, &anna] {
        machine.json(&["sync"]);
    }
    assert_eq!(tasks(&anna), tasks(&ben));
    let all: Vec<_> = tasks(&anna).into_iter().map(|(id, content)| (id, content["description"].clone())).collect();
    let expected = [("a", "only Anna's"), ("b", "only Ben's"), ("shared", "Ben's better plan")];
    assert_eq!(all, expected.map(|(id, text)| (id.to_owned(), json!(text))));
    let was: Vec<_> = history(&anna, "shared");
    let texts: Vec<_> = was.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["Ben's better plan", "Ben's plan", "Anna's plan", "the plan"], "{was:?}");
}

/// A pseudorandom number generator with a seed, so that a failure can be repeated.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        // Marsaglia's xorshift64, https://www.jstatsoft.org/article/view/v008i14
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Returns `CODITECT_ROUNDS`, 25 by default; a long run sets it to a thousand, for example.
fn rounds() -> u64 {
    std::env::vars().find(|(name, _)| name == "CODITECT_ROUNDS").map_or(25, |(_, rounds)| rounds.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_nothing_is_lost_or_doubled() {
    let cloud = Cloud::start().await;
    let machines = [cloud.machine(1), cloud.machine(2)];
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    // The texts that a command has confirmed, by task: each text is written once.
    let mut confirmed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut attempted = BTreeSet::new();
    for round in 0..rounds() {
        let machine = &machines[usize::from(chance.below(2) == 1)];
        let (id, text) = (format!("task-{}", chance.below(6)), format!("text {round}"));
        let verb = if tasks(machine).contains_key(&id) { "update" } else { "add" };
        let words: &[&str] =
            if verb == "add" { &["task", "add", &text, "--id", &id] } else { &["task", "update", &id, &text] };
        attempted.insert(text.clone());
        let mut change = machine.start(words);
        if chance.below(4) == 0 {
            sleep(Duration::from_micros(chance.below(20_000)));
            let _ = change.kill();
        }
        if change.wait().unwrap().success() {
            confirmed.entry(id).or_default().insert(text);
        }
        let mut syncs: Vec<_> = (0..chance.below(3)).map(|n| machines[n as usize].start(&["sync"])).collect();
        for sync in &mut syncs {
            sleep(Duration::from_micros(chance.below(60_000)));
            if chance.below(3) > 0 {
                let _ = sync.kill();
            }
            let _ = sync.wait();
        }
    }
    for machine in [&machines[0], &machines[1], &machines[0]] {
        machine.json(&["sync"]);
    }

    let (first, second) = (tasks(&machines[0]), tasks(&machines[1]));
    assert_eq!(first, second, "both have the same");
    let mut kept = BTreeSet::new();
    for id in first.keys() {
        for (_, text) in history(&machines[0], id) {
            assert!(attempted.contains(&text), "nobody wrote {text:?}");
            assert!(kept.insert(text.clone()), "{text:?} is there twice");
        }
    }
    let lost: Vec<_> = confirmed.values().flatten().filter(|text| !kept.contains(*text)).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    for machine in &machines {
        let status = machine.json(&["sync", "status"]);
        assert_eq!((&status["waiting"], &status["parked"]), (&json!(0), &json!(0)), "{status:#}");
    }
}
