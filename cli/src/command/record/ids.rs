//! Unique prefixes of ids: for the user to read and to type.

use coditect::text::{forms, nfc};
use coditect::{ContextError, ContextStore, Error, Kind, RecordId};

/// The fewest characters of an id that a list shows.
const MIN_LEN: usize = 8;

/// The most ids that are named when the typed one is ambiguous.
const MAX_LISTED: usize = 5;

/// Returns the id that was typed, in whichever normal form it is: whole, or as a unique prefix. A text that no id begins with is
/// taken as a whole id.
///
/// `begin` returns the ids that begin like this one, in order.
pub(in crate::command) fn find(
    typed: &str,
    noun: &str,
    begin: impl Fn(&RecordId) -> Result<Vec<RecordId>, Error>,
) -> Result<RecordId, Error> {
    for form in forms(typed) {
        let id = RecordId::parse(form)?;
        let found = begin(&id)?;
        if !found.is_empty() {
            return choose(id, found, noun);
        }
    }
    Ok(RecordId::parse(nfc(typed))?)
}

/// Returns the typed id if it is whole, or the only one that begins with it.
fn choose(typed: RecordId, mut found: Vec<RecordId>, noun: &str) -> Result<RecordId, Error> {
    // A whole one is the first in order.
    if found.first() == Some(&typed) {
        return Ok(typed);
    }
    if found.len() == 1 {
        return Ok(found.remove(0));
    }
    let mut names: Vec<&str> = found.iter().take(MAX_LISTED).map(RecordId::as_str).collect();
    if found.len() > MAX_LISTED {
        names.push("…");
    }
    Err(ContextError::Ambiguous { what: format!("{noun} {:?}", typed.as_str()), ids: names.join(", ") }.into())
}

/// The ids of a kind, in order, also of records that were just deleted.
pub(in crate::command) struct Ids(Vec<RecordId>);

impl Ids {
    pub(in crate::command) fn of(store: &ContextStore, kind: Kind) -> Result<Self, Error> {
        store.known_ids(kind).map(Self)
    }

    /// Returns a unique prefix of an id. An id that a person has chosen, which is no UUID, is returned whole.
    pub(in crate::command) fn shortened<'a>(&self, id: &'a RecordId) -> &'a str {
        let text = id.as_str();
        if text.len() != 36 || uuid::Uuid::try_parse(text).is_err() {
            return text;
        }
        let place = self.0.partition_point(|other| other < id);
        let before = place.checked_sub(1).and_then(|before| self.0.get(before));
        let after = self.0.get(place..).and_then(|rest| rest.iter().find(|other| *other != id));
        let shared = before
            .into_iter()
            .chain(after)
            .map(|other| common_prefix_len(text, other.as_str()))
            .max()
            .unwrap_or_default();
        // All of it is ASCII.
        &text[..text.len().min(MIN_LEN.max(shared + 1))]
    }
}

/// Counts the bytes that two texts share at their beginnings.
fn common_prefix_len(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_shortened_to_what_tells_it_from_the_others() {
        let ids: Vec<RecordId> = [
            "0190aaaa-0000-7000-8000-000000000001",
            "0190aaaa-0000-7000-8000-000000000002",
            "0190aaaa-1000-7000-8000-000000000002",
            "3f2a9c1e-0000-4000-8000-000000000000",
            "a-name-that-somebody-has-typed",
        ]
        .map(|id| id.parse().unwrap())
        .into();
        let known = Ids(ids.clone());
        let shortened: Vec<&str> = ids.iter().map(|id| known.shortened(id)).collect();
        let whole = ids[0].as_str();
        assert_eq!(shortened, [whole, ids[1].as_str(), "0190aaaa-1", "3f2a9c1e", "a-name-that-somebody-has-typed"]);
    }
}
