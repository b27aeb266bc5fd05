use proptest::prelude::*;
use protocol::content::{ContentError, ContentHash, MAX_DEPTH, MAX_INTEGER, canonical_json, is_canonical_object};
use serde_json::{Value, json};

fn canonical(text: &str) -> String {
    String::from_utf8(canonical_json(&serde_json::from_str(text).unwrap()).unwrap()).unwrap()
}

/// RFC 8785, 3.2.2, with its two numbers that are too large here left out.
#[test]
fn the_example_of_the_rfc() {
    let text = r#"{
        "numbers": [333333333.33333329, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
        "literals": [null, true, false]
    }"#;
    let expected = r#"{"literals":[null,true,false],"numbers":[333333333.3333333,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#;
    assert_eq!(canonical(text), expected);
}

/// RFC 8785, 3.2.3: by UTF-16 code units, so that the emoji (a surrogate pair) comes before U+FB33.
#[test]
fn names_are_sorted_as_the_rfc_says() {
    let text = r#"{
        "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
        "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"
    }"#;
    let positions: Vec<usize> = ["Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"]
        .map(|name| canonical(text).find(name).unwrap())
        .into();
    assert!(positions.is_sorted(), "{positions:?}");
}

/// RFC 8785, appendix B, as far as its numbers are allowed here.
#[test]
fn numbers_are_written_as_the_rfc_says() {
    let vectors: [(u64, &str); 13] = [
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x433f_ffff_ffff_ffff, "9007199254740991"),
        (0xc33f_ffff_ffff_ffff, "-9007199254740991"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0x41b3_de43_5555_5556, "333333333.3333334"),
        (0x41b3_de43_5555_5557, "333333333.33333343"),
    ];
    for (bits, text) in vectors {
        assert_eq!(canonical_json(&json!(f64::from_bits(bits))).unwrap(), text.as_bytes(), "{bits:x}");
    }
}

#[test]
fn the_hash_is_that_of_the_canonical_text() {
    let hash = ContentHash::of(&json!({})).unwrap();
    assert_eq!(hash.to_string(), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    assert_eq!(ContentHash::of_canonical(b"{}"), hash);
    assert_eq!(hash.to_string().parse(), Ok(hash));
    assert_eq!(ContentHash::from_bytes(*hash.as_bytes()), hash);
    assert_eq!(serde_json::from_value::<ContentHash>(serde_json::to_value(hash).unwrap()).unwrap(), hash);
    assert!("44136f".parse::<ContentHash>().is_err());
    assert!(serde_json::from_value::<ContentHash>(json!("x".repeat(64))).is_err());
    assert!(format!("{hash:?}").contains("44136f"));
}

#[test]
fn spelling_does_not_matter_and_content_does() {
    let hash = |text: &str| ContentHash::of(&serde_json::from_str(text).unwrap()).unwrap();
    assert_eq!(hash(r#"{"a": 1.0, "b": "\u0041"}"#), hash(r#"{"b":"A","a":1}"#));
    assert_ne!(hash(r#"{"a":1}"#), hash(r#"{"a":"1"}"#));
    assert_ne!(hash("[1,2]"), hash("[2,1]"));
    assert_ne!(hash(r#""\u0001""#), hash(r#""""#));
}

/// The parser's quick way with fractions is off by one digit here.
#[test]
fn a_fraction_stays_the_number_it_is() {
    for text in ["0.36995516654807925", "0.1", "123456.78901234567", "2.2250738585072014e-308"] {
        assert_eq!(canonical(text), text);
    }
}

#[test]
fn a_nul_is_refused_wherever_it_is() {
    for text in [r#""\u0000""#, r#"{"a":["b\u0000"]}"#, r#"{"a":{"\u0000b":1}}"#] {
        assert_eq!(ContentHash::of(&serde_json::from_str(text).unwrap()), Err(ContentError::Nul), "{text}");
    }
}

#[test]
fn numbers_that_cannot_be_told_apart_are_refused() {
    assert_eq!(canonical("[9007199254740991, -9007199254740991]"), "[9007199254740991,-9007199254740991]");
    for text in [
        "9007199254740992",
        "9007199254740993",
        "-9007199254740992",
        "18446744073709551615",
        "18446744073709551616",
        "9007199254740993.0",
        "1e30",
        "-1e300",
    ] {
        let content = serde_json::from_str(&format!(r#"{{"a":[{text}]}}"#)).unwrap();
        assert_eq!(ContentHash::of(&content), Err(ContentError::Number), "{text}");
    }
    assert!(ContentError::Number.to_string().contains("Send it as a string"));
    assert_eq!(canonical_json(&json!(MAX_INTEGER + 1)), Err(ContentError::Number));
}

#[test]
fn deep_nesting_is_refused() {
    let nested = |depth: usize| -> Value {
        (0..depth).fold(json!(1), |inside, level| if level % 2 == 0 { json!([inside]) } else { json!({"a": inside}) })
    };
    assert!(ContentHash::of(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(ContentHash::of(&nested(MAX_DEPTH + 1)), Err(ContentError::Depth));
    assert!(ContentError::Depth.to_string().contains("64"));
}

/// With control characters, and with characters beyond the first 65,536.
fn any_text() -> impl Strategy<Value = String> {
    prop::collection::vec(any::<char>(), 0..12)
        .prop_map(|chars| chars.into_iter().filter(|char| *char != '\0').collect())
}

fn any_content() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-(MAX_INTEGER as i64)..=MAX_INTEGER as i64).prop_map(Value::from),
        (-9e15..9e15).prop_map(|number: f64| json!(number)),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 50, 6, |inside| {
        prop_oneof![
            prop::collection::vec(inside.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any_text(), inside, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn canonical_text_reads_back_as_the_same_content_and_is_its_own_canonical_text(content in any_content()) {
        let text = canonical_json(&content).unwrap();
        let read: Value = serde_json::from_slice(&text).unwrap();
        prop_assert_eq!(canonical_json(&read).unwrap(), text);
        prop_assert_eq!(ContentHash::of(&read), ContentHash::of(&content));
    }

    #[test]
    fn whoever_writes_it_canonical_text_is_the_same(content in any_content()) {
        prop_assert_eq!(canonical_json(&content).unwrap(), serde_json_canonicalizer::to_vec(&content).unwrap());
    }

    #[test]
    fn indentation_and_order_do_not_matter(content in any_content()) {
        let pretty = serde_json::to_string_pretty(&content).unwrap();
        let read: Value = serde_json::from_str(&pretty).unwrap();
        prop_assert_eq!(ContentHash::of(&read), ContentHash::of(&content));
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof!["[ -~]{0,8}", "[\\x00-\\x20\"\\\\/\\x7f]{0,4}", any::<String>()];
    let number = prop_oneof![
        any::<i64>().prop_map(|n| json!(n)),
        (-1000_i64..1000).prop_map(|n| json!(n)),
        any::<f64>().prop_map(|n| json!(n)),
        (0..=MAX_INTEGER).prop_map(|n| json!(n)),
    ];
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|b| json!(b)),
        number,
        text.clone().prop_map(Value::from)
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(text.clone(), inner, 0..6).prop_map(|fields| json!(fields)),
        ]
    })
}

proptest! {
    /// Also after a byte was changed, left out or doubled.
    #[test]
    fn what_is_taken_as_it_stands_is_what_would_be_written(
        value in prop::collection::btree_map("[a-c]{0,2}|é|\u{fb33}|\u{1f600}", any_json(), 0..4),
        at in any::<prop::sample::Index>(),
        change in prop_oneof![Just(None), "[ -~\u{0}-\u{1f}]?".prop_map(Some)],
    ) {
        let mut text = serde_json::to_string(&json!(value)).unwrap();
        if let Some(change) = change {
            let places: Vec<usize> = text.char_indices().map(|(place, _)| place).collect();
            let place = places[at.index(places.len())];
            let next = text[place..].chars().next().map_or(0, char::len_utf8);
            let doubled = if change.is_empty() { text[place..place + next].repeat(2) } else { change };
            text.replace_range(place..place + next, &doubled);
        }
        if is_canonical_object(&text) {
            let value: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(canonical_json(&value).unwrap(), text.as_bytes());
        }
    }
}

/// Objects as programs send them have to be recognized as canonical, to save their parsing.
#[test]
fn plain_objects_are_taken_as_they_stand() {
    for text in [
        "{}",
        "{\"a\":[],\"b\":{},\"c\":[1,-20,0,true,false,null,\"é😀\"],\"d\":\"\\n\\\"\\\\\\u0001\\u001f/\u{7f}\"}",
        r#"{"role":"user","text":"Wie geht's?","turn":123456789012345}"#,
    ] {
        assert!(is_canonical_object(text), "{text}");
        assert_eq!(canonical(text), text);
    }
    let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert!(is_canonical_object(&nested(MAX_DEPTH)));
    for text in [
        nested(MAX_DEPTH + 1).as_str(),
        "[]",
        "1",
        "{} ",
        r#"{"a": 1}"#,
        r#"{"b":1,"a":1}"#,
        r#"{"a":1,"a":1}"#,
        r#"{"a":-0}"#,
        r#"{"a":01}"#,
        r#"{"a":1.0}"#,
        r#"{"a":1e3}"#,
        r#"{"a":9007199254740993}"#,
        r#"{"a":"\/"}"#,
        r#"{"a":"\u0000"}"#,
        r#"{"a":"\u000a"}"#,
        r#"{"a":"\u001F"}"#,
        r#"{"\u0001":1}"#,
        r#"{"a":1,}"#,
        r#"{"a"}"#,
        r#"{"a":"#,
    ] {
        assert!(!is_canonical_object(text), "{text}");
    }
}
