//! Context's wire types, and contents that are encrypted.

use protocol::content::{ContentError, ContentHash};
use protocol::envelope::Envelope;
use protocol::wire::{
    AnyRecord, ContextStatus, Feature, HeartbeatAnswer, HeartbeatStatus, Kind, NoteView, Outcome, PullAnswer,
    PushAnswer, PushRecord, PushRequest, PushResult, PushStatus, Rejection, RejectionCode, TaskEvent, TaskEvents, Tier,
    ValidateAnswer,
};
use serde_json::value::RawValue;
use serde_json::{Value, json};

fn envelope(digest: char, nonce: char, ciphertext: &str) -> Envelope {
    Envelope::new(
        "0123456789abcdef".to_owned(),
        digest.to_string().repeat(64),
        nonce.to_string().repeat(32),
        ciphertext.to_owned(),
    )
}

#[test]
fn an_encrypted_contents_hash_is_of_its_digest_alone() {
    let (one, again, other) = (envelope('a', 'n', "x"), envelope('a', 'm', "yy"), envelope('b', 'n', "x"));
    assert_eq!(one.content_hash(), again.content_hash());
    assert_ne!(one.content_hash(), other.content_hash());
    let content = one.clone().into_content();
    assert_eq!(ContentHash::of(&content), Ok(one.content_hash()));
    assert_eq!(Envelope::of(&content), Ok(Some(one)));
    // A plain content can't have the hash of an encrypted one: it is JSON, and the digest's hex alone is no object.
    assert_ne!(ContentHash::of(&json!({"digest": "a".repeat(64)})).unwrap(), again.content_hash());
}

#[test]
fn an_envelope_is_one_or_an_error_and_a_field_of_that_name_beside_others_is_neither() {
    let good = envelope('a', 'n', "Zm9v_-").into_content();
    for plain in [
        json!({}),
        json!({"a": 1}),
        json!({"encrypted": good["encrypted"], "more": 1}),
        json!([good]),
        json!("encrypted"),
        json!(null),
    ] {
        assert_eq!(Envelope::of(&plain), Ok(None), "{plain}");
    }
    let mut more = good.clone();
    more["encrypted"]["since"] = json!(1);
    assert!(Envelope::of(&more).unwrap().is_some(), "what a later version adds is ignored");
    let fields = ["v", "key_id", "digest", "nonce", "ciphertext"];
    for name in fields {
        for wrong in
            [json!(null), json!(7), json!(""), json!("=".repeat(64)), json!("Ä".repeat(32)), json!([]), json!({})]
        {
            let mut content = good.clone();
            content["encrypted"][name] = wrong.clone();
            if name == "ciphertext" && wrong == json!("") {
                continue;
            }
            assert_eq!(Envelope::of(&content), Err(ContentError::Envelope), "{name} = {wrong}");
            assert_eq!(ContentHash::of(&content), Err(ContentError::Envelope));
        }
    }
    let list: Vec<&Value> = fields.iter().map(|name| &good["encrypted"][*name]).collect();
    assert_eq!(Envelope::of(&json!({"encrypted": list})), Err(ContentError::Envelope), "a list of the values in order");
}

#[test]
fn a_record_says_no_more_than_it_must() {
    let text =
        r#"{"kind":"decision","id":"d","content":{"b":1.0,"a":"\u0041"},"updated_at":"2026-11-01T12:00:00+02:00"}"#;
    let record: PushRecord = serde_json::from_str(text).unwrap();
    assert_eq!((record.base_version, record.deleted, record.project_id.as_ref()), (None, false, None));
    let written = serde_json::to_value(&record).unwrap();
    assert_eq!(
        written,
        json!({"kind": "decision", "id": "d", "content": {"b": 1.0, "a": "A"}, "updated_at": "2026-11-01T10:00:00Z"})
    );
    assert_eq!(record.content.unwrap().get(), r#"{"b":1.0,"a":"\u0041"}"#, "the content's text is as it came");
}

#[test]
fn a_request_of_texts_is_that_of_records() {
    let text = r#"{"device_id":"laptop","records":[{"kind":"task","id":"t","updated_at":"2026-11-01T10:00:00Z","deleted":true},5]}"#;
    let request: PushRequest<&RawValue> = serde_json::from_str(text).unwrap();
    assert_eq!((request.records.len(), request.records[1].get()), (2, "5"));
    assert!(serde_json::from_str::<PushRecord>(request.records[0].get()).unwrap().deleted);
    assert!(serde_json::from_str::<PushRequest>(text).is_err());
    assert!(serde_json::from_str::<PushRequest>(r#"{"device_id":"a b","records":[]}"#).is_err());
}

#[test]
fn what_is_not_the_records_own_fault_is_worth_another_try() {
    for code in RejectionCode::ALL {
        let rejection = Rejection::new(*code, "Why.");
        let elsewhere = matches!(code, RejectionCode::QuotaExceeded | RejectionCode::EncryptionRequired);
        assert_eq!(rejection.is_the_records_own_fault(), !elsewhere, "{code}");
        assert_eq!(serde_json::to_value(rejection).unwrap(), json!({"code": code.as_str(), "detail": "Why."}));
    }
    let newer: Rejection = serde_json::from_value(json!({"code": "invented_later", "detail": "Why."})).unwrap();
    assert!(newer.is_the_records_own_fault());
}

#[test]
fn an_answer_reads_back_as_it_was_written() {
    let answer = json!({"results": [
        {"id": "d", "status": "conflict", "version": 4, "content_hash": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", "error": null},
        {"id": null, "status": "rejected", "version": null, "content_hash": null, "error": {"code": "invalid_record", "detail": "Why."}},
    ], "cursor": "c"});
    let read: PushAnswer = serde_json::from_value(answer.clone()).unwrap();
    assert_eq!(read.results[0].status, PushStatus::Conflict);
    assert_eq!(serde_json::to_value(read).unwrap(), answer);
}

#[test]
fn kinds_and_outcomes_have_the_words_of_the_wire() {
    let words: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    let expected = [
        "message",
        "task",
        "decision",
        "skill_learning",
        "error_solution",
        "tool_analytics",
        "project_context",
        "component",
    ];
    assert_eq!(words, expected);
    assert!(Kind::ALL.iter().all(|kind| kind.is_pushed() == (*kind != Kind::Component)));
    assert_eq!(Outcome::ALL.iter().map(|o| o.as_str()).collect::<Vec<_>>(), ["current", "replaced", "lost"]);
    assert!("gossip".parse::<Kind>().unwrap_err().to_string().contains("decision"));
}

#[test]
fn task_events_are_one_or_several() {
    let event = json!({"task_id": "t", "status": "in_progress", "user_corrections": 2});
    let one: TaskEvents = serde_json::from_value(event.clone()).unwrap();
    assert!(matches!(&one, TaskEvents::One(TaskEvent { user_corrections: Some(2), .. })));
    assert_eq!(serde_json::to_value(one).unwrap(), event);
    let several: TaskEvents = serde_json::from_value(json!([event, {"task_id": "u"}])).unwrap();
    assert!(matches!(several, TaskEvents::Several(events) if events.len() == 2));
}

#[test]
fn a_notes_fields_are_beside_its_own() {
    let note = json!({"id": "d", "project_id": null, "encrypted": false, "version": 3, "updated_at": "2026-11-01T10:00:00Z",
        "device_id": "laptop", "title": "Use Postgres", "deep": {"a": [1]}});
    let read: NoteView = serde_json::from_value(note.clone()).unwrap();
    assert_eq!((read.version, &read.content["title"], read.content.len()), (3, &json!("Use Postgres"), 2));
    assert_eq!(serde_json::to_value(read).unwrap(), note);
}

#[test]
fn a_newer_clouds_words_are_read_and_a_newer_clients_are_not() {
    let record = |kind: &str| {
        json!({"kind": kind, "id": "a", "project_id": null, "content": {"n": 1}, "content_hash": "0".repeat(64), "version": 1,
               "updated_at": "2026-11-21T09:30:00Z", "deleted": false, "device_id": "d", "user_id": null,
               "written_at": "2026-11-21T09:30:00Z"})
    };
    let page =
        json!({"records": [record("task"), record("playbook")], "next_cursor": "c", "has_more": false}).to_string();
    let page: PullAnswer<AnyRecord> = serde_json::from_str(&page).unwrap();
    assert!(matches!(&page.records[0], AnyRecord::Known(record) if record.kind == Kind::Task));
    assert!(matches!(&page.records[1], AnyRecord::Unknown(kind) if kind == "playbook"));
    let mut broken = record("task");
    broken["version"] = "one".into();
    assert!(serde_json::from_str::<AnyRecord>(&broken.to_string()).is_err(), "what is known must be whole");

    let result = json!({"id": "a", "status": "merged", "version": 2, "content_hash": "0".repeat(64), "error": null});
    assert_eq!(serde_json::from_value::<PushResult>(result).unwrap().status, PushStatus::Other);
    let kinds = |kinds: &[&str]| {
        let kinds: Vec<_> = kinds
            .iter()
            .map(|kind| json!({"kind": kind, "count": 1, "deleted": 0, "bytes": 2, "last_change": "2026-11-21T09:30:00Z"}))
            .collect();
        json!({"kinds": kinds, "devices": [], "records": {"used": 1, "limit": -1}, "bytes": {"used": 1, "limit": -1},
               "encryption": null})
    };
    let status: ContextStatus = serde_json::from_value(kinds(&["playbook", "task"])).unwrap();
    assert_eq!((status.kinds.len(), status.history), (1, None), "an older cloud counts no history");
    let heartbeat = json!({"status": "kept", "next_heartbeat_at": "2026-11-21T09:30:00Z", "seat_expires_at": "2026-11-21T09:30:00Z"});
    assert_eq!(serde_json::from_value::<HeartbeatAnswer>(heartbeat).unwrap().status, HeartbeatStatus::Other);
    let yes = json!({"valid": true, "tier": "STARTUP", "expires_at": null, "features": ["cloud_sync", "time_travel"], "quotas": {},
                     "validation_token": "t", "refresh_after": "2026-11-21T09:30:00Z", "grace_until": "2026-11-21T09:30:00Z"});
    let ValidateAnswer::Valid(yes) = serde_json::from_value(yes).unwrap() else { panic!("it is a yes") };
    assert_eq!((yes.tier, yes.features), (Tier::Other, vec![Feature::CloudSync]));

    // A client's values are read as strictly as before, and the word for an unknown value is none of them.
    let pushed = json!({"kind": "playbook", "id": "a", "content": {}, "updated_at": "2026-11-21T09:30:00Z"});
    assert!(serde_json::from_value::<PushRecord>(pushed).is_err());
    for word in ["OTHER", "STARTUP"] {
        assert!(word.parse::<Tier>().is_err() && serde_json::from_value::<Tier>(word.into()).is_err());
    }
    assert!(!Tier::ALL.contains(&Tier::Other));
    assert_eq!(serde_json::to_value(Tier::Other).unwrap(), "OTHER");
}
