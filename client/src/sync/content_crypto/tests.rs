use jiff::Timestamp;
use protocol::content::canonical_json;
use serde_json::{Value, json};

use super::*;

fn canonical(content: &Value) -> String {
    String::from_utf8(canonical_json(content).unwrap()).unwrap()
}

fn change(content: &Value) -> Waiting {
    let content = canonical(content);
    Waiting {
        n: 1,
        kind: Kind::Decision,
        id: "one".parse().unwrap(),
        project_id: Some("billing".parse().unwrap()),
        content_hash: ContentHash::of_canonical(content.as_bytes()),
        content,
        updated_at: Timestamp::UNIX_EPOCH,
        deleted: false,
        base_version: Some(3),
        queued_at: Timestamp::UNIX_EPOCH,
        attempts: 0,
        error: None,
        parked: false,
    }
}

/// Returns the record that the cloud hands out for a change that was sent.
fn came(change: &Waiting, sent: &OutgoingContent) -> Record {
    let record = json!({
        "kind": change.kind, "id": change.id, "project_id": sent.project_id, "content": serde_json::from_str::<Value>(&sent.content).unwrap(),
        "content_hash": sent.content_hash, "version": 4, "updated_at": change.updated_at, "deleted": change.deleted,
        "device_id": "d", "user_id": null, "written_at": change.updated_at,
    });
    serde_json::from_str(&record.to_string()).unwrap()
}

#[test]
fn what_one_machine_sends_another_one_with_the_key_reads() {
    let key = TenantKey::generate();
    let (with, without) = (ContentCrypto::with(Some(&key)), ContentCrypto::with(None));
    let change = change(&json!({"title": "Use Postgres"}));
    let sent = with.seal(&change).unwrap();
    for secret in ["Postgres", "title", "billing"] {
        assert!(!sent.content.contains(secret) && !format!("{:?}", sent.project_id).contains(secret));
    }
    assert_ne!(sent.content_hash, change.content_hash);
    let envelope: Value = serde_json::from_str(&sent.content).unwrap();
    assert_eq!(ContentHash::of(&envelope).unwrap(), sent.content_hash, "as the cloud makes it");

    let record = came(&change, &sent);
    let read = with.open(&record, &mut None);
    assert_eq!(
        read,
        IncomingContent {
            content: change.content.clone(),
            project_id: change.project_id.clone(),
            state: ContentState::Decrypted
        }
    );
    let kept = without.open(&record, &mut None);
    assert_eq!(
        (kept.state, &kept.content, &kept.project_id),
        (ContentState::KeyMissing, &sent.content, &sent.project_id)
    );
    let other = ContentCrypto::with(Some(&TenantKey::generate()));
    assert_eq!(other.open(&record, &mut None).state, ContentState::KeyMissing);
}

#[test]
fn what_is_locked_goes_back_as_it_came() {
    let with = ContentCrypto::with(Some(&TenantKey::generate()));
    let original = change(&json!({"title": "Use Postgres"}));
    let sent = with.seal(&original).unwrap();
    let kept = Waiting { content: sent.content.clone(), project_id: sent.project_id.clone(), ..original };
    for crypto in [ContentCrypto::with(None), with] {
        assert_eq!(crypto.seal(&kept).unwrap(), sent);
    }
}

#[test]
fn what_was_swapped_or_comes_in_clear_is_told_apart() {
    let key = TenantKey::generate();
    let (with, without) = (ContentCrypto::with(Some(&key)), ContentCrypto::with(None));
    let change = change(&json!({"title": "Use Postgres"}));
    let record = came(&change, &with.seal(&change).unwrap());
    let swapped = Record { id: "other".parse().unwrap(), ..record.clone() };
    let kept = with.open(&swapped, &mut None);
    assert_eq!((kept.state, kept.content.as_str()), (ContentState::AuthenticationFailed, record.content.get()));

    let clear = came(&change, &without.seal(&change).unwrap());
    assert_eq!(without.open(&clear, &mut None).state, ContentState::Plaintext);
    assert_eq!(with.open(&clear, &mut None).state, ContentState::PlaintextToEncrypt);
    let component = Record { kind: Kind::Component, ..clear };
    assert_eq!(with.open(&component, &mut None).state, ContentState::Plaintext, "which the cloud writes");
}

#[test]
fn a_deletion_names_no_project_and_is_none_of_the_ciphers_business() {
    let with = ContentCrypto::with(Some(&TenantKey::generate()));
    let gone = Waiting { deleted: true, ..change(&Value::Null) };
    let sent = with.seal(&gone).unwrap();
    assert_eq!((sent.content.as_str(), sent.content_hash, &sent.project_id), ("null", gone.content_hash, &None));
    assert_eq!(with.open(&came(&gone, &sent), &mut None).state, ContentState::Plaintext);
}

#[test]
fn what_grows_too_large_is_the_records_own_fault() {
    let with = ContentCrypto::with(Some(&TenantKey::generate()));
    let large = change(&json!({"text": "x".repeat(200 * 1024)}));
    assert!(with.seal(&large).unwrap_err().to_string().contains("190 KiB"));
    assert!(ContentCrypto::with(None).seal(&large).is_ok());
}

#[test]
fn in_clear_behind_an_envelope_is_not_in_clear_before_it() {
    let key = TenantKey::generate();
    let (with, without) = (ContentCrypto::with(Some(&key)), ContentCrypto::with(None));
    let knowing = ContentCrypto { tenant_key_id: Some(key.id()), ..without.clone() };
    let change = change(&json!({"title": "Use Postgres"}));
    let (sealed, clear) = (came(&change, &with.seal(&change).unwrap()), came(&change, &without.seal(&change).unwrap()));
    let states = |crypto: &ContentCrypto, before: &mut Option<String>| {
        [&clear, &sealed, &clear].map(|record| crypto.open(record, before).state)
    };
    let mut before = None;
    assert_eq!(
        states(&with, &mut before),
        [ContentState::PlaintextToEncrypt, ContentState::Decrypted, ContentState::UnexpectedPlaintext]
    );
    assert_eq!(before, Some(key.id()));
    assert_eq!(
        states(&knowing, &mut None),
        [ContentState::Plaintext, ContentState::KeyMissing, ContentState::UnexpectedPlaintext]
    );
    assert_eq!(
        states(&without, &mut None),
        [ContentState::Plaintext, ContentState::KeyMissing, ContentState::Plaintext],
        "it may encrypt no more"
    );
    let other = ContentCrypto::with(Some(&TenantKey::generate()));
    assert_eq!(
        states(&other, &mut before),
        [ContentState::PlaintextToEncrypt, ContentState::KeyMissing, ContentState::PlaintextToEncrypt],
        "which takes that one's place"
    );
}

#[test]
fn without_the_tenants_key_no_content_leaves() {
    let key = TenantKey::generate();
    let change = change(&json!({"title": "Use Postgres"}));
    let required = Some(key.id());
    let sent = ContentCrypto::with(Some(&key)).seal(&change).unwrap();
    for crypto in [ContentCrypto::with(None), ContentCrypto::with(Some(&TenantKey::generate()))] {
        let crypto = ContentCrypto { tenant_key_id: required.clone(), ..crypto };
        assert_eq!(crypto.seal(&change), Err(EncryptError::NoKey));
        assert!(crypto.seal(&Waiting { deleted: true, ..change.clone() }).is_ok());
        assert!(crypto.seal(&Waiting { content: sent.content.clone(), ..change.clone() }).is_ok(), "an envelope does");
    }
    assert!(ContentCrypto { tenant_key_id: required, ..ContentCrypto::with(Some(&key)) }.seal(&change).is_ok());
}

#[test]
fn a_malformed_envelope_is_kept_like_any_content() {
    let with = ContentCrypto::with(Some(&TenantKey::generate()));
    let odd = change(&json!({"encrypted": {"v": 9}}));
    let record = came(&odd, &ContentCrypto::with(None).seal(&odd).unwrap());
    assert_eq!(with.open(&record, &mut None).content, odd.content);
}
