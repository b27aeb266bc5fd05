use std::collections::BTreeSet;

use protocol::problem::{Code, FieldError, ProblemDocument};
use protocol::wire::SeatCounts;
use serde_json::json;

#[test]
fn every_code_has_a_word_a_status_and_two_sentences() {
    let words: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(words.len(), Code::ALL.len(), "no word twice");
    for &code in Code::ALL {
        assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
        assert!((400..600).contains(&code.status()), "{code}");
        for sentence in [code.title(), code.advice()] {
            assert!(sentence.ends_with('.') && sentence.starts_with(|c: char| c.is_uppercase()), "{code}: {sentence}");
        }
        assert_eq!(code.as_str().parse(), Ok(code));
        assert_eq!(serde_json::to_value(code).unwrap(), json!(code.as_str()));
    }
    assert!("teapot".parse::<Code>().is_err());
}

#[test]
fn what_does_not_apply_is_left_out() {
    let problem = ProblemDocument { request_id: "r-1".to_owned(), ..ProblemDocument::new(Code::NotFound) };
    assert_eq!(
        serde_json::to_value(problem).unwrap(),
        json!({
            "type": "https://coditect.ai/problems/not_found",
            "title": "There is nothing here.",
            "status": 404,
            "detail": "Check the address and the id.",
            "code": "not_found",
            "request_id": "r-1",
        })
    );
}

#[test]
fn a_full_problem_round_trips() {
    let problem = ProblemDocument {
        request_id: "r-1".to_owned(),
        retry_after_seconds: Some(120),
        seats: Some(SeatCounts { limit: 5, in_use: 5 }),
        reason: Some("suspended".to_owned()),
        errors: vec![FieldError { pointer: "/hardware_id".to_owned(), detail: "Too short.".to_owned() }],
        feature: Some("cloud_sync".to_owned()),
        plan: Some("PRO".to_owned()),
        ..ProblemDocument::new(Code::NoSeatsAvailable)
    };
    let text = serde_json::to_string(&problem).unwrap();
    let read: ProblemDocument = serde_json::from_str(&text).unwrap();
    assert_eq!(read, problem);
    assert_eq!(read.known_code(), Some(Code::NoSeatsAvailable));
}

#[test]
fn problems_of_a_newer_server_can_be_read() {
    let text = r#"{"status": 418, "code": "teapot", "title": "A teapot.", "lid": "on"}"#;
    let read: ProblemDocument = serde_json::from_str(text).unwrap();
    assert_eq!(read.known_code(), None);
    assert_eq!((read.status, read.title.as_str()), (418, "A teapot."));
    assert!(!serde_json::to_string(&read).unwrap().contains("lid"));
}
