//! The records that are pushed: some fields, words as people write them, 500 bytes of canonical JSON.

use jiff::Timestamp;
use protocol::content::{ContentHash, canonical_json};
use serde_json::json;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// The length of a content in canonical JSON.
pub(crate) const CONTENT_BYTES: usize = 500;

/// Records of a push.
pub(crate) const BATCH: usize = 100;

/// The device that pushes.
pub(crate) const DEVICE: &str = "bench-laptop";

const PROJECT: &str = "coditect-bench";

const WORDS: [&str; 64] = [
    "the",
    "cache",
    "of",
    "queue",
    "is",
    "written",
    "before",
    "answer",
    "and",
    "tests",
    "cover",
    "every",
    "branch",
    "when",
    "retry",
    "fails",
    "with",
    "timeout",
    "because",
    "index",
    "was",
    "dropped",
    "by",
    "migration",
    "a",
    "module",
    "keeps",
    "state",
    "in",
    "memory",
    "until",
    "commit",
    "we",
    "chose",
    "Postgres",
    "over",
    "files",
    "for",
    "locking",
    "user",
    "asked",
    "to",
    "rename",
    "handler",
    "parser",
    "returns",
    "an",
    "error",
    "instead",
    "schema",
    "version",
    "must",
    "match",
    "client",
    "session",
    "token",
    "expires",
    "after",
    "minutes",
    "please",
    "check",
    "logs",
    "on",
    "deploy",
];

/// The kinds of a batch, by turns: mostly messages, as a day's work is.
const KINDS: [(i16, &str); 10] = [
    (1, "message"),
    (1, "message"),
    (1, "message"),
    (1, "message"),
    (2, "task"),
    (1, "message"),
    (3, "decision"),
    (1, "message"),
    (4, "skill_learning"),
    (2, "task"),
];

/// New records column by column, as a push writes them in the end.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) kinds: Vec<i16>,
    pub(crate) ids: Vec<String>,
    pub(crate) projects: Vec<Option<String>>,
    pub(crate) statuses: Vec<Option<String>>,
    pub(crate) updated: Vec<Timestamp>,
    pub(crate) deletions: Vec<bool>,
    pub(crate) bases: Vec<Option<i64>>,
    pub(crate) hashes: Vec<Vec<u8>>,
    pub(crate) contents: Vec<Option<Vec<u8>>>,
}

impl Records {
    /// Makes a batch of new records.
    pub(crate) fn new(count: usize) -> Self {
        let mut records = Self::default();
        let now = Timestamp::now();
        for n in 0..count {
            let id = Uuid::now_v7();
            let kind = KINDS[n % KINDS.len()].0;
            let status = (kind == 2).then(|| "in_progress".to_owned());
            let content = content(id, status.as_deref());
            records.kinds.push(kind);
            records.ids.push(id.to_string());
            records.projects.push(Some(PROJECT.to_owned()));
            records.statuses.push(status);
            records.updated.push(now);
            records.deletions.push(false);
            records.bases.push(None);
            records.hashes.push(ContentHash::of_canonical(&content).as_bytes().to_vec());
            records.contents.push(Some(content));
        }
        records
    }

    /// Returns the number of records.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Returns the body of the push that sends them.
    pub(crate) fn body(&self) -> String {
        let records: Vec<String> = (0..self.len())
            .map(|n| {
                let kind = KINDS.iter().find(|kind| kind.0 == self.kinds[n]).map_or("message", |kind| kind.1);
                let content = String::from_utf8_lossy(self.contents[n].as_deref().unwrap_or(b"null"));
                let (id, updated_at) = (&self.ids[n], self.updated[n]);
                format!(
                    r#"{{"kind":"{kind}","id":"{id}","project_id":"{PROJECT}","content":{content},"updated_at":"{updated_at}"}}"#
                )
            })
            .collect();
        format!(r#"{{"device_id":"{DEVICE}","records":[{}]}}"#, records.join(","))
    }

    /// Returns the parameters of a statement, in the order of the columns.
    pub(crate) fn columns(&self) -> [&(dyn ToSql + Sync); 8] {
        let Self { kinds, ids, projects, statuses, updated, deletions, hashes, contents, .. } = self;
        [kinds, ids, projects, statuses, updated, deletions, hashes, contents]
    }
}

/// Makes canonical JSON of `CONTENT_BYTES`, different for each id.
fn content(id: Uuid, status: Option<&str>) -> Vec<u8> {
    let mut seed = id.as_u128() as u64 | 1;
    let mut word = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        WORDS[(seed % WORDS.len() as u64) as usize]
    };
    let title: Vec<&str> = (0..6).map(|_| word()).collect();
    let mut content = json!({
        "author": "agent", "description": "", "session_id": id.to_string(), "tags": [word(), word(), word()],
        "title": title.join(" "), "tokens": {"input": 1280, "output": 344}, "user_corrections": 0,
    });
    if let Some(status) = status {
        content["status"] = status.into();
    }
    let without = canonical_json(&content).expect("a content of ours").len();
    let mut text = String::new();
    while text.len() < CONTENT_BYTES {
        text.push_str(word());
        text.push(' ');
    }
    text.truncate(CONTENT_BYTES - without);
    content["description"] = text.into();
    canonical_json(&content).expect("a content of ours")
}
