//! Signatures made by Stripe's own library are believed; anything near them is not.

use std::sync::LazyLock;

use jiff::Timestamp;
use stripe::signature::{Secrets, SignatureError};
use testing::stripe::{Events, Signer, Subscription, Version};

const SECRET: &str = "whsec_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH";
const ROLLED: &str = "whsec_0PdUy9ZJzbdxnkQjVrWmcrQ2xYhGjpLt";
const ANOTHER: &str = "whsec_1111111111111111111111111111111x";
const NOW: i64 = 1_760_000_000;

static SIGNER: LazyLock<Signer> = LazyLock::new(Signer::start);

/// An event of exactly 1 KiB.
static BODY: LazyLock<String> = LazyLock::new(|| {
    let open = r#"{"id":"evt_1","object":"event","type":"customer.updated","data":{"object":{"object":"customer","name":"Zoë "#;
    let close = r#""}}}"#;
    format!("{open}{}{close}", "x".repeat(1024 - open.len() - close.len()))
});

fn verify(header: &str, body: &[u8]) -> Result<(), SignatureError> {
    verify_by(SECRET, header, body, NOW)
}

fn verify_by(secrets: &str, header: &str, body: &[u8], now: i64) -> Result<(), SignatureError> {
    Secrets::parse(secrets).unwrap().verify(Some(header), body, Timestamp::from_second(now).unwrap())
}

fn signed(at: i64) -> String {
    SIGNER.header(&BODY, SECRET, at)
}

#[test]
fn stripes_own_signatures_are_believed() {
    assert_eq!(BODY.len(), 1024);
    assert_eq!(verify(&signed(NOW), BODY.as_bytes()), Ok(()));
    for version in [Version::Old, Version::Current] {
        for event in crate::shapes::every_kind(version) {
            let body = event.body();
            assert_eq!(verify(&SIGNER.header(&body, SECRET, NOW), body.as_bytes()), Ok(()), "{body}");
        }
    }
    // Names from anywhere, and line ends of any kind.
    let acme =
        Subscription { person: "Łukasz \u{1f980}\r\n\u{2028}".to_owned(), ..Subscription::new("acme", &[], NOW) };
    let body = Events::new(Version::Current).customer("updated", &acme, NOW).body() + "\r\n";
    assert_eq!(verify(&SIGNER.header(&body, SECRET, NOW), body.as_bytes()), Ok(()));
}

#[test]
fn while_a_secret_is_rolled_both_are_good() {
    let by = |secret| SIGNER.header(&BODY, secret, NOW);
    let both = format!("{SECRET}, {ROLLED}");
    for secret in [SECRET, ROLLED] {
        assert_eq!(verify_by(&both, &by(secret), BODY.as_bytes(), NOW), Ok(()));
    }
    assert_eq!(verify_by(&both, &by(ANOTHER), BODY.as_bytes(), NOW), Err(SignatureError::Signature));
    // Stripe signs with both for a while.
    let v1 = |secret| by(secret).split_once(',').unwrap().1.to_owned();
    for (first, second) in [(SECRET, ANOTHER), (ANOTHER, SECRET)] {
        let header = format!("t={NOW},{},{}", v1(first), v1(second));
        assert_eq!(verify(&header, BODY.as_bytes()), Ok(()));
    }
    let foreign = format!("t={NOW},{},{}", v1(ANOTHER), v1(ROLLED));
    assert_eq!(verify(&foreign, BODY.as_bytes()), Err(SignatureError::Signature));
}

#[test]
fn no_byte_of_the_body_can_change() {
    let (header, genuine) = (signed(NOW), BODY.as_bytes());
    let secrets = Secrets::parse(SECRET).unwrap();
    let now = Timestamp::from_second(NOW).unwrap();
    let mut refused = 0;
    for at in 0..genuine.len() {
        let mut body = genuine.to_vec();
        for other in 0..=u8::MAX {
            body[at] = other;
            if other != genuine[at] {
                assert_eq!(secrets.verify(Some(&header), &body, now), Err(SignatureError::Signature), "{at}: {other}");
                refused += 1;
            }
        }
        let mut shorter = genuine.to_vec();
        shorter.remove(at);
        assert_eq!(verify(&header, &shorter), Err(SignatureError::Signature), "without byte {at}");
    }
    assert_eq!(refused, 1024 * 255);
    for longer in
        [[genuine, b"\n"].concat(), [b"\n", genuine].concat(), [b"\xef\xbb\xbf", genuine].concat(), Vec::new()]
    {
        assert_eq!(verify(&header, &longer), Err(SignatureError::Signature));
    }
}

#[test]
fn no_character_of_the_header_can_change() {
    let genuine = signed(NOW);
    assert!(genuine.is_ascii());
    for at in 0..genuine.len() {
        for other in (b' '..=b'~').map(char::from) {
            let mut header = genuine.clone();
            header.replace_range(at..=at, other.encode_utf8(&mut [0; 4]));
            if header != genuine {
                assert!(verify(&header, BODY.as_bytes()).is_err(), "{header}");
            }
        }
        let mut shorter = genuine.clone();
        shorter.remove(at);
        assert!(verify(&shorter, BODY.as_bytes()).is_err(), "{shorter}");
    }
    assert_eq!(verify(&genuine.to_uppercase(), BODY.as_bytes()), Err(SignatureError::Header));
}

#[test]
fn a_signature_is_good_for_five_minutes_either_way() {
    for (off, expected) in [
        (-300, Ok(())),
        (300, Ok(())),
        (-301, Err(SignatureError::Time)),
        (301, Err(SignatureError::Time)),
        (-86_400, Err(SignatureError::Time)),
    ] {
        assert_eq!(verify(&signed(NOW + off), BODY.as_bytes()), expected, "{off}");
    }
    // A time that is no longer one, with a signature that is right.
    for at in [0, i64::MAX] {
        assert_eq!(verify(&signed(at), BODY.as_bytes()), Err(SignatureError::Time), "{at}");
    }
    assert_eq!(verify(&signed(-NOW), BODY.as_bytes()), Err(SignatureError::Header));
}

#[test]
fn nobody_elses_secret_will_do() {
    for secret in [ANOTHER, &SECRET[..SECRET.len() - 1], SECRET.strip_prefix("whsec_").unwrap(), &SECRET.to_uppercase()]
    {
        assert_eq!(
            verify(&SIGNER.header(&BODY, secret, NOW), BODY.as_bytes()),
            Err(SignatureError::Signature),
            "{secret}"
        );
    }
}

#[test]
fn every_part_has_to_be_there() {
    let genuine = signed(NOW);
    let v1 = genuine.rsplit_once("v1=").unwrap().1;
    let at = format!("t={NOW}");
    for header in [
        String::new(),
        ",".to_owned(),
        "=".to_owned(),
        at.clone(),
        format!("v1={v1}"),
        format!("t=,v1={v1}"),
        format!("t={NOW}.0,v1={v1}"),
        format!("t=+{NOW},v1={v1}"),
        format!("t,v1={v1}"),
        format!("{at};v1={v1}"),
        format!("{at},v1"),
        format!("{at},v1="),
        format!("{at},{v1}"),
        // Weaker schemes count for nothing, and neither do a second time, and bytes that are none.
        format!("{at},v0={v1}"),
        format!("{at},v10={v1}"),
        format!("{at},V1={v1}"),
        format!("{at},{at},v1={v1}"),
        format!("{at},v1=0x{v1}"),
        format!("{at},v1={v1}zz"),
        format!("{at},v1={}", v1.to_uppercase()),
        format!("{at},v1={v1}00"),
        format!("{at},v1={}", &v1[..62]),
        format!("{at},v1={}", &v1[..63]),
    ] {
        assert_eq!(verify(&header, BODY.as_bytes()), Err(SignatureError::Header), "{header}");
    }
    let none = Secrets::parse(SECRET).unwrap().verify(None, BODY.as_bytes(), Timestamp::from_second(NOW).unwrap());
    assert_eq!(none, Err(SignatureError::Header));
    // Beside what counts, anything may stand.
    assert_eq!(verify(&format!("{genuine},v0={v1},v2=x,y"), BODY.as_bytes()), Ok(()));
}

#[test]
fn a_huge_header_costs_little_and_gets_nowhere() {
    let genuine = signed(NOW);
    let wrong = format!(",v1={}", "0".repeat(64)).repeat(100_000);
    let before = format!("t={NOW}{wrong},{}", genuine.split_once(',').unwrap().1);
    let started = std::time::Instant::now();
    assert_eq!(verify(&before, BODY.as_bytes()), Err(SignatureError::Signature));
    assert_eq!(verify(&format!("t={NOW},v1={}", "0".repeat(1 << 22)), BODY.as_bytes()), Err(SignatureError::Header));
    assert_eq!(verify(&"t=".repeat(1 << 20), BODY.as_bytes()), Err(SignatureError::Header));
    assert!(started.elapsed().as_secs() < 1, "{:?}", started.elapsed());
}
