use proptest::prelude::*;
use serde_json::json;

use super::*;

fn kinds() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![Kind::Task, Kind::Decision, Kind::Message, Kind::ErrorSolution])
}

fn ids() -> impl Strategy<Value = RecordId> {
    "[a-z0-9:/é-]{1,40}".prop_map(|id| RecordId::parse(id).unwrap())
}

fn plains() -> impl Strategy<Value = Plain> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        // Not numbers at all, infinite ones too: JSON makes null of these.
        prop::num::f64::ANY.prop_map(Value::from),
        (0.0..1.0).prop_map(Value::from),
        "[^\u{0}]{0,300}".prop_map(Value::from),
    ];
    // Numbers beyond those that every reader takes for the same are no content.
    let value = value.prop_filter("a content", |value| canonical_json(value).is_ok());
    let content = prop::collection::btree_map("[a-z]{1,8}", value, 0..5);
    let project = prop::option::of("[a-z -]{1,20}".prop_map(|name| ProjectId::parse(name).unwrap()));
    (content, project).prop_map(|(content, project_id)| Plain { content: canonical(&json!(content)), project_id })
}

fn canonical(content: &Value) -> String {
    String::from_utf8(canonical_json(content).unwrap()).unwrap()
}

fn cipher() -> Cipher {
    Cipher::new(&TenantKey::generate())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_sealed_opens(kind in kinds(), id in ids(), plain in plains()) {
        let cipher = cipher();
        let envelope = cipher.seal(kind, &id, &plain).unwrap();
        let traveled = Envelope::of(&envelope.clone().into_content()).unwrap().unwrap();
        prop_assert_eq!(&traveled, &envelope);
        prop_assert_eq!(cipher.open(kind, &id, &traveled).unwrap(), plain);
    }

    #[test]
    fn nothing_else_opens(kind in kinds(), id in ids(), plain in plains(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let cipher = cipher();
        let envelope = cipher.seal(kind, &id, &plain).unwrap();
        let forged = Err(CipherError::AuthenticationFailed);
        let changed = |change: &dyn Fn(&mut Envelope)| {
            let mut envelope = envelope.clone();
            change(&mut envelope);
            envelope
        };

        let other_id = RecordId::parse(format!("{id}x")).unwrap();
        prop_assert_eq!(cipher.open(kind, &other_id, &envelope), forged.clone());
        prop_assert_eq!(cipher.open(Kind::Component, &id, &envelope), forged.clone());

        let another = self::cipher();
        let refused = Err(CipherError::OtherKey { key_id: cipher.key_id.clone() });
        prop_assert_eq!(another.open(kind, &id, &envelope), refused);
        let posing = changed(&|envelope| another.key_id.clone_into(&mut envelope.key_id));
        prop_assert_eq!(another.open(kind, &id, &posing), forged.clone());

        let flip = |text: &str| {
            let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            BASE64_URL_SAFE_NO_PAD.encode(bytes)
        };
        let flipped = changed(&|envelope| envelope.ciphertext = flip(&envelope.ciphertext));
        prop_assert_eq!(cipher.open(kind, &id, &flipped), forged.clone());
        let flipped = changed(&|envelope| envelope.nonce = flip(&envelope.nonce));
        prop_assert_eq!(cipher.open(kind, &id, &flipped), forged.clone());

        let mut digest = envelope.digest.clone().into_bytes();
        let at = at.index(digest.len());
        digest[at] = if digest[at] == b'0' { b'1' } else { b'0' };
        let flipped = changed(&|envelope| envelope.digest = String::from_utf8(digest.clone()).unwrap());
        prop_assert_eq!(cipher.open(kind, &id, &flipped), forged);
    }

    #[test]
    fn a_records_digests_are_equal_where_its_contents_are(id in ids(), one in plains(), other in plains()) {
        let cipher = cipher();
        let seal = |id: &RecordId, plain: &Plain| cipher.seal(Kind::Task, id, plain).unwrap();
        let hash = |envelope: Envelope| ContentHash::of(&envelope.into_content()).unwrap();
        let (first, again) = (seal(&id, &one), seal(&id, &one));
        prop_assert_ne!(&first.ciphertext, &again.ciphertext);
        prop_assert_eq!(hash(first.clone()), hash(again));
        prop_assert_eq!(hash(first.clone()), cipher.content_hash(Kind::Task, &id, &one.content));
        prop_assert_eq!(first.digest == seal(&id, &other).digest, one.content == other.content);
        let other_id = RecordId::parse(format!("{id}x")).unwrap();
        prop_assert_ne!(first.digest, seal(&other_id, &one).digest, "equal contents of two records don't show");
    }

    #[test]
    fn lengths_show_the_size_only_roughly(len in 0usize..200_000) {
        let padded = padded(len);
        prop_assert!(padded >= len && padded >= MIN_LEN);
        prop_assert!(padded <= MIN_LEN || padded - len <= len / 8);
    }
}

#[test]
fn short_contents_look_alike() {
    let cipher = cipher();
    let id = RecordId::parse("t").unwrap();
    let len = |status: &str| {
        let plain = Plain { content: canonical(&json!({"status": status})), project_id: None };
        cipher.seal(Kind::Task, &id, &plain).unwrap().ciphertext.len()
    };
    assert_eq!(len("pending"), len("completed"));
}

#[test]
fn the_largest_that_is_sealed_is_one_that_the_cloud_takes() {
    let cipher = cipher();
    let id = RecordId::parse("t").unwrap();
    let plain = |len: usize| Plain { content: canonical(&json!("x".repeat(len))), project_id: None };
    let inside = Inside { content: serde_json::from_str("\"\"").unwrap(), project_id: None };
    let around = serde_json::to_string(&inside).unwrap().len();
    let envelope = cipher.seal(Kind::Task, &id, &plain(MAX_LEN - around)).unwrap();
    let content = serde_json::to_string(&envelope.clone().into_content()).unwrap();
    assert!(content.len() <= MAX_CONTENT_BYTES, "{}", content.len());
    assert!(cipher.open(Kind::Task, &id, &envelope).is_ok());
    assert_eq!(cipher.seal(Kind::Task, &id, &plain(MAX_LEN - around + 1)), Err(CipherError::TooLarge));
}

/// A text of another version of this program, which writes a number otherwise than this one would.
#[test]
fn what_was_sealed_in_another_spelling_opens_as_it_was_written() {
    let cipher = cipher();
    let id = RecordId::parse("t").unwrap();
    let plain = Plain { content: "{\"ratio\":0.10}".to_owned(), project_id: None };
    let envelope = cipher.seal(Kind::Task, &id, &plain).unwrap();
    assert_eq!(cipher.open(Kind::Task, &id, &envelope), Ok(plain));
    let nul = Plain { content: r#"{"a":"\u0000"}"#.to_owned(), project_id: None };
    let envelope = cipher.seal(Kind::Task, &id, &nul).unwrap();
    assert_eq!(
        cipher.open(Kind::Task, &id, &envelope),
        Err(CipherError::AuthenticationFailed),
        "no record can be that"
    );
}

#[test]
fn projects_are_told_apart_and_not_told() {
    let (one, other) = (ProjectId::parse("billing").unwrap(), ProjectId::parse("billing2").unwrap());
    let cipher = cipher();
    assert_eq!(cipher.project(&one), cipher.project(&one));
    assert_ne!(cipher.project(&one), cipher.project(&other));
    assert_ne!(cipher.project(&one), self::cipher().project(&one));
    assert_eq!(cipher.project(&one).as_str().len(), 64);
}

#[test]
fn a_key_has_a_name_that_says_nothing_of_it() {
    let key = TenantKey::from_bytes(&[7; 32]).unwrap();
    assert_eq!(key.id().len(), 16);
    assert!(key.fingerprint().replace(' ', "").starts_with(&key.id()));
    assert!(!format!("{key:?}").contains("07"));
    assert_eq!(TenantKey::from_bytes(&[7; 31]), None);
}
