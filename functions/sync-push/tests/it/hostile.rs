//! Tests of malformed and hostile records: each is refused by itself, and its neighbors are kept.

use serde_json::{Value, json};

use crate::cloud::{Cloud, PUSH, statuses, words};

const AT: &str = "2026-11-01T10:00:00Z";

/// A decision by its parts, as they are written.
fn record(id: &str, content: &str) -> String {
    format!(r#"{{"kind":"decision","id":{id},"content":{content},"updated_at":"{AT}"}}"#)
}

/// A decision with a content and one more field, which may be one that it has.
fn field(name: &str, value: &str) -> String {
    let mut fields = vec![
        ("kind", r#""decision""#),
        ("id", r#""x""#),
        ("content", "{}"),
        ("updated_at", r#""2026-11-01T10:00:00Z""#),
    ];
    fields.retain(|(field, _)| *field != name);
    fields.push((name, value));
    let fields = fields.iter().map(|(name, value)| format!(r#""{name}":{value}"#));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

fn content(content: &str) -> String {
    record(r#""x""#, content)
}

/// Pushes a record between two good ones, and returns its result.
async fn between(cloud: &Cloud, bad: &str) -> Value {
    let text = bad.chars().take(120).collect::<String>();
    let good = |n: usize| record(&format!("\"good-{n}-{}\"", uuid()), "{}");
    let mut results = cloud.push_text(&[good(1), bad.to_owned(), good(2)]).await;
    assert_eq!((statuses(&results)[0], statuses(&results)[2]), ("created", "created"), "beside {text}: {results:?}");
    results.remove(1)
}

fn uuid() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed).to_string()
}

async fn refused(cloud: &Cloud, code: &str, bad: &str) -> Value {
    let result = between(cloud, bad).await;
    let text = bad.chars().take(120).collect::<String>();
    assert_eq!((&result["status"], &result["error"]["code"]), (&json!("rejected"), &json!(code)), "{text}: {result}");
    assert_eq!((&result["version"], &result["content_hash"]), (&Value::Null, &Value::Null), "{text}");
    let detail = result["error"]["detail"].as_str().unwrap();
    assert!(detail.ends_with('.') && detail.len() < 600 && !detail.contains(" line "), "{text}: {detail}");
    result
}

#[tokio::test]
async fn a_content_without_a_canonical_form_is_refused_alone() {
    let cloud = Cloud::new().await;
    for bad in [
        r#"{"a":"x\u0000y"}"#,
        r#"{"a\u0000":1}"#,
        r#"{"a":["\ud800"]}"#,
        r#"{"\udc00":1}"#,
        r#"{"a":9007199254740992}"#,
        r#"{"a":-9007199254740993}"#,
        r#"{"a":123456789012345678901234567890}"#,
        r#"{"a":1e400}"#,
        r#"{"a":-1e400}"#,
        r#"{"a":1e300}"#,
        "null",
        r#""text""#,
        "5",
        "[{}]",
        r#"{"encrypted":{}}"#,
        r#"{"encrypted":null}"#,
        r#"{"encrypted":{"v":2,"key_id":"0123456789abcdef"}}"#,
    ] {
        let code = if bad == "null" { "invalid_record" } else { "invalid_content" };
        assert_eq!(refused(&cloud, code, &content(bad)).await["id"], "x", "{bad}");
    }
    for depth in [65, 127, 200, 100_000] {
        let nested = |open: &str, close: &str| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        refused(&cloud, "invalid_content", &content(&nested(r#"{"a":"#, "}"))).await;
        refused(&cloud, "invalid_content", &content(&format!(r#"{{"a":{}}}"#, nested("[", "]")))).await;
    }
    refused(&cloud, "content_too_large", &content(&format!(r#"{{"a":"{}"}}"#, "x".repeat(256 << 10)))).await;
    refused(&cloud, "content_too_large", &content(&format!(r#"{{"a":"{}"}}"#, "\\u0001".repeat(50 << 10)))).await;
    refused(&cloud, "content_too_large", &content(&format!(r#"{{"a":{}}}"#, " ".repeat(3 << 20) + "1"))).await;
    assert_eq!(cloud.world.number("select count(*) from context_records where id = 'x'").await, 0);
}

#[tokio::test]
async fn what_is_unusual_and_good_is_kept() {
    let cloud = Cloud::new().await;
    let whole = format!(r#"{{"a":"{}"}}"#, "x".repeat((256 << 10) - 8));
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(63), "]".repeat(63));
    let escaped = format!(r#"{{"a":"{}"}}"#, "\\u0078".repeat(100 << 10));
    for (n, good) in [
        whole.as_str(),
        &deep,
        &escaped,
        "{}",
        r#"{"a":9007199254740991,"b":-0.0,"c":5e-324,"d":1e-999}"#,
        r#"{"😀":"\ud83d\ude00","\ufb33":1}"#,
        r#"{"a":1,"a":2}"#,
        r#"{"encrypted":{"v":2},"beside":1}"#,
        " { \"a\" : [ ] } ",
        r#"{"\\u0000":"\\u0000 ' -- \u0007"}"#,
    ]
    .into_iter()
    .enumerate()
    {
        let result = between(&cloud, &record(&format!("\"n{n}\""), good)).await;
        assert_eq!(result["status"], "created", "{}: {result}", good.chars().take(80).collect::<String>());
    }
    let pulled = cloud.pull_all(3).await;
    let of = |id: &str| pulled.iter().find(|r| r["id"] == id).unwrap();
    assert_eq!(of("n6")["content"], json!({"a": 2}), "the last of two names");
    assert_eq!(of("n4")["content"], json!({"a": 9_007_199_254_740_991_u64, "b": 0, "c": 5e-324, "d": 0}));
    assert_eq!(of("n0")["content"]["a"].as_str().unwrap().len(), (256 << 10) - 8);
    for id in [
        "ünï cödé",
        "'; drop table context_records; --",
        "%00",
        "a/b?c=d&e",
        "{null}",
        "NULL",
        "\\N",
        "😀",
        &"é".repeat(128),
    ] {
        let result = between(&cloud, &record(&json!(id).to_string(), "{}")).await;
        assert_eq!((&result["status"], &result["id"]), (&json!("created"), &json!(id)));
    }
    assert!(cloud.pull_all(1000).await.iter().any(|r| r["id"] == "'; drop table context_records; --"));
}

#[tokio::test]
async fn a_record_that_is_none_is_refused_alone() {
    let cloud = Cloud::new().await;
    for bad in ["null", "5", r#""x""#, "[]", "{}", "true", r#"[{"kind":"decision"}]"#] {
        assert_eq!(refused(&cloud, "invalid_record", bad).await["id"], Value::Null, "{bad}");
    }
    // A list of the fields' values in their order is no record, whatever a parser makes of it.
    refused(&cloud, "invalid_record", &format!(r#"["decision","x",null,{{}},"{AT}",null,false]"#)).await;
    for (name, value) in [
        ("id", r#""""#.to_owned()),
        ("id", r#""a\u0000b""#.to_owned()),
        ("id", r#""\ud800""#.to_owned()),
        ("id", r#""a\nb""#.to_owned()),
        ("id", json!("x".repeat(129)).to_string()),
        ("id", json!("x".repeat(1 << 20)).to_string()),
        ("id", "5".to_owned()),
        ("id", "null".to_owned()),
        ("kind", r#""gossip""#.to_owned()),
        ("kind", json!("k".repeat(1 << 20)).to_string()),
        ("kind", "1".to_owned()),
        ("kind", r#""Decision""#.to_owned()),
        ("project_id", r#""""#.to_owned()),
        ("project_id", r#""\u0000""#.to_owned()),
        ("project_id", "[]".to_owned()),
        ("deleted", r#""yes""#.to_owned()),
        ("deleted", "null".to_owned()),
        ("deleted", "1".to_owned()),
        ("base_version", "-1".to_owned()),
        ("base_version", "1.5".to_owned()),
        ("base_version", "1.0".to_owned()),
        ("base_version", "1e400".to_owned()),
        ("base_version", r#""1""#.to_owned()),
        ("base_version", "18446744073709551615".to_owned()),
        ("base_version", "99999999999999999999999999".to_owned()),
        ("updated_at", r#""0001-01-01T00:00:00Z""#.to_owned()),
        ("updated_at", r#""1969-12-31T23:59:59Z""#.to_owned()),
        ("updated_at", r#""-000044-03-15T12:00:00Z""#.to_owned()),
        ("updated_at", r#""9999-12-31T23:59:59Z""#.to_owned()),
        ("updated_at", r#""10000-01-01T00:00:00Z""#.to_owned()),
        ("updated_at", r#""2026-02-30T00:00:00Z""#.to_owned()),
        ("updated_at", r#""2026-11-01T10:00:00""#.to_owned()),
        ("updated_at", r#""2026-11-01""#.to_owned()),
        ("updated_at", r#""yesterday""#.to_owned()),
        ("updated_at", r#""infinity""#.to_owned()),
        ("updated_at", "1793000000".to_owned()),
        ("updated_at", "null".to_owned()),
    ] {
        refused(&cloud, "invalid_record", &field(name, &value)).await;
    }
    for name in ["kind", "id", "content", "updated_at"] {
        let mut whole: Value = serde_json::from_str(&content("{}")).unwrap();
        whole.as_object_mut().unwrap().remove(name);
        refused(&cloud, "invalid_record", &whole.to_string()).await;
    }
    let twice = r#"{"id":"y",%}"#.replace('%', content("{}").trim_matches(['{', '}']));
    refused(&cloud, "invalid_record", &twice).await;
    refused(&cloud, "read_only_kind", &field("kind", r#""component""#)).await;
    assert_eq!(cloud.world.number("select count(*) from context_records where id not like 'good%'").await, 0);
}

#[tokio::test]
async fn times_and_versions_at_the_edge_are_kept() {
    let cloud = Cloud::new().await;
    for (n, (name, value, kept)) in [
        ("updated_at", json!("1970-01-01T00:00:00Z"), json!("1970-01-01T00:00:00Z")),
        ("updated_at", json!("2026-11-01T12:00:00+02:00"), json!("2026-11-01T10:00:00Z")),
        ("updated_at", json!("2026-11-01T10:00:00.123456789-00:30"), json!("2026-11-01T10:30:00.123456Z")),
        ("updated_at", json!("9999-12-30T22:00:00Z"), json!("9999-12-30T22:00:00Z")),
        ("base_version", json!(i64::MAX), json!(null)),
        ("base_version", json!(0), json!(null)),
        ("base_version", json!(null), json!(null)),
        ("project_id", json!(null), json!(null)),
        ("invented", json!({"ignored": ["\u{0}"]}), json!(null)),
    ]
    .into_iter()
    .enumerate()
    {
        let mut record = json!({"kind": "decision", "id": format!("n{n}"), "content": {}, "updated_at": AT});
        record[name] = value.clone();
        let result = between(&cloud, &record.to_string()).await;
        assert_eq!(
            (&result["status"], &result["version"]),
            (&json!("created"), &json!(1)),
            "{name} = {value}: {result}"
        );
        let pulled = cloud.pull_all(1000).await;
        assert_eq!(&pulled.iter().find(|r| r["id"] == format!("n{n}")).unwrap()[name], &kept, "{name} = {value}");
    }
}

#[tokio::test]
async fn the_same_record_twice_in_a_push_is_refused_the_second_time() {
    let cloud = Cloud::new().await;
    let task = field("kind", r#""task""#);
    let results = cloud.push_text(&[content("{}"), content(r#"{"a":1}"#), task, content("5"), content("{}")]).await;
    assert_eq!(words(&results), ["created", "repeated_id", "created", "invalid_content", "repeated_id"]);
    let again = cloud.push_text(&[content("null"), content(r#"{"a":1}"#)]).await;
    assert_eq!(words(&again), ["invalid_record", "conflict"], "what was refused doesn't count as the first");
    assert_eq!(cloud.status().await["records"]["used"], 2);
}

#[tokio::test]
async fn five_hundred_records_go_into_a_push_and_no_more() {
    let cloud = Cloud::new().await;
    let records = |count: usize| -> Vec<String> { (0..count).map(|n| record(&format!("\"r{n}\""), "{}")).collect() };
    assert_eq!(cloud.push_text(&records(500)).await.len(), 500);
    assert_eq!(cloud.push_text(&[]).await.len(), 0);
    let body: Value =
        serde_json::from_str(&format!(r#"{{"device_id":"a","records":[{}]}}"#, records(501).join(","))).unwrap();
    let refused = cloud.push.post(PUSH, body, 422).await;
    assert_eq!(refused.text("/errors/0/pointer"), "/records");
    let bad: Vec<String> = (0..500).map(|_| "5".to_owned()).collect();
    assert!(cloud.push_text(&bad).await.iter().all(|r| r["status"] == "rejected"));
    assert_eq!(cloud.status().await["records"]["used"], 500);
}
