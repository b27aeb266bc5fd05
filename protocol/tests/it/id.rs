use proptest::prelude::*;
use protocol::id::{
    ClientVersion, HardwareId, Hostname, IdempotencyKey, LicenseId, PlanCode, ReturnUrl, SessionId, TenantId, UserId,
};
use serde_json::json;

#[test]
fn ids_made_later_sort_later_and_never_repeat() {
    let ids: Vec<SessionId> = (0..1000).map(|_| SessionId::new()).collect();
    assert!(ids.is_sorted_by(|left, right| left < right));
    assert_eq!(ids[0].as_uuid().get_version_num(), 7);
}

#[test]
fn ids_are_uuids_on_the_wire() {
    let id = LicenseId::new();
    assert_eq!(serde_json::to_value(id).unwrap(), json!(id.as_uuid().to_string()));
    assert_eq!(serde_json::from_value::<LicenseId>(json!(id.to_string())).unwrap(), id);
    assert_eq!(id.to_string().parse(), Ok(id));
    assert_eq!(LicenseId::from_uuid(id.as_uuid()), id);
    assert!(serde_json::from_value::<LicenseId>(json!("7")).is_err());
    assert!(serde_json::from_value::<LicenseId>(json!(7)).is_err());
}

#[test]
fn a_wrong_id_says_what_it_should_be() {
    assert!("x".parse::<TenantId>().unwrap_err().to_string().contains("tenant id"));
    assert!("x".parse::<UserId>().unwrap_err().to_string().contains("user id"));
}

#[test]
fn hardware_ids_have_64_hex_characters_of_any_case() {
    let id = HardwareId::of(b"serial 1");
    assert_eq!(id.as_str().len(), HardwareId::LEN);
    assert_eq!(HardwareId::parse(&id.as_str().to_uppercase()), Ok(id.clone()));
    assert_eq!(serde_json::from_value::<HardwareId>(json!(id.to_string().to_uppercase())).unwrap(), id);
    assert_eq!(serde_json::to_value(&id).unwrap(), json!(id.as_str()));
    assert_eq!(
        HardwareId::of(b"").as_str(),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "the SHA-256 of nothing"
    );
    for wrong in [
        "",
        "abc",
        &"a".repeat(63),
        &"a".repeat(65),
        &"g".repeat(64),
        &"é".repeat(32),
        &format!("{}\0", "a".repeat(63)),
    ] {
        assert!(wrong.parse::<HardwareId>().is_err(), "{wrong}");
        assert!(serde_json::from_value::<HardwareId>(json!(wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn short_texts_keep_their_bounds() {
    assert!(Hostname::parse("é".repeat(253)).is_ok());
    assert!(Hostname::parse("é".repeat(254)).is_err());
    assert!(Hostname::parse("a".repeat(100_000)).is_err());
    assert!(Hostname::parse("two\nlines").is_err());
    assert!(Hostname::parse("nul\0").is_err());
    assert!(Hostname::parse("").is_ok());

    assert!(ClientVersion::parse("coditect 1.4.0 (linux)").is_ok());
    assert!(ClientVersion::parse("1".repeat(64)).is_ok());
    assert!(ClientVersion::parse("1".repeat(65)).is_err());
    assert!(ClientVersion::parse("1.4.0\t").is_err());
    assert!(ClientVersion::parse("é").is_err());

    assert!(IdempotencyKey::parse("9b2f6c1e").is_ok());
    assert!(IdempotencyKey::parse("a".repeat(255)).is_ok());
    assert!(IdempotencyKey::parse("a".repeat(256)).is_err());
    assert!(IdempotencyKey::parse("").is_err());
    assert!(IdempotencyKey::parse("two words").is_err());
}

#[test]
fn short_texts_say_their_rule() {
    let wrong = serde_json::from_value::<Hostname>(json!("a\u{7}")).unwrap_err();
    assert!(wrong.to_string().contains("at most 253 characters"), "{wrong}");
    assert_eq!("1.4.0".parse::<ClientVersion>().unwrap().to_string(), "1.4.0");
}

proptest! {
    #[test]
    fn hardware_ids_round_trip(facts in prop::collection::vec(any::<u8>(), 0..100)) {
        let id = HardwareId::of(&facts);
        prop_assert_eq!(&serde_json::from_str::<HardwareId>(&serde_json::to_string(&id).unwrap()).unwrap(), &id);
        prop_assert_eq!(HardwareId::parse(id.as_str()).unwrap(), id);
    }

    #[test]
    fn short_texts_round_trip_unless_they_are_refused(text in ".{0,260}") {
        if let Ok(name) = Hostname::parse(text.clone()) {
            prop_assert_eq!(name.as_str(), &text);
            prop_assert_eq!(serde_json::from_str::<Hostname>(&serde_json::to_string(&name).unwrap()).unwrap(), name);
        }
        if let Ok(key) = text.parse::<IdempotencyKey>() {
            prop_assert_eq!(key.as_str(), &text);
        }
    }
}

#[test]
fn plans_are_codes() {
    for good in ["PRO", "TEAM", "T2", "A_B", &"A".repeat(32)] {
        assert!(PlanCode::parse(good).is_ok(), "{good}");
    }
    for bad in ["", "A", "pro", "2T", "_A", "PRO ", "PRÖ", "A-B", "A\0", &"A".repeat(33)] {
        assert!(PlanCode::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn browsers_are_sent_back_over_https_or_within_this_machine() {
    let long = |n: usize| format!("https://a.test/{}", "x".repeat(n - "https://a.test/".len()));
    for good in [
        "https://app.example.com/billing?ok=1#top",
        "https://app.example.com:8443",
        "https://a.test/?session={CHECKOUT_SESSION_ID}",
        "HTTPS://192.0.2.1/",
        "https://[2001:db8::1]:8443/x",
        "https://a.test/@b:c",
        "http://localhost:3000/x",
        "http://127.0.0.1",
        "http://[::1]:3000?x",
        &long(2048),
    ] {
        assert!(ReturnUrl::parse(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "https://",
        "https:///a.test",
        "https:a.test",
        "//a.test",
        "a.test",
        "http://a.test",
        "http://localhost.a.test",
        "http://localhost@a.test",
        "http://localhost\\@a.test",
        "http://localhost:80@a.test/",
        "http://127.0.0.1.a.test",
        "http://127.0.0.2@a.test",
        "http://[::2]",
        "https://user:password@a.test",
        "https://a.test:",
        "https://a.test:65536",
        "https://a.test:80:80",
        "https://[a.test]",
        "https://[::1",
        "https://a]b",
        "https://ä.test",
        "https://a.test/two words",
        "https://a.test/\n",
        " https://a.test",
        "javascript://a.test/%0aalert(1)",
        "data:text/html,x",
        "ftp://a.test",
        &long(2049),
    ] {
        assert!(ReturnUrl::parse(bad).is_err(), "{bad}");
    }
}
