//! Two machines whose processes are killed at random: nothing is lost, and nothing is doubled.
//!
//! `CODITECT_ROUNDS` sets the number of rounds, `CODITECT_CRASH_SEED` their random seed.

use std::collections::HashSet;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use coditect::{Context, Filter, Kind};
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::machine::Machine;
use crate::queue::id;
use crate::stream::Stream;
use crate::sync::{context, put, sync};

/// The kinds whose rows are beside the queue, and those whose rows are in another file.
const KINDS: [Kind; 3] = [Kind::Task, Kind::Decision, Kind::ProjectContext];

#[expect(clippy::disallowed_methods, reason = "a test's own knobs")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// A pseudorandom number generator with a seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// Kills a process at a random moment of its life, of whatever length that is on this machine: about half of them get to
/// their end.
struct Killer {
    window: f64,
    killed: u32,
    finished: u32,
}

impl Killer {
    fn new() -> Self {
        Self { window: 100_000.0, killed: 0, finished: 0 }
    }

    fn kill(&mut self, mut child: Child, dice: &mut Dice) {
        thread::sleep(Duration::from_micros(dice.roll(self.window as u64)));
        let _ = child.kill();
        if child.wait().unwrap().success() {
            self.finished += 1;
            self.window *= 0.8;
        } else {
            self.killed += 1;
            self.window *= 1.25;
        }
    }
}

#[derive(Default)]
struct Edits {
    /// Edits that were confirmed, and must reach the cloud.
    written: Vec<(Kind, String, Value)>,
    count: u64,
}

impl Edits {
    fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    fn make(&mut self, here: &Context, dice: &mut Dice) {
        let kind = KINDS[usize::try_from(dice.roll(3)).unwrap()];
        let record = format!("r{}", dice.roll(4));
        if dice.roll(8) == 0 {
            here.store().delete(kind, &id(&record)).unwrap();
            return;
        }
        let content = json!({"edit": self.next()});
        put(here, kind, &record, content.clone());
        self.written.push((kind, record, content));
    }

    /// Makes an edit by a process that may be killed before it confirms it.
    fn make_and_kill(&mut self, machine: &Machine, dice: &mut Dice) {
        let record = format!("k{}", self.count);
        let content = json!({"edit": self.next(), "status": "pending"});
        let text = content.to_string();
        let mut child = quietly(machine, &["task", "add", "--id", &record, "--content", &text]);
        thread::sleep(Duration::from_micros(dice.roll(25_000)));
        let _ = child.kill();
        if child.wait().unwrap().success() {
            self.written.push((Kind::Task, record, content));
        }
    }
}

fn quietly(machine: &Machine, arguments: &[&str]) -> Child {
    machine.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn killed_at_any_moment_nothing_is_lost_or_doubled() {
    let rounds = number("CODITECT_ROUNDS").unwrap_or(30);
    let seed = number("CODITECT_CRASH_SEED").unwrap_or(0x5eed);
    println!("CODITECT_CRASH_SEED={seed}");
    let mut dice = Dice(seed);
    let cloud = Cloud::start();
    let machines = [Machine::syncing(&cloud.url), Machine::syncing(&cloud.url)];
    let contexts = [context(&machines[0]), context(&machines[1])];
    cloud.stream().page = Some(3);
    cloud.mood().loses = "/push";
    let mut edits = Edits::default();
    let mut killer = Killer::new();
    for round in 0..rounds {
        let which = usize::try_from(dice.roll(2)).unwrap();
        let (machine, here) = (&machines[which], &contexts[which]);
        (0..dice.roll(4)).for_each(|_| edits.make(here, &mut dice));
        if dice.roll(3) == 0 {
            edits.make_and_kill(machine, &mut dice);
        }
        cloud.mood().lose_answers = u32::from(dice.roll(4) == 0);
        let child = quietly(machine, &["sync"]);
        // A writer does not wait for the sync, nor the sync for the writer.
        (0..dice.roll(3)).for_each(|_| edits.make(here, &mut dice));
        killer.kill(child, &mut dice);
        if round % 50 == 49 {
            cloud.mood().lose_answers = 0;
            agree(&cloud, &contexts, &edits);
        }
    }
    cloud.mood().lose_answers = 0;
    agree(&cloud, &contexts, &edits);
    let Killer { killed, finished, .. } = killer;
    println!("{rounds} rounds: {killed} killed, {finished} finished, {} edits", edits.written.len());
}

#[test]
fn killed_while_it_compares_everything_again_nothing_is_lost() {
    let mut dice = Dice(number("CODITECT_CRASH_SEED").unwrap_or(0x5eed));
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    let here = context(&machine);
    let empty = cloud.stream().clone();
    for n in 0..20 {
        KINDS.iter().for_each(|kind| put(&here, *kind, &format!("r{n}"), json!({ "n": n })));
    }
    sync(&here);
    let full = cloud.stream().clone();
    let mut killer = Killer::new();
    for backup in [empty, full.clone()].iter().cycle().take(6) {
        cloud.stream().restore(backup.clone());
        cloud.stream().page = Some(7);
        (0..4).for_each(|_| killer.kill(quietly(&machine, &["sync"]), &mut dice));
        sync(&here);
        same(&cloud.stream(), &here);
        let stream = cloud.stream();
        assert_eq!(stream.records.len(), full.records.len());
        assert!(stream.records.values().all(|kept| kept.history.is_empty() && kept.current.version == 1));
    }
    println!("{} killed, {} finished", killer.killed, killer.finished);
}

/// Syncs both machines until nothing is left, and checks the result.
fn agree(cloud: &Cloud, contexts: &[Context; 2], edits: &Edits) {
    (0..2).for_each(|_| contexts.iter().for_each(|here| drop(sync(here))));
    let stream = cloud.stream();
    for (kind, record, content) in &edits.written {
        let there = stream.ever(*kind, record).into_iter().filter(|change| change.content == *content).count();
        assert_eq!(there, 1, "{kind} {record} {content}");
    }
    for ((kind, id), kept) in &stream.records {
        let mut seen = HashSet::new();
        for change in stream.ever(*kind, id.as_str()) {
            let once = seen.insert((change.hash, change.deleted, change.updated_at, change.device_id.clone()));
            assert!(once, "{kind} {id}: {change:?} is there twice, of {:?}", kept.history);
        }
    }
    for here in contexts {
        same(&stream, here);
        assert_eq!(here.store().queue(10).unwrap(), []);
    }
}

/// Checks that a machine shows the same records as the cloud.
fn same(stream: &Stream, here: &Context) {
    for kind in KINDS {
        let everything = Filter { limit: usize::MAX / 2, ..Filter::default() };
        let mut shown = here.store().list(kind, &everything).unwrap();
        shown.sort_by(|a, b| a.id.cmp(&b.id));
        let shown: Vec<_> = shown.iter().map(|entry| (&entry.id, &entry.content, entry.version)).collect();
        let there = stream.records.iter().filter(|((its, _), kept)| *its == kind && !kept.current.deleted);
        let there: Vec<_> =
            there.map(|((_, id), kept)| (id, &kept.current.content, Some(kept.current.version))).collect();
        assert_eq!(shown, there);
    }
}
