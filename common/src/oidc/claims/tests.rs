//! Configurations and claims, good and odd.

use serde_json::json;

use super::*;

const NOW: i64 = 1_800_000_000;
const TENANT: &str = "019a0000-0000-7000-8000-000000000001";

fn issuer(more: Value) -> Result<Claims, String> {
    let mut config = json!({"issuer": "https://login.test", "audience": "coditect"});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Claims::from_config(&serde_json::from_value(config).map_err(|e| e.to_string())?)
}

fn identity(config: Value, more: Value) -> Result<Identity, TokenError> {
    let mut claims = json!({"iss": "https://login.test", "aud": "coditect", "sub": "ann", "exp": NOW + 60});
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    issuer(config).unwrap().identity(claims.as_object().unwrap(), NOW)
}

fn every() -> Value {
    json!({"tenants": "*"})
}

#[test]
fn an_issuer_says_for_whom_it_may_speak() {
    for good in [
        json!({"tenants": "*"}),
        json!({"tenants": ["*"]}),
        json!({"tenants": [TENANT]}),
        json!({"tenants": TENANT}),
        json!({"domains": ["Acme.test"]}),
        json!({"tenants": "*", "domains": null, "verified_claim": "xms_edov"}),
        json!({"tenants": [TENANT], "trusted": true}),
        json!({"domains": ["acme.test"], "trusted": true}),
    ] {
        assert!(issuer(good.clone()).is_ok(), "{good}");
    }
    for (bad, why) in [
        (json!({}), "needs the users that it may speak for"),
        (json!({"tenants": null}), "needs the users that it may speak for"),
        (json!({"tenants": []}), "may speak for no user"),
        (json!({"domains": []}), "may speak for no user"),
        (json!({"tenants": ["*", TENANT]}), "is no tenant's id"),
        (json!({"tenants": ["acme"]}), "is no tenant's id"),
        (json!({"domains": ["*"]}), "is no e-mail domain"),
        (json!({"domains": ["ann@acme.test"]}), "is no e-mail domain"),
        (json!({"domains": "acme.test"}), "invalid type"),
        (json!({"tenants": "*", "trusted": true}), "needs a list"),
        (json!({"tenants": [TENANT], "trusted": true, "verified_claim": "x"}), "give one of them"),
        (json!({"tenants": "*", "domain": ["acme.test"]}), "unknown field"),
    ] {
        let refused = issuer(bad.clone()).unwrap_err();
        assert!(refused.contains(why), "{bad}: {refused}");
    }
    let named = |tenants: Value, tid: &str| {
        let config = json!({"tenants": tenants, "tenant_claim": "tid"});
        identity(config, json!({"tid": tid})).unwrap().allowed_tenants()
    };
    assert_eq!(named(json!("*"), TENANT), Some(vec![TENANT.parse().unwrap()]));
    assert_eq!(named(json!([TENANT]), TENANT), Some(vec![TENANT.parse().unwrap()]));
    assert_eq!(named(json!([TENANT]), &TENANT.replace('1', "2")), Some(vec![]));
    assert_eq!(named(json!("*"), "acme"), Some(vec![]));
    let both = identity(json!({"tenants": [TENANT], "domains": ["ACME.test"]}), json!({})).unwrap();
    assert_eq!(both.tenants, Some(vec![TENANT.parse().unwrap()]));
    assert_eq!(both.domains, Some(vec!["acme.test".to_owned()]));
}

#[test]
fn the_authorized_party_is_this_client() {
    for good in [
        json!({}),
        json!({"azp": "coditect"}),
        json!({"aud": ["coditect"]}),
        json!({"aud": ["coditect", "other"], "azp": "coditect"}),
    ] {
        assert!(identity(every(), good.clone()).is_ok(), "{good}");
    }
    for bad in [
        json!({"azp": "other"}),
        json!({"azp": ["coditect"]}),
        json!({"azp": ""}),
        json!({"aud": ["coditect", "other"]}),
        json!({"aud": ["coditect", "coditect"]}),
        json!({"aud": ["coditect", "other"], "azp": "other"}),
        json!({"aud": []}),
        json!({"aud": {"coditect": true}}),
        json!({"aud": [["coditect"]]}),
        json!({"aud": null}),
    ] {
        assert_eq!(identity(every(), bad.clone()), Err(TokenError::Audience), "{bad}");
    }
}

#[test]
fn odd_claims_are_refused_and_never_looked_up() {
    let long = "x".repeat(256);
    let address = |name: usize| format!("{}@acme.test", "x".repeat(name));
    for odd in [json!(null), json!(""), json!("a\u{0}b"), json!("a\nb"), json!("a\u{85}b"), json!(long), json!(7)] {
        assert_eq!(identity(every(), json!({"sub": odd})), Err(TokenError::Malformed), "{odd}");
    }
    for odd in [json!("ann\u{0}@acme.test"), json!(address(245)), json!(["ann@acme.test"]), json!({}), json!(7)] {
        let claims = json!({"email": odd, "email_verified": true});
        assert_eq!(identity(every(), claims), Err(TokenError::Malformed), "{odd}");
    }
    for odd in [json!("a\u{0}"), json!(7), json!(null), json!([TENANT])] {
        let config = json!({"tenants": "*", "tenant_claim": "tid"});
        assert_eq!(identity(config, json!({"tid": odd})), Err(TokenError::Malformed), "{odd}");
    }
    for odd in [json!("soon"), json!([1]), json!(true)] {
        for name in ["exp", "nbf", "iat"] {
            assert_eq!(identity(every(), json!({name: odd})), Err(TokenError::Malformed), "{name}: {odd}");
        }
    }
    assert_eq!(identity(every(), json!({"exp": 1e300})).unwrap().expires, i64::MAX);
    assert_eq!(identity(every(), json!({"nbf": 1e300})), Err(TokenError::NotYetValid));
    assert_eq!(identity(every(), json!({"exp": -1.5})), Err(TokenError::Expired));
    assert!(identity(every(), json!({"sub": "x".repeat(255), "email": address(244), "nbf": NOW})).is_ok());
}

#[test]
fn an_address_counts_when_the_configured_claim_vouches_for_it() {
    let email = |config: Value, more: Value| {
        let mut claims = json!({"email": "Ann@Acme.test"});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        identity(config, claims).unwrap().email
    };
    let ann = Some("ann@acme.test".to_owned());
    let edov = || json!({"tenants": "*", "verified_claim": "xms_edov"});
    let trusted = || json!({"domains": ["acme.test"], "trusted": true});
    for yes in [json!(true), json!("true"), json!("True"), json!(1), json!("1")] {
        assert_eq!(email(edov(), json!({"xms_edov": yes})), ann, "{yes}");
        assert_eq!(email(every(), json!({"email_verified": yes})), ann, "{yes}");
        assert_eq!(email(trusted(), json!({"email_verified": yes})), ann, "{yes}");
    }
    for no in [json!(false), json!("false"), json!(0), json!("0"), json!(""), json!(2), json!([true]), json!({})] {
        assert_eq!(email(edov(), json!({"xms_edov": no})), None, "{no}");
        assert_eq!(email(every(), json!({"email_verified": no})), None, "{no}");
        assert_eq!(email(trusted(), json!({"email_verified": no})), None, "{no}");
    }
    assert_eq!(email(edov(), json!({"email_verified": true})), None);
    assert_eq!(email(every(), json!({"xms_edov": true})), None);
    assert_eq!(email(trusted(), json!({})), ann);
}

#[test]
fn an_address_counts_in_the_issuers_domains_alone() {
    let email = |address: &str| {
        let claims = json!({"email": address, "email_verified": true});
        identity(json!({"domains": ["acme.test", "mark.test"]}), claims).unwrap().email
    };
    assert_eq!(email("ANN@ACME.test").as_deref(), Some("ann@acme.test"));
    for other in [
        "ann@globex.test",
        "ann@sub.acme.test",
        "ann@acme.test.globex.test",
        "ann@acme.test@globex.test",
        "acme.test",
        "@acme.test",
        "ann@",
        "",
        // The Kelvin sign is a k in lower case.
        "ann@mar\u{212a}.test",
    ] {
        assert_eq!(email(other), None, "{other}");
    }
}
