//! Callers with an ID token of a real OpenID Connect provider.

mod provider;

use futures_util::future::join_all;
use protocol::id::TenantId;
use serde_json::{Value, json};
use testing::World;
use testing::http::{Answer, Client, Method};
use testing::process::until;
use testing::token::rs256;
use testing::world::signing_key;

use crate::world::{ACQUIRE, HEARTBEAT, RELEASE, all, device};
use provider::ANOTHER;
pub(crate) use provider::{CLIENT, Provider};

pub(crate) const ANN: &str = "sub=ann&email=ann@acme.test&email_verified=true";
const BOB: &str = "sub=bob&email=bob@acme.test&email_verified=true";

/// Makes a deployment that trusts these issuers, with a tenant that has ten seats.
async fn deployment(issuers: &Value) -> (World, Client, TenantId) {
    let world = World::new().await.with("OIDC_ISSUERS", issuers.to_string());
    let client = all(&world).await;
    let tenant = world.tenant("acme").await;
    world.license(tenant, "TEAM", 10).await;
    (world, client, tenant)
}

async fn trusting(provider: &Provider) -> (World, Client, TenantId) {
    deployment(&json!([{"issuer": provider.issuer, "audience": CLIENT, "tenants": "*"}])).await
}

async fn acquire(client: &Client, token: &str, n: usize, status: u16) -> Answer {
    client.bearer(token).post(ACQUIRE, json!({"hardware_id": device(n)}), status).await
}

async fn refused(client: &Client, token: &str, status: u16, code: &str) -> String {
    let answer = acquire(client, token, 1, status).await;
    assert_eq!(answer.text("/code"), code, "{:#}", answer.body);
    if status == 401 {
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{:?}", answer.headers);
    }
    answer.text("/detail").to_owned()
}

#[tokio::test]
async fn a_recorded_user_takes_keeps_and_gives_back_a_seat() {
    let provider = Provider::shared();
    let (world, client, tenant) = trusting(&provider).await;
    // The address has changed at the provider since: the recorded subject decides.
    let user = world.user(tenant, "old@acme.test", Some((&provider.issuer, "ann"))).await;
    let ann = provider.id_token(ANN).await;
    let seat = acquire(&client, &ann, 1, 201).await;
    let session = json!({"session_id": seat.text("/session_id")});
    let held = format!("select count(*) from sessions where user_id = '{user}' and ended_at is null");
    assert_eq!(world.number(&held).await, 1);
    assert_eq!(acquire(&client, &ann, 1, 200).await.text("/session_id"), seat.text("/session_id"));
    client.bearer(&ann).post(HEARTBEAT, session.clone(), 200).await;
    client.bearer(&ann).post(RELEASE, session.clone(), 200).await;
    assert_eq!(world.number(&held).await, 0);
    let ended = client.bearer(&ann).post(HEARTBEAT, session, 410).await;
    assert_eq!(ended.text("/code"), "session_ended");
}

#[tokio::test]
async fn an_address_identifies_only_when_the_provider_vouches_for_it() {
    let provider = Provider::shared();
    let (world, client, tenant) = trusting(&provider).await;
    world.user(tenant, "ann@acme.test", None).await;
    world.user(tenant, "eve@acme.test", None).await;
    world.user(tenant, "carl@acme.test", Some((&provider.issuer, "carl"))).await;
    world.user(tenant, "dora@acme.test", Some(("https://elsewhere.test", "dora"))).await;
    acquire(&client, &provider.id_token(ANN).await, 1, 201).await;
    // Addresses are compared without regard to case.
    acquire(&client, &provider.id_token("sub=ann&email=Ann@Acme.test&email_verified=true").await, 1, 200).await;
    for stranger in [
        "sub=eve&email=eve@acme.test&email_verified=false",
        "sub=eve&email=eve@acme.test",
        "sub=eve",
        "sub=eve@acme.test",
        "sub=zoe&email=zoe@acme.test&email_verified=true",
        // A user with a recorded subject is matched by that subject alone, and another issuer's subjects are different users.
        "sub=another-carl&email=carl@acme.test&email_verified=true",
        "sub=dora&email=dora@acme.test&email_verified=true",
    ] {
        let why = refused(&client, &provider.id_token(stranger).await, 403, "forbidden").await;
        assert!(why.contains("no organization here has you as a user"), "{stranger}: {why}");
    }
}

#[tokio::test]
async fn the_first_sign_in_records_the_subject_and_the_address_matches_no_more() {
    let provider = Provider::shared();
    let (world, client, tenant) = trusting(&provider).await;
    let user = world.user(tenant, "ann@acme.test", None).await;
    let other = world.tenant("globex").await;
    world.user(other, "ann@acme.test", None).await;
    let another = "sub=new-owner-of-the-address&email=ann@acme.test&email_verified=true";
    let (ann, another) = (provider.id_token(ANN).await, provider.id_token(another).await);
    // Of many first sign-ins at once, under two subjects, one subject is recorded.
    let statuses = join_all((1..9).map(async |n| {
        let token = if n % 2 == 0 { &ann } else { &another };
        client.bearer(token).try_post(ACQUIRE, json!({"hardware_id": device(n)})).await.status
    }))
    .await;
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 4, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 403).count(), 4, "{statuses:?}");
    let recorded = "select count(*) from users where issuer is not null and subject is not null";
    assert_eq!(world.number(recorded).await, 2, "in both tenants, for the same person");
    let of_user = format!("select count(distinct user_id) from sessions where user_id = '{user}'");
    assert_eq!(world.number(&of_user).await, 1);

    // The user is matched by the subject alone, whatever became of the address.
    let won = if statuses[1] == 201 { "ann" } else { "new-owner-of-the-address" };
    acquire(&client, &provider.id_token(&format!("sub={won}")).await, 1, 201 - u16::from(won != "ann")).await;
}

#[tokio::test]
async fn an_issuer_speaks_for_its_tenants_and_domains_alone() {
    let (own, customers) = (Provider::shared(), Provider::own().await);
    let world = World::new().await;
    let (acme, globex) = (world.tenant("acme").await, world.tenant("globex").await);
    world.license(acme, "TEAM", 10).await;
    world.license(globex, "TEAM", 10).await;
    world.user(acme, "ann@acme.test", None).await;
    world.user(acme, "carl@acme.test", Some((&customers.issuer, "carl"))).await;
    world.user(globex, "gil@globex.test", None).await;
    let ours = json!({"issuer": own.issuer, "audience": CLIENT, "tenants": "*"});
    let theirs = |more: Value| {
        let mut issuer = json!({"issuer": customers.issuer, "audience": CLIENT});
        issuer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([ours, issuer]).to_string()
    };
    let attacks = [
        ANN.to_owned(),
        format!("{ANN}&tenant_id={acme}"),
        "sub=carl".to_owned(),
        format!("sub=carl&tenant_id={acme}"),
        "sub=carl&email=carl@acme.test&email_verified=true".to_owned(),
    ];
    let gil = format!("sub=gil&email=gil@globex.test&email_verified=true&tenant_id={globex}");
    let mut world = world;
    for limits in [
        json!({"tenants": [globex]}),
        json!({"tenants": [globex], "tenant_claim": "tenant_id"}),
        json!({"domains": ["globex.test"]}),
        json!({"domains": ["globex.test"], "tenants": "*", "tenant_claim": "tenant_id"}),
    ] {
        world = world.with("OIDC_ISSUERS", theirs(limits.clone()));
        let client = all(&world).await;
        for attack in &attacks {
            let token = customers.id_token(attack).await;
            let answer = client.bearer(&token).try_post(ACQUIRE, json!({"hardware_id": device(1)})).await;
            assert!(matches!(answer.status, 401 | 403), "{limits} {attack}: {:#}", answer.body);
            client.bearer(&token).get("/api/v1/context/pull", answer.status).await;
        }
        let stolen = "select count(*) from users where email = 'ann@acme.test' and issuer is not null";
        assert_eq!(world.number(stolen).await, 0, "{limits}");
        let seat =
            client.bearer(customers.id_token(&gil).await).try_post(ACQUIRE, json!({"hardware_id": device(1)})).await;
        assert!(matches!(seat.status, 200 | 201), "{limits}: {:#}", seat.body);
    }
    // An issuer that may speak for every tenant still can.
    let client = all(&world).await;
    acquire(&client, &own.id_token(ANN).await, 2, 201).await;
}

#[tokio::test]
async fn odd_claims_are_invalid_tokens_and_never_a_fault_of_ours() {
    let provider = Provider::shared();
    let (world, client, tenant) = trusting(&provider).await;
    world.user(tenant, "ann@acme.test", None).await;
    let long = "x".repeat(256);
    for odd in [
        "sub=a%00b".to_owned(),
        "sub=a%0Ab".to_owned(),
        format!("sub={long}"),
        "sub=ann&email=ann%00@acme.test&email_verified=true".to_owned(),
        format!("sub=ann&email={long}@acme.test&email_verified=true"),
    ] {
        refused(&client, &provider.id_token(&odd).await, 401, "invalid_token").await;
    }
}

#[tokio::test]
async fn a_user_of_two_tenants_says_which() {
    let provider = Provider::shared();
    let (world, client, acme) = trusting(&provider).await;
    let (globex, initech) = (world.tenant("globex").await, world.tenant("initech").await);
    world.license(globex, "TEAM", 1).await;
    world.license(initech, "TEAM", 1).await;
    world.user(acme, "ann@acme.test", Some((&provider.issuer, "ann"))).await;
    world.user(globex, "ann@acme.test", Some((&provider.issuer, "ann"))).await;
    let why = refused(&client, &provider.id_token(ANN).await, 403, "forbidden").await;
    assert!(why.contains("several organizations"), "{why}");
    // Only one has an active license: that one is used.
    world.sql(&format!("update licenses set expires_at = now() where tenant_id = '{globex}'")).await;
    acquire(&client, &provider.id_token(ANN).await, 3, 201).await;
    // Contents never follow a license from one tenant to another: the tenant has to be named.
    let ann = client.bearer(provider.id_token(ANN).await);
    let pull = async |tenant: &str, status: u16| {
        let request = ann.request(Method::GET, "/api/v1/context/pull").header("coditect-tenant", tenant);
        ann.send(request, status).await
    };
    let unnamed = ann.get("/api/v1/context/pull", 403).await;
    assert!(unnamed.text("/detail").contains("coditect-tenant"), "{:#}", unnamed.body);
    pull(&acme.to_string(), 200).await;
    assert_eq!(pull(&globex.to_string(), 403).await.text("/reason"), "expired");
    for other in [initech.to_string(), "acme".to_owned(), String::new()] {
        assert!(pull(&other, 403).await.text("/detail").contains("no organization here has you"), "{other}");
    }
    world.sql(&format!("update licenses set standing = 'inactive' where tenant_id = '{acme}'")).await;
    refused(&client, &provider.id_token(ANN).await, 403, "forbidden").await;
    world.sql("update licenses set expires_at = null, standing = 'good'").await;

    let issuers = json!([{"issuer": provider.issuer, "audience": CLIENT, "tenants": "*", "tenant_claim": "tenant_id"}]);
    let world = world.with("OIDC_ISSUERS", issuers.to_string());
    let client = all(&world).await;
    let of = async |tenant: &str| provider.id_token(&format!("{ANN}&tenant_id={tenant}")).await;
    for (n, tenant) in [acme, globex].into_iter().enumerate() {
        let answer = acquire(&client, &of(&tenant.to_string()).await, 1, 201).await;
        let held = format!(
            "select count(*) from sessions where tenant_id = '{tenant}' and id = '{}'",
            answer.text("/session_id")
        );
        assert_eq!(world.number(&held).await, 1, "{n}");
    }
    let why = refused(&client, &of(&initech.to_string()).await, 403, "forbidden").await;
    assert!(why.contains("no organization here has you as a user"), "{why}");
    for unknown in ["acme", "%27%20or%201%3D1%20--", ""] {
        let why = refused(&client, &of(unknown).await, 403, "forbidden").await;
        assert!(why.contains("Ask its administrator"), "{why}");
    }
    // The claim is configured: a token without it is not of the configured kind.
    refused(&client, &provider.id_token(ANN).await, 401, "invalid_token").await;
}

#[tokio::test]
async fn tokens_for_something_else_are_not_believed() {
    let (provider, behind, ahead) = (Provider::shared(), Provider::behind(), Provider::ahead());
    let unconfigured = Provider::own().await;
    let issuer = |p: &Provider| json!({"issuer": p.issuer, "audience": CLIENT, "tenants": "*"});
    let (world, client, tenant) = deployment(&json!([issuer(&provider), issuer(&behind), issuer(&ahead)])).await;
    for known in [&provider, &behind, &ahead, &unconfigured] {
        world.user(tenant, &format!("ann@{}", &known.issuer[7..]), Some((&known.issuer, "ann"))).await;
    }
    let says = async |token: &str, sentence: &str| {
        let why = refused(&client, token, 401, "invalid_token").await;
        assert!(why.contains(sentence), "{why}");
    };
    let text = |tokens: &Value, name: &str| tokens[name].as_str().unwrap().to_owned();

    says(&text(&provider.tokens(ANOTHER, ANN, None).await, "id_token"), "another service").await;
    says(&text(&provider.tokens(CLIENT, ANN, None).await, "access_token"), "not a complete token").await;
    // Signed by the same keys, for the same audience: only its type shows that it is not an ID token.
    let confusable = provider.tokens(CLIENT, ANN, Some("https://api.test")).await;
    says(&text(&confusable, "access_token"), "another kind").await;
    says(&unconfigured.id_token(ANN).await, "another issuer").await;
    says(&behind.id_token(ANN).await, "has expired").await;
    says(&ahead.id_token(ANN).await, "not valid yet").await;

    let good = text(&confusable, "id_token");
    let (signed, _) = good.rsplit_once('.').unwrap();
    let (_, foreign) = unconfigured.id_token(ANN).await.rsplit_once('.').map(|(a, b)| (a.len(), b.to_owned())).unwrap();
    says(&format!("{signed}.{foreign}"), "signature").await;
    acquire(&client, &good, 1, 201).await;
}

/// A token of an issuer that a key of ours signed, under an invented name.
fn invented(issuer: &str, n: usize) -> String {
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({"iss": issuer, "aud": CLIENT, "sub": "ann", "iat": now, "exp": now + 600});
    rs256(&signing_key(), &json!({"alg": "RS256", "kid": format!("invented-{n}")}), &claims)
}

#[tokio::test]
async fn a_rotated_key_is_fetched_once_and_invented_ones_hardly_ever() {
    let provider = Provider::own().await;
    let (world, client, tenant) = trusting(&provider).await;
    world.user(tenant, "ann@acme.test", Some((&provider.issuer, "ann"))).await;
    let old = provider.id_token(ANN).await;
    // Concurrent requests wait for one fetch.
    join_all((1..6).map(|n| acquire(&client, &old, n, 201))).await;
    assert_eq!(provider.fetches().await, (1, 1));

    provider.control("rotate").await;
    let new = provider.id_token(ANN).await;
    acquire(&client, &new, 1, 200).await;
    acquire(&client, &new, 2, 200).await;
    acquire(&client, &old, 1, 200).await;
    let (_, fetched) = provider.fetches().await;
    assert_eq!(fetched, 2);

    let forgeries: Vec<String> = (0..50).map(|n| invented(&provider.issuer, n)).collect();
    join_all(forgeries.iter().map(|token| refused(&client, token, 401, "invalid_token"))).await;
    let (_, after) = provider.fetches().await;
    assert!(after <= fetched + 1, "{after} fetches");
    acquire(&client, &new, 1, 200).await;
}

#[tokio::test]
async fn known_keys_outlive_their_provider() {
    let provider = Provider::own().await;
    let (world, client, tenant) = trusting(&provider).await;
    world.user(tenant, "ann@acme.test", Some((&provider.issuer, "ann"))).await;
    world.user(tenant, "bob@acme.test", Some((&provider.issuer, "bob"))).await;
    let (ann, bob) = (provider.id_token(ANN).await, provider.id_token(BOB).await);
    acquire(&client, &ann, 1, 201).await;
    provider.control("down").await;
    acquire(&client, &bob, 1, 201).await;
    refused(&client, &invented(&provider.issuer, 1), 401, "invalid_token").await;
    acquire(&client, &ann, 1, 200).await;
}

#[tokio::test]
async fn a_provider_that_hangs_holds_up_only_unknown_keys() {
    let provider = Provider::own().await;
    let (world, client, tenant) = trusting(&provider).await;
    world.user(tenant, "ann@acme.test", Some((&provider.issuer, "ann"))).await;
    let ann = provider.id_token(ANN).await;
    acquire(&client, &ann, 1, 201).await;
    provider.control("hang").await;
    let forged = invented(&provider.issuer, 1);
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { refused(&client, &forged, 401, "invalid_token").await }
    });
    until("it asks the provider", async || provider.fetches().await.0 == 2).await;
    acquire(&client, &ann, 1, 200).await;
    assert!(!waiting.is_finished(), "it waits for the provider still");
    waiting.await.unwrap();
}

#[tokio::test]
async fn a_provider_that_is_down_at_first_is_asked_again() {
    let provider = Provider::own().await;
    let (world, client, tenant) = trusting(&provider).await;
    world.user(tenant, "ann@acme.test", Some((&provider.issuer, "ann"))).await;
    let ann = provider.id_token(ANN).await;
    provider.control("down").await;
    let unavailable = acquire(&client, &ann, 1, 503).await;
    assert_eq!(unavailable.text("/code"), "unavailable");
    assert!(unavailable.header("retry-after").parse::<u32>().unwrap() > 0);
    // Requests that arrive while it hangs wait for one attempt, not one after the other.
    provider.control("hang").await;
    let (asked, _) = provider.fetches().await;
    join_all((1..9).map(|n| acquire(&client, &ann, n, 503))).await;
    let attempts = provider.fetches().await.0 - asked;
    assert!(attempts <= 2, "{attempts} attempts");
    provider.control("up").await;
    acquire(&client, &ann, 1, 201).await;
}

#[tokio::test]
async fn a_seat_is_one_users_on_one_device() {
    let provider = Provider::shared();
    let (world, client, tenant) = trusting(&provider).await;
    world.user(tenant, "ann@acme.test", Some((&provider.issuer, "ann"))).await;
    world.user(tenant, "bob@acme.test", Some((&provider.issuer, "bob"))).await;
    let (ann, bob) = (provider.id_token(ANN).await, provider.id_token(BOB).await);
    let first = acquire(&client, &ann, 1, 201).await;
    assert_eq!(acquire(&client, &bob, 1, 201).await.body["seats"]["in_use"], 2);
    assert_eq!(acquire(&client, &ann, 2, 201).await.body["seats"]["in_use"], 3);

    let session = json!({"session_id": first.text("/session_id")});
    for route in [HEARTBEAT, RELEASE] {
        let answer = client.bearer(&bob).post(route, session.clone(), 404).await;
        assert_eq!(answer.text("/code"), "not_found");
    }
    client.bearer(&ann).post(HEARTBEAT, session.clone(), 200).await;
    // The session itself may, with the token it was given.
    client.bearer(first.text("/license_token")).post(RELEASE, session.clone(), 200).await;
    client.bearer(&ann).post(HEARTBEAT, session, 410).await;
    assert_eq!(acquire(&client, &bob, 1, 200).await.body["seats"]["in_use"], 2);
}
