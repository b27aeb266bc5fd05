//! Search for records by their contents, and for ids by their prefix.

use std::collections::BTreeSet;

use protocol::id::RecordId;
use protocol::wire::Kind;
use serde_json::Value;

use super::{ContextStore, Database, Entry, Filter, queue, table};
use crate::Error;
use crate::text::folded;

impl ContextStore {
    /// Returns the records of all kinds that have each of these texts somewhere in their contents, the latest change first.
    /// The case of letters is ignored, and so are differences between Unicode's normal forms. Records that are encrypted
    /// with a key that is not here are not found.
    ///
    /// ```
    /// use local::{ContextStore, Draft, Filter, Kind};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let home = folder.path().join("home");
    /// let store = ContextStore::open(Some(home))?;
    /// let content = serde_json::json!({"title": "Flush before fsync"});
    /// store.put(&Draft { kind: Kind::SkillLearning, id: "fsync".parse()?, project_id: None, content })?;
    /// assert_eq!(store.search(&["FSYNC".to_owned(), "flush".to_owned()], &Filter::default())?.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn search(&self, texts: &[String], filter: &Filter) -> Result<Vec<Entry>, Error> {
        let texts: Vec<String> = texts.iter().map(|text| folded(text)).collect();
        let all = Filter { limit: usize::MAX, ..filter.clone() };
        let mut found = Vec::new();
        for kind in Kind::ALL.iter().copied() {
            let entries = self.list(kind, &all)?.into_iter();
            found.extend(entries.filter(|entry| !entry.locked && texts.iter().all(|text| says(&entry.content, text))));
        }
        found.sort_by(|a, b| b.updated_at.cmp(&a.updated_at).then_with(|| a.id.cmp(&b.id)));
        found.truncate(filter.limit);
        Ok(found)
    }

    /// Lists the ids of the records whose changes are not sent any more until they are retried, in order.
    pub fn parked_ids(&self) -> Result<Vec<RecordId>, Error> {
        let parked = self.on_sessions(|sessions| queue::all(sessions, true, usize::MAX))?;
        let ids: BTreeSet<RecordId> = parked.into_iter().map(|change| change.id).collect();
        Ok(ids.into_iter().collect())
    }

    /// Returns the ids of the records of a kind that begin with this, in order.
    pub fn ids(&self, kind: Kind, beginning: &str) -> Result<Vec<RecordId>, Error> {
        let (changes, mut ids) = self.changed_and_kept_ids(kind, beginning)?;
        for id in changes {
            if self.get(kind, &id)?.is_some() {
                ids.insert(id);
            } else {
                ids.remove(&id);
            }
        }
        Ok(ids.into_iter().collect())
    }

    /// Returns the ids of the records of a kind, in order, and of those whose deletion waits to be sent. Meant to
    /// distinguish ids: no record is read.
    pub fn known_ids(&self, kind: Kind) -> Result<Vec<RecordId>, Error> {
        let (changes, mut ids) = self.changed_and_kept_ids(kind, "")?;
        ids.extend(changes);
        Ok(ids.into_iter().collect())
    }

    fn changed_and_kept_ids(&self, kind: Kind, beginning: &str) -> Result<(Vec<RecordId>, BTreeSet<RecordId>), Error> {
        // The queue first: a change that has left it is in the table.
        let changes = self.on_sessions(|sessions| queue::changed_ids(sessions, kind, beginning))?;
        let rows = self.on(Database::of(kind), |file| table::ids(file, kind, beginning))?;
        Ok((changes, rows.into_iter().collect()))
    }
}

/// Reports whether a value contains this text, which is [`folded`]. The names of fields are not searched.
fn says(value: &Value, text: &str) -> bool {
    match value {
        Value::String(said) => folded(said).contains(text),
        Value::Array(values) => values.iter().any(|value| says(value, text)),
        Value::Object(fields) => fields.values().any(|value| says(value, text)),
        _ => false,
    }
}
