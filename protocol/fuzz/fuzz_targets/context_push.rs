//! Any body is parsed as a push or refused; each of its records is read or refused by itself, and a content is kept as one text
//! with one hash, however it was written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::content::{ContentHash, canonical_json};
use protocol::envelope::Envelope;
use protocol::wire::{PushRecord, PushRequest, TaskEvents};
use serde_json::Value;
use serde_json::value::RawValue;

fuzz_target!(|body: &[u8]| {
    if let Ok(request) = serde_json::from_slice::<PushRequest<&RawValue>>(body) {
        request.records.iter().for_each(|text| record(text.get()));
    }
    if let Ok(text) = std::str::from_utf8(body) {
        record(text);
    }
    if let Ok(events) = serde_json::from_slice::<TaskEvents>(body) {
        let again = serde_json::to_value(&events).expect("events can be written");
        assert_eq!(serde_json::from_value::<TaskEvents>(again).expect("and read"), events);
    }
});

fn record(text: &str) {
    let Ok(record) = serde_json::from_str::<PushRecord>(text) else { return };
    let again: PushRecord =
        serde_json::from_str(&serde_json::to_string(&record).expect("a record can be written")).expect("and read");
    assert_eq!(
        (again.kind, &again.id, again.updated_at, again.deleted),
        (record.kind, &record.id, record.updated_at, record.deleted)
    );
    let Some(content) = record.content.and_then(|text| serde_json::from_str::<Value>(text.get()).ok()) else { return };
    let Ok(hash) = ContentHash::of(&content) else { return };
    let canonical = canonical_json(&content).expect("what has a hash has a form");
    // serde's own writing is taken where it is canonical already: it must be that of the RFC.
    assert_eq!(canonical, serde_json_canonicalizer::to_vec(&content).expect("it has been"));
    let kept: Value = serde_json::from_slice(&canonical).expect("canonical JSON is JSON");
    assert_eq!(ContentHash::of(&kept), Ok(hash));
    match Envelope::of(&kept).expect("it has been") {
        Some(envelope) => assert_eq!(envelope.content_hash(), hash),
        None => assert_eq!(ContentHash::of_canonical(&canonical), hash),
    }
}
