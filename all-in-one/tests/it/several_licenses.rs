//! A person's seat where the tenant has several licenses.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use protocol::id::TenantId;
use serde_json::{Value, json};
use testing::World;
use testing::http::Client;
use testing::token::rs256;
use testing::world::{License, signing_key};

use crate::world::{ACQUIRE, RELEASE, all, device};

const LOGIN: &str = "https://login.test";

/// A tenant whose people sign in with tokens that the tests' own key signs.
struct Office {
    world: World,
    client: Client,
    tenant: TenantId,
    kid: String,
}

impl Office {
    async fn new(people: usize) -> Self {
        let world = World::new().await;
        let auth = world.serve("auth", auth::State::connect, auth::routes).await;
        let jwks = format!("{}/.well-known/jwks.json", auth.url());
        let issuers = json!([{"issuer": LOGIN, "audience": "coditect", "jwks_uri": jwks, "tenants": "*"}]);
        let kid = world.key_id().await;
        let world = world.with("OIDC_ISSUERS", issuers.to_string());
        let client = all(&world).await;
        let tenant = world.tenant("acme").await;
        for n in 0..people {
            world.user(tenant, &format!("p{n}@acme.test"), Some((LOGIN, &format!("p{n}")))).await;
        }
        Self { world, client, tenant, kid }
    }

    fn person(&self, n: usize) -> Client {
        let now = jiff::Timestamp::now().as_second();
        let claims = json!({"iss": LOGIN, "aud": "coditect", "sub": format!("p{n}"), "iat": now, "exp": now + 600});
        self.client.bearer(rs256(&signing_key(), &json!({"alg": "RS256", "kid": self.kid}), &claims))
    }

    async fn acquire(&self, n: usize, status: u16) -> Value {
        self.person(n).post(ACQUIRE, json!({"hardware_id": device(n)}), status).await.body
    }

    async fn release(&self, n: usize, seat: &Value) {
        self.person(n).post(RELEASE, json!({"session_id": seat["session_id"]}), 200).await;
    }

    async fn open_sessions(&self, of: &str) -> i64 {
        self.world.number(&format!("select count(*) from sessions where ended_at is null and {of}")).await
    }

    async fn is_on(&self, seat: &Value, license: &License) -> bool {
        let session = seat["session_id"].as_str().unwrap();
        self.open_sessions(&format!("id = '{session}' and license_id = '{}'", license.id)).await == 1
    }
}

#[tokio::test]
async fn ten_people_get_ten_seats_of_two_licenses_and_the_refusal_adds_them_up() {
    let office = Office::new(12).await;
    for _ in 0..2 {
        office.world.license(office.tenant, "TEAM", 5).await;
    }
    let seats: Vec<Value> = join_all((0..10).map(|n| office.acquire(n, 201))).await;
    let refused = office.acquire(10, 409).await;
    assert_eq!(refused["code"], "no_seats_available");
    assert_eq!(refused["seats"], json!({"limit": 10, "in_use": 10}));
    assert!(refused["retry_after_seconds"].as_u64().unwrap() > 0);
    // The holder of a seat gets it again, of whichever license it is, when all are full.
    for (n, seat) in seats.iter().enumerate() {
        assert_eq!(office.acquire(n, 200).await["session_id"], seat["session_id"], "{n}");
    }
    office.release(7, &seats[7]).await;
    office.acquire(10, 201).await;
    assert_eq!(office.acquire(11, 409).await["seats"]["in_use"], 10);
    assert_eq!(office.open_sessions("true").await, 10);
}

#[tokio::test]
async fn the_best_plan_comes_first_and_a_seat_that_is_held_before_it() {
    let office = Office::new(4).await;
    let pro = office.world.license(office.tenant, "PRO", 50).await;
    let first = office.acquire(0, 201).await;
    assert!(office.is_on(&first, &pro).await);
    let business = office.world.license(office.tenant, "BUSINESS", 1).await;
    assert!(office.is_on(&office.acquire(1, 201).await, &business).await);
    assert!(office.is_on(&office.acquire(2, 201).await, &pro).await, "the best one is full");
    assert_eq!(office.acquire(0, 200).await["session_id"], first["session_id"]);
    // A license that can't be used is passed over, and no request is refused for it while another one can be.
    office.world.sql(&format!("update licenses set expires_at = now() where id = '{}'", business.id)).await;
    assert!(office.is_on(&office.acquire(3, 201).await, &pro).await);
    assert!(office.is_on(&office.acquire(1, 201).await, &pro).await, "the seat went with its license");
    assert_eq!(office.open_sessions(&format!("license_id = '{}'", business.id)).await, 0);
    office.world.sql("update licenses set state = 'suspended'").await;
    assert_eq!(office.acquire(2, 403).await["reason"], "suspended");
}

#[tokio::test]
async fn a_seat_that_expired_on_a_full_license_is_no_hindrance_on_another() {
    let office = Office::new(3).await;
    let one = office.world.license(office.tenant, "BUSINESS", 1).await;
    let other = office.world.license(office.tenant, "PRO", 2).await;
    assert!(office.is_on(&office.acquire(0, 201).await, &one).await);
    office.world.redis.age_seats(one.id, 360_000).await;
    assert!(office.is_on(&office.acquire(1, 201).await, &one).await);
    // As the previous release leaves it in a crash: the row of the former holder, without a seat's number, is open still.
    let former = "id = (select id from sessions where ended_at is not null order by started_at limit 1)";
    office
        .world
        .sql(&format!("update sessions set ended_at = null, ended_reason = null, seat = null where {former}"))
        .await;
    assert!(office.is_on(&office.acquire(0, 201).await, &other).await);
    assert_eq!(office.open_sessions("true").await, 2);
}

/// While seats come and go on both licenses, each of a few people asks for theirs many times at once.
#[tokio::test(flavor = "multi_thread")]
async fn one_holder_never_has_two_seats_however_many_requests_race() {
    let office = Office::new(4).await;
    for plan in ["BUSINESS", "PRO"] {
        office.world.license(office.tenant, plan, 2).await;
    }
    let people: Vec<Client> = (0..4).map(|n| office.person(n)).collect();
    for round in 0..8 {
        let answers = join_all((0..24).map(async |at| {
            let n = at % people.len();
            (n, people[n].try_post(ACQUIRE, json!({"hardware_id": device(n)})).await)
        }))
        .await;
        let mut sessions: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (n, answer) in answers {
            assert!(matches!(answer.status, 200 | 201 | 409 | 503), "{:#}", answer.body);
            if answer.status < 300 {
                sessions.entry(n).or_default().push(answer.text("/session_id").to_owned());
            }
        }
        let twice = "(select holder from sessions where ended_at is null group by holder having count(*) > 1) x";
        assert_eq!(office.world.number(&format!("select count(*) from {twice}")).await, 0, "round {round}");
        // Two of them give theirs back at once, so that the next round starts between the licenses.
        for n in [round % 4, (round + 1) % 4] {
            let Some(all) = sessions.get(&n) else { continue };
            let open = format!("id = '{}'", all.last().unwrap());
            assert_eq!(office.open_sessions(&open).await, 1, "round {round}: an answered session is open");
            people[n].post(RELEASE, json!({"session_id": all.last().unwrap()}), 200).await;
        }
    }
}
