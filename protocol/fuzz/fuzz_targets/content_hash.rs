//! Any JSON is hashed or refused, and canonical JSON is its own canonical form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::content::{ContentHash, canonical_json};
use serde_json::Value;

fuzz_target!(|body: &[u8]| {
    let Ok(content) = serde_json::from_slice::<Value>(body) else { return };
    let Ok(canonical) = canonical_json(&content) else { return };
    let read: Value = serde_json::from_slice(&canonical).expect("canonical JSON is JSON");
    assert_eq!(canonical_json(&read).expect("it has been"), canonical);
    assert_eq!(ContentHash::of(&read), Ok(ContentHash::of_canonical(&canonical)));
});
