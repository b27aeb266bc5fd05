//! Whatever is sent, the answer is a problem that says what to do; nothing breaks and nothing leaks.

use serde_json::{Value, json};
use testing::http::{Answer, Client, Method};
use testing::world::License;

use crate::world::{
    ACQUIRE, AUTH, CHECKOUT, DEACTIVATE, HEARTBEAT, PORTAL, PUSH, RELEASE, VALIDATE, all_with, device, signed_in,
};

/// Every route that takes a body, with one that it accepts.
fn routes(license: &License) -> Vec<(&'static str, Value)> {
    let key = license.key.to_string();
    let session = "01890a5d-ac96-774b-bcce-b302099a8057";
    vec![
        (AUTH, json!({"license_key": key})),
        (VALIDATE, json!({"license_key": key, "machine_id": device(1), "version": "1"})),
        (DEACTIVATE, json!({"license_key": key, "machine_id": device(1)})),
        (ACQUIRE, json!({"hardware_id": device(1), "hostname": "h", "version": "1"})),
        (HEARTBEAT, json!({"session_id": session})),
        (RELEASE, json!({"session_id": session})),
        (
            CHECKOUT,
            json!({"plan": "TEAM", "seats": 7, "success_url": "https://a.test", "cancel_url": "https://a.test"}),
        ),
        (PORTAL, json!({"return_url": "https://a.test"})),
        (PUSH, json!({"device_id": "laptop", "records": []})),
    ]
}

/// The most bytes that a route takes.
fn limit(path: &str) -> usize {
    if path == PUSH { 4 << 20 } else { 64 << 10 }
}

/// A whole problem document, with nothing internal in it.
pub(crate) fn problem(answer: &Answer, what: &str) {
    assert_eq!(answer.header("content-type"), "application/problem+json", "{what}: {:#}", answer.body);
    for field in ["type", "title", "detail", "code", "request_id"] {
        assert!(
            answer.body[field].as_str().is_some_and(|text| !text.is_empty()),
            "{what}: {field} in {:#}",
            answer.body
        );
    }
    assert_eq!(answer.body["status"], answer.status, "{what}");
    assert_eq!(answer.body["request_id"], answer.header("x-request-id"), "{what}");
    let text = answer.body.to_string();
    for internal in ["panicked", "src/", ".rs:", "postgres", "redis", "SELECT", "serde", "tokio", "/tmp"] {
        assert!(!text.contains(internal), "{what}: {internal} in {text}");
    }
}

async fn send(client: &Client, path: &str, body: Vec<u8>, status: u16, what: &str) -> Answer {
    let request = client.request(Method::POST, path).header("content-type", "application/json").body(body);
    let answer = client.send_any(request).await;
    let start: String = answer.body.to_string().chars().take(400).collect();
    assert_eq!(answer.status, status, "{what} on {path}: {start}");
    problem(&answer, what);
    answer
}

#[tokio::test]
async fn what_is_not_json_is_a_400() {
    let (_world, client, license) = all_with("TEAM", 5).await;
    let caller = signed_in(&client, &license).await;
    for (path, good) in routes(&license) {
        let good = good.to_string();
        let truncated = good[..good.len() - 1].to_owned();
        for (what, body) in [
            ("nothing", Vec::new()),
            ("a word", b"word".to_vec()),
            ("half an object", truncated.into_bytes()),
            ("a wrong type before half an object", br#"{"license_key":1,"session_id":1,"hardware_id":1"#.to_vec()),
            ("two objects", format!("{good}{good}").into_bytes()),
            ("invalid UTF-8", b"{\"license_key\":\"\xff\xfe\"}".to_vec()),
            (
                "half a surrogate",
                br#"{"license_key":"\ud800","session_id":"\ud800","hardware_id":"\ud800","plan":"\ud800","return_url":"\ud800","device_id":"\ud800"}"#
                    .to_vec(),
            ),
            ("deep nesting", "[".repeat(50_000).into_bytes()),
            ("zero bytes", vec![0; 100]),
            ("XML", b"<a/>".to_vec()),
        ] {
            let answer = send(&caller, path, body, 400, what).await;
            assert_eq!(answer.text("/code"), "malformed_body");
        }
    }
}

#[tokio::test]
async fn a_number_beyond_all_is_the_senders_mistake() {
    let (_world, client, license) = all_with("TEAM", 5).await;
    let caller = signed_in(&client, &license).await;
    for (path, good) in routes(&license) {
        for field in good.as_object().unwrap().keys() {
            for number in [format!("1e{}", "9".repeat(400)), "9".repeat(5000), format!("-0.{}", "0".repeat(5000))] {
                let body = format!("{{\"{field}\":{number}}}");
                let request = caller.request(Method::POST, path).header("content-type", "application/json").body(body);
                let answer = client.send_any(request).await;
                assert!([400, 422].contains(&answer.status), "{field} on {path}: {:#}", answer.body);
                problem(&answer, field);
            }
        }
    }
}

#[tokio::test]
async fn what_is_too_large_is_a_413() {
    let (_world, client, license) = all_with("TEAM", 5).await;
    let caller = signed_in(&client, &license).await;
    for (path, _) in routes(&license) {
        let body = format!("{{\"license_key\":\"{}\"}}", "x".repeat(10 << 20));
        let request = caller.request(Method::POST, path).header("content-type", "application/json").body(body);
        // The server may answer and close before it has read 10 MB; then the client may see only the close.
        if let Ok(response) = request.send().await {
            assert_eq!(response.status(), 413, "{path}");
        }
        let just_over = format!("{{\"license_key\":\"{}\"}}", "x".repeat(limit(path)));
        let answer = send(&caller, path, just_over.into_bytes(), 413, "just over the limit").await;
        assert_eq!(answer.text("/code"), "body_too_large");
    }
    client.get("/health", 200).await;
}

#[tokio::test]
async fn another_content_type_is_a_415() {
    let (_world, client, license) = all_with("TEAM", 5).await;
    let caller = signed_in(&client, &license).await;
    for (path, good) in routes(&license) {
        for kind in
            ["text/plain", "application/x-www-form-urlencoded", "application/xml", "application/jsonp", "*/*", "x"]
        {
            let request = caller.request(Method::POST, path).header("content-type", kind).body(good.to_string());
            let answer = client.send(request, 415).await;
            problem(&answer, kind);
        }
        let without = caller.request(Method::POST, path).body(good.to_string());
        problem(&client.send(without, 415).await, "no content type");
        let utf8 = caller.request(Method::POST, path).header("content-type", "Application/JSON; charset=utf-8");
        let answer = client.send_any(utf8.body(good.to_string())).await;
        assert!(answer.status != 415, "{path}: {:#}", answer.body);
    }
}

#[tokio::test]
async fn wrong_types_and_values_are_a_422_that_points_at_them() {
    let (_world, client, license) = all_with("TEAM", 5).await;
    let caller = signed_in(&client, &license).await;
    let wrong = [
        json!(null),
        json!(true),
        json!(1),
        json!(-1),
        json!(1e300),
        json!(18_446_744_073_709_551_615_u64),
        json!([]),
        json!({}),
        json!("\u{0}"),
        json!("a\u{0}b"),
        json!("\u{7f}\u{1b}[31m"),
        json!("x".repeat(5000)),
        json!(["x"]),
    ];
    for (path, good) in routes(&license) {
        for field in good.as_object().unwrap().keys() {
            let optional = matches!((path, field.as_str()), (ACQUIRE, "hostname" | "version") | (CHECKOUT, "seats"));
            for value in &wrong {
                // An optional field may be null; a license key may be any text, and is answered as not being one.
                let key = field == "license_key" && value.as_str().is_some_and(|text| text.len() < 1000);
                let one_seat = field == "seats" && *value == json!(1);
                // Records are judged one by one.
                let records = field == "records" && value.is_array();
                if (optional && value.is_null()) || key || one_seat || records {
                    continue;
                }
                let mut body = good.clone();
                body[field] = value.clone();
                let what = format!("{field} = {}", value.to_string().chars().take(40).collect::<String>());
                let answer = send(&caller, path, body.to_string().into_bytes(), 422, &what).await;
                assert_eq!(answer.text("/code"), "validation_failed");
                assert_eq!(answer.text("/errors/0/pointer"), format!("/{field}"), "{what}: {:#}", answer.body);
            }
            let mut body = good.clone();
            body.as_object_mut().unwrap().remove(field);
            if !optional {
                send(&caller, path, body.to_string().into_bytes(), 422, &format!("no {field}")).await;
            }
        }
        let values: Vec<&Value> = good.as_object().unwrap().values().collect();
        for body in [json!(values), json!([]), json!("x"), json!(1), json!(null), json!([good.clone()])] {
            send(&caller, path, body.to_string().into_bytes(), 422, &body.to_string()).await;
        }
        let mut more = good.clone();
        more["unknown_field"] = json!({"ignored": true});
        let answer = caller.try_post(path, more).await;
        assert!(answer.status != 422, "unknown fields are ignored: {:#}", answer.body);
    }
}

#[tokio::test]
async fn a_key_that_is_none_is_answered_as_such() {
    let (_world, client, _license) = all_with("TEAM", 5).await;
    for key in ["", "x", "CODITECT-XXXX-XXXX", "\u{0}", "' or 1=1 --", "ＣＯＤＩＴＥＣＴ"] {
        let answer =
            client.post(VALIDATE, json!({"license_key": key, "machine_id": device(1), "version": "1"}), 200).await;
        assert_eq!((&answer.body["valid"], answer.text("/reason")), (&json!(false), "invalid_format"), "{key:?}");
        let answer = client.post(AUTH, json!({"license_key": key}), 401).await;
        assert_eq!(answer.text("/code"), "invalid_license_key", "{key:?}");
    }
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems_too() {
    let (_world, client, license) = all_with("TEAM", 5).await;
    for path in [
        "/",
        "/api",
        "/api/v1/licenses",
        "/api/v1/licenses/acquire/x",
        "/%00",
        "/..%2f..%2fetc/passwd",
        "/api/v2/licenses/acquire",
    ] {
        problem(&client.get(path, 404).await, path);
    }
    for (path, _) in routes(&license) {
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH] {
            let answer = client.send(client.request(method, path), 405).await;
            problem(&answer, path);
            assert_eq!(answer.header("allow"), "POST", "{path}");
        }
        let invented = Method::from_bytes(b"BREW").unwrap();
        client.send(client.request(invented, path), 405).await;
    }
    let put = client.send(client.request(Method::PUT, "/health"), 405).await;
    assert!(put.header("allow").contains("GET"), "{}", put.header("allow"));
}

#[tokio::test]
async fn a_trailing_slash_makes_no_difference_and_every_answer_has_a_request_id() {
    let (_world, client, license) = all_with("TEAM", 5).await;
    let caller = signed_in(&client, &license).await;
    for (path, good) in routes(&license) {
        let (plain, slashed) =
            (caller.try_post(path, good.clone()).await, caller.try_post(&format!("{path}/"), good).await);
        assert!(plain.status / 100 == slashed.status / 100 && slashed.status != 405, "{path}: {:#}", slashed.body);
    }
    client.get("/health/", 200).await;

    for sane in ["abc-123", "01890a5d-ac96-774b-bcce-b302099a8057"] {
        let answer = client.send(client.request(Method::GET, "/nowhere").header("x-request-id", sane), 404).await;
        assert_eq!((answer.header("x-request-id"), answer.text("/request_id")), (sane, sane));
    }
    for insane in ["", "a b", "<script>", &"x".repeat(500), "ä"] {
        let answer = client.send(client.request(Method::GET, "/health").header("x-request-id", insane), 200).await;
        assert!(answer.header("x-request-id") != insane && !answer.header("x-request-id").is_empty(), "{insane:?}");
    }
}

#[tokio::test]
async fn what_is_not_http_hurts_nobody() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (_world, client, _license) = all_with("TEAM", 5).await;
    let host = client.url().trim_start_matches("http://");
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/v1/licenses/acquire HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /api/v1/licenses/acquire HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
    ] {
        let mut connection = tokio::net::TcpStream::connect(host).await.unwrap();
        connection.write_all(bytes).await.unwrap();
        connection.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = connection.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 5"), "{}", String::from_utf8_lossy(&answer));
    }
    client.get("/health", 200).await;
}
