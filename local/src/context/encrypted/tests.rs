use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::queue;
use super::*;
use crate::{Change, ContextError, Draft};

const NOON: i64 = 1_700_000_000;

fn store() -> (TempDir, ContextStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = ContextStore::open(Some(folder.path().join("home"))).unwrap();
    (folder, store)
}

fn envelope() -> Envelope {
    Envelope::new("0123456789abcdef".into(), "a".repeat(64), "A".repeat(32), "AAAA".into())
}

/// A row as if it had been pulled: the cloud has it as the content is, or in another form.
fn row(id: &str, content: &Value, content_hash: Option<ContentHash>) -> Row {
    let content = content.to_string();
    Row {
        id: id.parse().unwrap(),
        project_id: Some("digest".parse().unwrap()),
        content_hash: content_hash.unwrap_or_else(|| ContentHash::of_canonical(content.as_bytes())),
        content,
        version: 7,
        updated_at: Timestamp::from_second(NOON).unwrap(),
        deleted: false,
        device_id: "d".parse().unwrap(),
        user_id: None,
        written_at: None,
        pass: 1,
    }
}

fn keep(store: &ContextStore, kind: Kind, row: &Row) {
    store.on(Database::of(kind), |file| table::write(file, kind, row)).unwrap();
}

fn lock(id: &str) -> Row {
    row(id, &envelope().into_content(), Some(envelope().content_hash()))
}

#[test]
fn what_is_locked_is_opened_wherever_it_is() {
    let (_folder, store) = store();
    for kind in [Kind::Decision, Kind::Task, Kind::ProjectContext] {
        keep(&store, kind, &lock("locked"));
        keep(&store, kind, &lock("foreign"));
        keep(&store, kind, &row("plain", &json!({"title": "x"}), None));
    }
    assert_eq!(store.count_locked().unwrap(), 6);
    let open = |_: Kind, id: &RecordId, found: &Envelope| {
        assert_eq!(*found, envelope());
        let plain = || (json!({"title": "opened"}).to_string(), Some("billing".parse().unwrap()));
        (id.as_str() == "locked").then(plain)
    };
    assert_eq!(store.unlock(open).unwrap(), 3);
    assert_eq!(store.unlock(open).unwrap(), 0, "once");
    assert_eq!(store.count_locked().unwrap(), 3);
    let entry = store.get(Kind::Task, &"locked".parse().unwrap()).unwrap().unwrap();
    assert_eq!(entry.content, json!({"title": "opened"}));
    assert_eq!((entry.project_id.unwrap().as_str(), entry.locked, entry.version), ("billing", false, Some(7)));
    assert!(store.get(Kind::Task, &"foreign".parse().unwrap()).unwrap().unwrap().locked);
}

#[test]
fn only_what_the_cloud_can_read_is_queued_and_only_once() {
    let (_folder, store) = store();
    let encrypted = ContentHash::of_canonical(b"the digest's");
    keep(&store, Kind::Decision, &row("clear", &json!({"title": "x"}), None));
    keep(&store, Kind::Decision, &row("encrypted", &json!({"title": "x"}), Some(encrypted)));
    keep(&store, Kind::Decision, &lock("locked"));
    keep(&store, Kind::Task, &Row { deleted: true, ..row("gone", &Value::Null, None) });
    keep(&store, Kind::Task, &row("edited", &json!({"status": "pending"}), None));
    let edit = Draft {
        kind: Kind::Task,
        id: "edited".parse().unwrap(),
        project_id: None,
        content: json!({"status": "completed"}),
    };
    assert!(matches!(store.put(&edit).unwrap(), Change::Queued(_)));

    assert_eq!(store.queue_clear().unwrap(), 1);
    assert_eq!(store.queue_clear().unwrap(), 0);
    let bare = [(Kind::Decision, row("clear", &json!({"title": "x"}), None))];
    assert_eq!(store.queue_bare(&bare).unwrap(), 0, "it waits already");
    let queued: Vec<_> = store.queue(10).unwrap().into_iter().map(|change| change.id.to_string()).collect();
    assert_eq!(queued, ["edited", "clear"]);
    let change = store.on_sessions(|file| queue::newest(file, Kind::Decision, &"clear".parse().unwrap(), true));
    let change = change.unwrap().unwrap();
    assert_eq!((change.base_version, change.updated_at.as_second()), (Some(7), NOON));
    assert_eq!(store.journal(10).unwrap()[0].event, JournalEvent::QueuedAgain);
}

#[test]
fn what_another_key_has_encrypted_is_queued_where_it_can_be_read() {
    let (_folder, store) = store();
    let (old, new) = (ContentHash::of_canonical(b"the old key's"), ContentHash::of_canonical(b"the new key's"));
    keep(&store, Kind::Decision, &row("done", &json!({"title": "x"}), Some(new)));
    keep(&store, Kind::Decision, &row("old", &json!({"title": "x"}), Some(old)));
    keep(&store, Kind::Decision, &lock("locked"));
    assert_eq!(store.queue_clear().unwrap(), 0);
    assert_eq!(store.queue_others(|_, _, _| new).unwrap(), 1);
    let change = store.on_sessions(|file| queue::newest(file, Kind::Decision, &"old".parse().unwrap(), true));
    let change = change.unwrap().unwrap();
    assert_eq!(change.content_hash, ContentHash::of_canonical(change.content.as_bytes()), "of what is in plain");
}

#[test]
fn an_envelope_does_not_take_the_place_of_what_is_in_it() {
    let (_folder, store) = store();
    let id: RecordId = "a".parse().unwrap();
    let content = || store.get(Kind::Task, &id).unwrap().unwrap();
    keep(&store, Kind::Task, &row("a", &json!({"title": "x"}), Some(envelope().content_hash())));
    let project = content().project_id;
    let again = Row { pass: 2, version: 3, project_id: Some("keyed".parse().unwrap()), ..lock("a") };
    keep(&store, Kind::Task, &again);
    let kept = content();
    assert_eq!((kept.content, kept.project_id, kept.locked), (json!({"title": "x"}), project, false));
    assert_eq!(kept.version, Some(3), "the rest is the cloud's");
    let mut other = envelope();
    other.digest = "b".repeat(64);
    let hash = other.content_hash();
    keep(&store, Kind::Task, &Row { pass: 2, version: 4, ..row("a", &other.into_content(), Some(hash)) });
    assert!(content().locked, "which is another content");
}

#[test]
fn many_are_looked_at_page_by_page() {
    let (_folder, store) = store();
    let many = 2 * PAGE + 1;
    let transaction = store.write_to(Database::Org).unwrap();
    for n in 0..many {
        keep(&store, Kind::Decision, &row(&format!("{n:05}"), &json!({"n": n}), None));
    }
    transaction.commit().unwrap();
    assert_eq!(store.queue_clear().unwrap(), many as u64);
}

#[test]
fn what_cannot_be_read_cannot_be_changed() {
    let (_folder, store) = store();
    keep(&store, Kind::Task, &lock("locked"));
    let id: RecordId = "locked".parse().unwrap();
    let draft = Draft { kind: Kind::Task, id: id.clone(), project_id: None, content: json!({"status": "completed"}) };
    assert!(matches!(store.put(&draft), Err(Error::Context(ContextError::Locked))));
    assert!(store.delete(Kind::Task, &id).unwrap(), "but it can be deleted");
}

#[test]
fn only_a_whole_envelope_is_one() {
    assert_eq!(locked(&envelope().into_content().to_string()), Some(envelope()));
    for plain in ["{\"encrypted\":{}}", "{\"encrypted\":true,\"a\":1}", "{\"encrypted\":", "null", "{}"] {
        assert_eq!(locked(plain), None, "{plain}");
    }
}
