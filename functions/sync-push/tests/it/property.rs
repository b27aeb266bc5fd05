//! Random pushes and pulls against the model: every answer, every page, and everything that is left at the end.

use std::cell::Cell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use testing::http::Client;

use crate::cloud::{Cloud, PUSH};
use crate::model::{Answered, Change, Kept, Model, Name, When};

const KINDS: [&str; 2] = ["decision", "task"];
const DEVICES: usize = 3;

/// The version that a change says it was made from.
#[derive(Debug, Clone, Copy)]
enum Base {
    None,
    /// The one that there is.
    Right,
    /// The one before.
    Stale,
    /// One that there isn't.
    Invented,
}

#[derive(Debug, Clone)]
enum Step {
    Push(usize, Vec<(Change, Base)>),
    /// A push of before once more, as it was.
    Retry(prop::sample::Index),
    /// A reader goes on.
    Pull(usize, usize),
    /// The plan allows so many records.
    Quota(Option<usize>),
    /// The plan keeps so many bytes of history.
    HistoryQuota(Option<usize>),
}

/// Query of each reader: kind and project.
const READERS: [(Option<&str>, Option<&str>); 4] =
    [(None, None), (Some("task"), None), (None, Some("p")), (Some("decision"), Some("q"))];

fn change() -> impl Strategy<Value = (Change, Base)> {
    let name = (prop::sample::select(&KINDS[..]), 0..3_u8).prop_map(|(kind, id)| (kind, format!("r{id}")));
    let text = prop_oneof![4 => prop::sample::select(&["one", "two", "three"][..]).prop_map(|t| Some(t.to_owned())), 1 => Just(None)];
    let project = prop_oneof![Just(None), Just(Some("p")), Just(Some("q"))];
    let when = prop_oneof![4 => (0..4_u8).prop_map(When::Past), 1 => (0..2_u8).prop_map(When::Future)];
    let base =
        prop_oneof![2 => Just(Base::None), 4 => Just(Base::Right), 2 => Just(Base::Stale), 1 => Just(Base::Invented)];
    (name, text, project, when, base)
        .prop_map(|(name, text, project, when, base)| (Change { name, text, project, when, base: None }, base))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..DEVICES, prop::collection::vec(change(), 1..5)).prop_map(|(device, changes)| Step::Push(device, changes)),
        3 => any::<prop::sample::Index>().prop_map(Step::Retry),
        5 => (0..READERS.len(), 1..5_usize).prop_map(|(reader, limit)| Step::Pull(reader, limit)),
        1 => prop::option::of(0..6_usize).prop_map(Step::Quota),
        2 => prop::option::of(0..3000_usize).prop_map(Step::HistoryQuota),
    ];
    prop::collection::vec(step, 1..24)
}

/// A reader: the cursor it was given, what the model calls that, and the versions it has seen.
#[derive(Debug, Default)]
struct Reader {
    cursor: String,
    after: u64,
    seen: BTreeMap<Name, Vec<u64>>,
}

/// One case: a tenant, and the model of it.
struct Case<'a> {
    cloud: &'a Cloud,
    push: Client,
    pull: Client,
    model: Model,
    pushed: Vec<(usize, Vec<Change>)>,
    readers: Vec<Reader>,
}

impl Case<'_> {
    async fn step(&mut self, step: &Step) {
        match step {
            Step::Push(device, changes) => {
                let version = |change: &Change| self.model.rows.get(&change.name).and_then(|row| row.version);
                let resolved = changes.iter().map(|(change, base)| Change {
                    base: match base {
                        Base::None => None,
                        Base::Right => version(change),
                        Base::Stale => version(change).map(|version| version - 1),
                        Base::Invented => Some(999),
                    },
                    ..change.clone()
                });
                let changes: Vec<Change> = resolved.collect();
                self.push(*device, &changes).await;
                self.pushed.push((*device, changes));
            }
            Step::Retry(which) if !self.pushed.is_empty() => {
                let (device, changes) = which.get(&self.pushed).clone();
                self.push(device, &changes).await;
            }
            Step::Retry(_) => {}
            Step::Pull(reader, limit) => {
                self.pull(*reader, *limit).await;
            }
            Step::Quota(max) => {
                self.limit("context_records", *max).await;
                self.model.max_records = *max;
            }
            Step::HistoryQuota(max) => {
                self.limit("context_history_bytes", *max).await;
                self.model.max_history_bytes = *max;
            }
        }
    }

    async fn limit(&self, quota: &str, max: Option<usize>) {
        let limit = max.map_or(-1, |max| max as i64);
        let sql = format!("update plans set quotas = quotas || '{{\"{quota}\": {limit}}}' where code = 'ENT'");
        self.cloud.world.sql(&sql).await;
    }

    async fn push(&mut self, device: usize, changes: &[Change]) {
        let records: Vec<Value> = changes.iter().map(Change::wire).collect();
        let body = json!({"device_id": format!("d{device}"), "records": records});
        let answer = self.push.post(PUSH, body, 200).await.body;
        let expected = self.model.push(device, changes);
        let answered: Vec<Answered> = answer["results"].as_array().unwrap().iter().map(told).collect();
        assert_eq!(answered, expected, "device {device}: {changes:#?}");
        let status = self.pull.get("/api/v1/context/status", 200).await.body;
        assert_eq!(status["records"]["used"], self.model.records(), "{status:#}");
        assert_eq!(status["history"]["used"], self.model.history_bytes(), "{status:#}");
    }

    async fn pull(&mut self, number: usize, limit: usize) -> bool {
        let ((kind, project), reader) = (READERS[number], &mut self.readers[number]);
        let mut query = format!("/api/v1/context/pull?limit={limit}{}", reader.cursor);
        for (name, value) in [("kind", kind), ("project_id", project)] {
            query.extend(value.map(|value| format!("&{name}={value}")));
        }
        let page = self.pull.get(&query, 200).await;
        let (expected, next) = self.model.page(reader.after, limit, kind, project);
        let records = page.body["records"].as_array().unwrap();
        assert_eq!(
            records.iter().map(shown).collect::<Vec<_>>(),
            expected.iter().map(|kept| row(kept)).collect::<Vec<_>>(),
            "{query}"
        );
        assert_eq!(page.body["has_more"], next < self.model.head, "{query}");
        for kept in &expected {
            let versions = reader.seen.entry(kept.change.name.clone()).or_default();
            let version = kept.version.unwrap();
            assert!(versions.last().is_none_or(|last| *last < version), "{:?} twice", kept.change.name);
            versions.push(version);
        }
        reader.after = next;
        reader.cursor = format!("&cursor={}", page.text("/next_cursor"));
        next < self.model.head
    }

    /// Every reader reads to the end, and every record's history and the totals are looked at.
    async fn end(&mut self) {
        for reader in 0..READERS.len() {
            while self.pull(reader, 2).await {}
        }
        let seen = &self.readers[0].seen;
        assert_eq!(seen.len(), self.model.rows.len());
        for (name, kept) in &self.model.rows {
            assert_eq!(seen[name].last().copied(), kept.version, "{name:?}");
            let (kind, id) = name;
            let history = self.pull.get(&format!("/api/v1/context/history?kind={kind}&id={id}"), 200).await.body;
            let mut was: Vec<(&Kept, &str)> = vec![(kept, "current")];
            for old in self.model.history.iter().filter(|old| old.change.name == *name) {
                was.push((old, if old.version.is_some() { "replaced" } else { "lost" }));
            }
            was.sort_by_key(|(kept, _)| std::cmp::Reverse(kept.seq));
            let expected: Vec<Value> = was.iter().take(50).map(|(kept, outcome)| entry(kept, outcome)).collect();
            let told: Vec<Value> = history["data"].as_array().unwrap().iter().map(told_entry).collect();
            assert_eq!(told, expected, "{name:?}");
        }
        self.cloud.status().await;
    }
}

fn told(result: &Value) -> Answered {
    const WORDS: [&str; 6] = ["created", "updated", "duplicate", "conflict", "repeated_id", "quota_exceeded"];
    let word = result["error"]["code"].as_str().or(result["status"].as_str()).unwrap();
    let word = WORDS.iter().find(|w| **w == word).unwrap_or_else(|| panic!("{result}"));
    (word, result["version"].as_u64(), result["content_hash"].as_str().map(str::to_owned))
}

fn row(kept: &Kept) -> Value {
    let change = &kept.change;
    json!([
        change.name.0,
        change.name.1,
        change.project,
        change.text,
        change.hash(),
        kept.version,
        change.when.text(),
        change.text.is_none(),
        format!("d{}", kept.device)
    ])
}

fn shown(record: &Value) -> Value {
    let names =
        ["kind", "id", "project_id", "content", "content_hash", "version", "updated_at", "deleted", "device_id"];
    let mut fields = names.map(|name| record[name].clone());
    fields[3] = fields[3]["text"].clone();
    json!(fields)
}

fn entry(kept: &Kept, outcome: &str) -> Value {
    let change = &kept.change;
    json!([
        outcome,
        kept.version,
        change.project,
        change.text,
        change.hash(),
        change.text.is_none(),
        change.when.text(),
        format!("d{}", kept.device)
    ])
}

fn told_entry(entry: &Value) -> Value {
    let names = ["outcome", "version", "project_id", "content", "content_hash", "deleted", "updated_at", "device_id"];
    let mut fields = names.map(|name| entry[name].clone());
    fields[3] = fields[3]["text"].clone();
    json!(fields)
}

#[test]
fn whatever_is_pushed_and_pulled_the_model_says_the_same() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let cloud = runtime.block_on(Cloud::new());
    let usual = ProptestConfig::default();
    // A quarter of the usual number, since each is a tenant's life over HTTP; PROPTEST_CASES asks for more.
    let cases = usual.cases / 4;
    let rng = proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    let config = ProptestConfig { cases, max_shrink_iters: 200, failure_persistence: None, ..usual };
    let number = Cell::new(0_u32);
    TestRunner::new_with_rng(config, rng)
        .run(&steps(), |steps| {
            number.set(number.get() + 1);
            runtime.block_on(async {
                let (_, push, pull) = cloud.other(&format!("case-{}", number.get()), "ENT").await;
                let readers = READERS.iter().map(|_| Reader::default()).collect();
                let mut case = Case { cloud: &cloud, push, pull, model: Model::default(), pushed: Vec::new(), readers };
                case.step(&Step::Quota(None)).await;
                case.step(&Step::HistoryQuota(None)).await;
                for step in &steps {
                    case.step(step).await;
                }
                case.end().await;
            });
            Ok(())
        })
        .unwrap();
}
