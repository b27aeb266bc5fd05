//! A reference model of context sync, without SQL.

use std::collections::BTreeMap;

use protocol::content::ContentHash;
use serde_json::{Value, json};

/// A record's name: kind and id.
pub(crate) type Name = (&'static str, String);

/// Time of a change. A time in the future counts from its arrival at the server, which is later than all before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Past(u8),
    Future(u8),
}

impl When {
    pub(crate) fn text(self) -> String {
        match self {
            Self::Past(n) => format!("2020-01-01T00:00:{n:02}Z"),
            Self::Future(n) => format!("2120-01-01T00:00:{n:02}Z"),
        }
    }

    /// Where it stands among others, having reached the server as the n-th push.
    fn rank(self, push: usize) -> (bool, usize) {
        match self {
            Self::Past(n) => (false, usize::from(n)),
            Self::Future(_) => (true, push),
        }
    }
}

/// A change as its device made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) name: Name,
    /// The new content; `None` deletes the record.
    pub(crate) text: Option<String>,
    pub(crate) project: Option<&'static str>,
    pub(crate) when: When,
    pub(crate) base: Option<u64>,
}

impl Change {
    pub(crate) fn wire(&self) -> Value {
        let (kind, id) = &self.name;
        let mut record = json!({"kind": kind, "id": id, "project_id": self.project, "updated_at": self.when.text(), "base_version": self.base});
        match &self.text {
            Some(text) => record["content"] = json!({"text": text}),
            None => record["deleted"] = json!(true),
        }
        record
    }

    pub(crate) fn hash(&self) -> String {
        let content = self.text.as_ref().map_or(Value::Null, |text| json!({"text": text}));
        ContentHash::of(&content).unwrap().to_string()
    }
}

/// A change that the cloud has taken.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) change: Change,
    pub(crate) device: usize,
    push: usize,
    pub(crate) seq: u64,
    /// The version; `None` if it lost a conflict.
    pub(crate) version: Option<u64>,
    /// The push that replaced it, or with which it lost; none while it is a row.
    left: Option<usize>,
}

impl Kept {
    /// Its content's bytes, and 256 for its row.
    fn bytes(&self) -> usize {
        256 + self.change.text.as_ref().map_or(0, |text| json!({"text": text}).to_string().len())
    }

    fn is(&self, change: &Change, device: usize) -> bool {
        let own = &self.change;
        self.device == device
            && (own.hash(), own.text.is_none(), own.when) == (change.hash(), change.text.is_none(), change.when)
    }
}

/// Expected result of a record: status, or the code of a rejection; version and hash.
pub(crate) type Answered = (&'static str, Option<u64>, Option<String>);

/// A tenant.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) rows: BTreeMap<Name, Kept>,
    /// Former versions of rows, and writes that lost.
    pub(crate) history: Vec<Kept>,
    pub(crate) head: u64,
    pub(crate) max_records: Option<usize>,
    pub(crate) max_history_bytes: Option<usize>,
    pushes: usize,
}

impl Model {
    pub(crate) fn records(&self) -> usize {
        self.rows.values().filter(|row| row.change.text.is_some()).count()
    }

    pub(crate) fn history_bytes(&self) -> usize {
        self.history.iter().map(Kept::bytes).sum()
    }

    pub(crate) fn push(&mut self, device: usize, changes: &[Change]) -> Vec<Answered> {
        self.pushes += 1;
        let mut answers: Vec<Option<Answered>> = vec![None; changes.len()];
        let mut usable = Vec::new();
        for (n, change) in changes.iter().enumerate() {
            if changes[..n].iter().any(|earlier| earlier.name == change.name) {
                answers[n] = Some(("repeated_id", None, None));
            } else {
                usable.push(n);
            }
        }
        if usable.iter().all(|n| self.is_same(&changes[*n])) {
            for n in usable {
                answers[n] = Some(self.row_as("duplicate", &changes[n]));
            }
            return answers.into_iter().map(Option::unwrap).collect();
        }
        let before = self.history_bytes();
        let mut used = self.records();
        let may_fill = self.max_records.is_some_and(|max| used + usable.len() > max);
        for (place, n) in usable.iter().enumerate() {
            let change = &changes[*n];
            if may_fill && self.adds_a_record(change, device) {
                used += 1;
                if self.max_records.is_some_and(|max| used > max) {
                    answers[*n] = Some(("quota_exceeded", None, None));
                    continue;
                }
            }
            answers[*n] = Some(self.take(change, device, self.head + place as u64 + 1));
        }
        self.head += usable.len() as u64;
        self.trim(before);
        answers.into_iter().map(Option::unwrap).collect()
    }

    /// The oldest versions make room, for at most twice what was added.
    fn trim(&mut self, before: usize) {
        let (held, Some(max)) = (self.history_bytes(), self.max_history_bytes) else { return };
        let mut excess = held.saturating_sub(max).min(2 * (held - before));
        self.history.sort_by_key(|kept| (kept.left, kept.seq));
        while excess > 0 {
            excess = excess.saturating_sub(self.history.remove(0).bytes());
        }
    }

    fn is_same(&self, change: &Change) -> bool {
        self.rows.get(&change.name).is_some_and(|row| {
            let own = &row.change;
            (own.hash(), own.text.is_none(), own.project) == (change.hash(), change.text.is_none(), change.project)
        })
    }

    fn is_known(&self, change: &Change, device: usize) -> bool {
        self.history.iter().any(|was| was.change.name == change.name && was.is(change, device))
    }

    fn is_based_on_what_is(&self, change: &Change) -> bool {
        let version = self.rows.get(&change.name).and_then(|row| row.version);
        change.base.is_some() && change.base == version
    }

    fn adds_a_record(&self, change: &Change, device: usize) -> bool {
        let is_there = self.rows.get(&change.name).is_some_and(|row| row.change.text.is_some());
        let is_late = !self.is_based_on_what_is(change) && self.is_known(change, device);
        change.text.is_some() && !is_there && !is_late
    }

    fn row_as(&self, status: &'static str, change: &Change) -> Answered {
        let row = &self.rows[&change.name];
        (status, row.version, Some(row.change.hash()))
    }

    fn take(&mut self, change: &Change, device: usize, seq: u64) -> Answered {
        let new = Kept { change: change.clone(), device, push: self.pushes, seq, version: Some(1), left: None };
        let Some(row) = self.rows.get(&change.name) else {
            self.rows.insert(change.name.clone(), new);
            return self.row_as("created", change);
        };
        let rank = |kept: &Kept| (kept.change.when.rank(kept.push), kept.change.hash());
        let (status, wins) = if self.is_same(change) {
            return self.row_as("duplicate", change);
        } else if self.is_based_on_what_is(change) {
            ("updated", true)
        } else if self.is_known(change, device) {
            return self.row_as("duplicate", change);
        } else {
            ("conflict", rank(&new) > rank(row))
        };
        if wins {
            let version = row.version.map(|version| version + 1);
            let was = self.rows.insert(change.name.clone(), Kept { version, ..new });
            self.history.extend(was.map(|was| Kept { left: Some(self.pushes), ..was }));
        } else {
            self.history.push(Kept { version: None, left: Some(self.pushes), ..new });
        }
        self.row_as(status, change)
    }

    /// A page from a number on: the records, and where to go on.
    pub(crate) fn page(
        &self,
        after: u64,
        limit: usize,
        kind: Option<&str>,
        project: Option<&str>,
    ) -> (Vec<&Kept>, u64) {
        let wanted = |row: &&Kept| {
            let change = &row.change;
            row.seq > after
                && kind.is_none_or(|kind| kind == change.name.0)
                && project.is_none_or(|p| change.project == Some(p))
        };
        let mut rows: Vec<&Kept> = self.rows.values().filter(wanted).collect();
        rows.sort_by_key(|row| row.seq);
        rows.truncate(limit);
        let next = if rows.len() < limit { self.head } else { rows[limit - 1].seq };
        (rows, next)
    }
}
