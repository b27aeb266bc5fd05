//! Buying, with Stripe's API in the place of Stripe.
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop where it is")]

use std::collections::HashMap;

use serde_json::{Value, json};
use testing::World;
use testing::http::{Answer, Client, Method};
use testing::stripe_api::{Asked, KEY, Reply, StripeApi};
use testing::token::rs256;
use testing::world::signing_key;

const CHECKOUT: &str = "/api/v1/billing/checkout";
const PORTAL: &str = "/api/v1/billing/portal";
/// An identity provider that signs with the tests' key, so that `auth` publishes its keys.
const LOGIN: &str = "https://login.test";

/// `billing`, Stripe and an identity provider.
struct Shop {
    world: World,
    client: Client,
    stripe: StripeApi,
    key_id: String,
}

impl Shop {
    async fn open(script: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        let stripe = StripeApi::start(script).await;
        let world = World::new().await;
        let auth = world.serve("auth", auth::State::connect, auth::routes).await;
        let jwks = format!("{}/.well-known/jwks.json", auth.url());
        let issuers = json!([{"issuer": LOGIN, "audience": "coditect", "jwks_uri": jwks, "tenants": "*"}]);
        let world = world
            .with("OIDC_ISSUERS", issuers.to_string())
            .with("STRIPE_API_KEY", KEY)
            .with("STRIPE_API_BASE", stripe.url());
        let key_id = world.key_id().await;
        let client = world.serve("billing", billing::State::connect, billing::routes).await;
        Self { world, client, stripe, key_id }
    }

    /// A user of a tenant, signed in.
    async fn user(&self, tenant: protocol::id::TenantId, name: &str, role: &str) -> Client {
        let user = self.world.user(tenant, &format!("{name}@acme.test"), Some((LOGIN, name))).await;
        self.world.sql(&format!("update users set role = '{role}' where id = '{user}'")).await;
        let now = jiff::Timestamp::now().as_second();
        let claims = json!({"iss": LOGIN, "aud": "coditect", "sub": name, "iat": now, "exp": now + 600});
        self.client.bearer(rs256(&signing_key(), &json!({"alg": "RS256", "kid": self.key_id}), &claims))
    }

    /// The owner of a new tenant.
    async fn owner(&self, slug: &str) -> (protocol::id::TenantId, Client) {
        let tenant = self.world.tenant(slug).await;
        (tenant, self.user(tenant, &format!("{slug}-owner"), "owner").await)
    }

    async fn customer(&self, tenant: protocol::id::TenantId, id: &str, livemode: bool) {
        let insert = "insert into stripe_customers (id, tenant_id, livemode, created_at)";
        self.world.sql(&format!("{insert} values ('{id}', '{tenant}', {livemode}, clock_timestamp())")).await;
    }

    /// The parameters of the last request that Stripe got.
    fn last(&self) -> Value {
        self.stripe.asked().pop().unwrap().parameters
    }
}

/// Every page can be had.
fn pages(asked: &Asked) -> Reply {
    match asked.what.as_str() {
        "POST /v1/checkout/sessions" => Reply::ok(json!({
            "id": "cs_test_1", "object": "checkout.session", "url": "https://checkout.stripe.com/c/pay/cs_test_1",
            "expires_at": 1_800_000_000, "mode": "subscription", "status": "open", "livemode": false,
        })),
        "POST /v1/billing_portal/sessions" => Reply::ok(json!({
            "id": "bps_1", "object": "billing_portal.session", "url": "https://billing.stripe.com/p/session/test_1",
        })),
        _ => Reply::missing(),
    }
}

fn order(plan: &str) -> Value {
    json!({"plan": plan, "success_url": "https://acme.test/thanks", "cancel_url": "https://acme.test/plans"})
}

fn seats(plan: &str, seats: u32) -> Value {
    let mut order = order(plan);
    order["seats"] = seats.into();
    order
}

fn back() -> Value {
    json!({"return_url": "https://acme.test/settings"})
}

async fn under(client: &Client, path: &str, key: &str, body: &Value) -> Answer {
    client.send_any(client.request(Method::POST, path).header("idempotency-key", key).json(body)).await
}

#[tokio::test]
async fn an_owner_buys_what_stripe_then_sells() {
    let shop = Shop::open(pages).await;
    let (tenant, owner) = shop.owner("acme").await;
    let answer = owner.post(CHECKOUT, seats("TEAM", 7), 200).await;
    let page = json!({"url": "https://checkout.stripe.com/c/pay/cs_test_1", "expires_at": "2027-01-15T08:00:00Z"});
    assert_eq!(answer.body, page);
    assert_eq!(answer.header("cache-control"), "no-store");
    let expected = json!({
        "mode": "subscription",
        "line_items": {"0": {"price": "price_team", "quantity": "1"}, "1": {"price": "price_team_seat", "quantity": "2"}},
        "customer_email": "acme-owner@acme.test",
        "success_url": "https://acme.test/thanks",
        "cancel_url": "https://acme.test/plans",
        "metadata": {"tenant_id": tenant.to_string()},
        "subscription_data": {"metadata": {"tenant_id": tenant.to_string()}},
    });
    assert_eq!(shop.last(), expected);
    let admin = shop.user(tenant, "ada", "admin").await;
    admin.post(CHECKOUT, order("PRO"), 200).await;
    assert_eq!(shop.last()["customer_email"], "ada@acme.test");
}

#[tokio::test]
async fn a_plan_with_seats_is_prices_with_quantities() {
    let shop = Shop::open(pages).await;
    let (_, owner) = shop.owner("acme").await;
    for (order, expected) in [
        (order("PRO"), vec![("price_pro", "1")]),
        (seats("PRO", 3), vec![("price_pro", "3")]),
        (order("TEAM"), vec![("price_team", "1")]),
        (seats("TEAM", 2), vec![("price_team", "1")]),
        (seats("TEAM", 6), vec![("price_team", "1"), ("price_team_seat", "1")]),
        (seats("TEAM", 100_000), vec![("price_team", "1"), ("price_team_seat", "99995")]),
        (seats("BUSINESS", 40), vec![("price_business", "40")]),
    ] {
        owner.post(CHECKOUT, order.clone(), 200).await;
        let items = shop.last()["line_items"].clone();
        let items: Vec<(&str, &str)> = items
            .as_object()
            .unwrap()
            .values()
            .map(|i| (i["price"].as_str().unwrap(), i["quantity"].as_str().unwrap()))
            .collect();
        assert_eq!(items, expected, "{order}");
    }
    let asked = shop.stripe.asked().len();
    for (order, pointer, says) in [
        (order("FREE"), "/plan", "nothing to buy"),
        (order("ENT"), "/plan", "by contract"),
        (order("GOLD"), "/plan", "There is no plan GOLD. Plans that can be bought here: BUSINESS, PRO, TEAM."),
        (order("team"), "/plan", "capital letters"),
        (seats("TEAM", 0), "/seats", "From 1 to 100000"),
        (seats("TEAM", 100_001), "/seats", "From 1 to 100000"),
    ] {
        let answer = owner.post(CHECKOUT, order.clone(), 422).await;
        assert_eq!(answer.text("/errors/0/pointer"), pointer, "{order}");
        assert!(answer.text("/detail").contains(says), "{:#}", answer.body);
    }
    // Of two prices of a kind, new buyers get the first.
    let prices =
        "insert into plan_prices values ('price_a_team', 'TEAM', 'base', 10), ('price_z_team', 'TEAM', 'base', 1);
        update plan_prices set seats = 5 where price_id = 'price_team_seat'";
    shop.world.sql(prices).await;
    owner.post(CHECKOUT, seats("TEAM", 20), 200).await;
    assert_eq!(shop.last()["line_items"]["0"]["price"], "price_a_team");
    assert_eq!(shop.last()["line_items"]["1"], json!({"price": "price_team_seat", "quantity": "2"}));
    let answer = owner.post(CHECKOUT, seats("TEAM", 17), 422).await;
    assert!(answer.text("/detail").contains("15 or 20, for instance"), "{:#}", answer.body);
    assert_eq!(shop.stripe.asked().len(), asked + 1);
}

#[tokio::test]
async fn a_customer_that_is_known_buys_again() {
    let shop = Shop::open(pages).await;
    let (tenant, owner) = shop.owner("acme").await;
    let (other, _) = shop.owner("globex").await;
    let portal = owner.post(PORTAL, back(), 404).await;
    assert_eq!(portal.text("/code"), "not_found");
    assert!(portal.text("/detail").contains("buy a plan first"), "{:#}", portal.body);

    // Another tenant's, one of live mode, and one that was deleted are not this tenant's to use.
    shop.customer(other, "cus_other", false).await;
    shop.customer(tenant, "cus_live", true).await;
    shop.customer(tenant, "cus_gone", false).await;
    shop.world.sql("update stripe_customers set deleted_at = 1 where id = 'cus_gone'").await;
    owner.post(PORTAL, back(), 404).await;
    assert!(shop.stripe.asked().is_empty());
    owner.post(CHECKOUT, order("TEAM"), 200).await;
    assert_eq!(shop.last()["customer"], Value::Null);

    shop.customer(tenant, "cus_old", false).await;
    shop.customer(tenant, "cus_new", false).await;
    owner.post(CHECKOUT, order("TEAM"), 200).await;
    assert_eq!((&shop.last()["customer"], &shop.last()["customer_email"]), (&json!("cus_new"), &Value::Null));
    let portal = owner.post(PORTAL, back(), 200).await;
    assert_eq!(portal.body, json!({"url": "https://billing.stripe.com/p/session/test_1"}));
    assert_eq!(shop.last(), json!({"customer": "cus_new", "return_url": "https://acme.test/settings"}));
}

#[tokio::test]
async fn who_may_not_pay_may_not_buy() {
    let shop = Shop::open(pages).await;
    let (tenant, _) = shop.owner("acme").await;
    shop.customer(tenant, "cus_1", false).await;
    let member = shop.user(tenant, "moe", "member").await;
    let license = shop.world.license(tenant, "TEAM", 5).await;
    let keyholder = shop.client.bearer(shop.world.access_token(&license).await);
    for (path, body) in [(CHECKOUT, order("TEAM")), (PORTAL, back())] {
        for (who, says) in [(&member, "Only owners and admins"), (&keyholder, "A license key doesn't say who you are")]
        {
            let answer = who.post(path, body.clone(), 403).await;
            assert_eq!(answer.text("/code"), "forbidden");
            assert!(answer.text("/detail").contains(says), "{:#}", answer.body);
        }
        assert_eq!(shop.client.post(path, body, 401).await.text("/code"), "invalid_token");
    }
    assert!(shop.stripe.asked().is_empty());
}

#[tokio::test]
async fn browsers_are_not_sent_just_anywhere() {
    let shop = Shop::open(pages).await;
    let (tenant, owner) = shop.owner("acme").await;
    shop.customer(tenant, "cus_1", false).await;
    let long = format!("https://acme.test/{}", "x".repeat(2048));
    for url in
        ["http://acme.test", "javascript:alert(1)", "/thanks", "", "https://a b", "http://localhost@acme.test", &long]
    {
        for field in ["success_url", "cancel_url"] {
            let mut order = order("TEAM");
            order[field] = url.into();
            let answer = owner.post(CHECKOUT, order, 422).await;
            assert_eq!(answer.text("/errors/0/pointer"), format!("/{field}"), "{url}");
        }
        let answer = owner.post(PORTAL, json!({"return_url": url}), 422).await;
        assert_eq!(answer.text("/errors/0/pointer"), "/return_url", "{url}");
    }
    assert!(shop.stripe.asked().is_empty());
    let mut order = order("TEAM");
    order["success_url"] = "http://localhost:3000/thanks?session={CHECKOUT_SESSION_ID}".into();
    owner.post(CHECKOUT, order, 200).await;
    assert_eq!(shop.last()["success_url"], "http://localhost:3000/thanks?session={CHECKOUT_SESSION_ID}");
}

#[tokio::test]
async fn stripe_down_is_a_503_to_try_again_after() {
    let shop = Shop::open(|_| Reply::error(500, "api_error", None, "Something of Stripe's")).await;
    let (tenant, owner) = shop.owner("acme").await;
    shop.customer(tenant, "cus_1", false).await;
    for gone in [false, true] {
        if gone {
            shop.stripe.cut();
        }
        for (path, body) in [(CHECKOUT, order("TEAM")), (PORTAL, back())] {
            let answer = owner.post(path, body, 503).await;
            assert_eq!(answer.text("/code"), "unavailable");
            assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
            let text = answer.body.to_string();
            assert!(!text.contains("Stripe") && !text.contains("127.0.0.1"), "{text}");
        }
    }
    assert_eq!(shop.stripe.asked().len(), 6, "each was tried three times while it could be");
    // It is not what makes the function ready: an outage there is none here.
    shop.client.get("/ready", 200).await;
}

#[tokio::test]
async fn what_stripe_refuses_stays_in_the_log() {
    let shop = Shop::open(|asked| match asked.parameters["metadata"]["tenant_id"].as_str() {
        None => Reply::error(400, "invalid_request_error", Some("resource_missing"), "No such customer: 'cus_1'"),
        Some(_) => match asked.parameters["success_url"].as_str().unwrap() {
            "https://acme" => Reply::error(400, "invalid_request_error", Some("url_invalid"), "Not a valid URL"),
            _ => Reply::error(400, "invalid_request_error", Some("resource_missing"), "No such price: 'price_team'"),
        },
    })
    .await;
    let (tenant, owner) = shop.owner("acme").await;
    shop.customer(tenant, "cus_1", false).await;
    for (path, body) in [(CHECKOUT, order("TEAM")), (PORTAL, back())] {
        let answer = owner.post(path, body, 500).await;
        assert_eq!(answer.text("/code"), "internal");
        let text = answer.body.to_string();
        assert!(!text.contains("No such") && !text.contains("cus_1") && !text.contains("price_team"), "{text}");
    }
    let mut order = order("TEAM");
    order["success_url"] = "https://acme".into();
    let answer = owner.post(CHECKOUT, order, 422).await;
    assert_eq!(answer.body["errors"].as_array().unwrap().len(), 2, "{:#}", answer.body);
}

/// Keeps answers by key, as Stripe does.
fn remembering() -> impl FnMut(&Asked) -> Reply + Send {
    let mut known: HashMap<String, (Value, Reply)> = HashMap::new();
    let mut made = 0;
    move |asked| {
        made += 1;
        let mut fresh = json!({"id": "cs_1", "expires_at": 1_800_000_000});
        fresh["url"] = format!("https://checkout.stripe.com/{made}").into();
        let fresh = (asked.parameters.clone(), Reply::ok(fresh));
        let (parameters, reply) = known.entry(asked.idempotency_key.clone()).or_insert(fresh);
        if *parameters == asked.parameters {
            reply.clone()
        } else {
            Reply::error(400, "idempotency_error", None, "Keys can only be used with the same parameters.")
        }
    }
}

#[tokio::test]
async fn a_repeated_request_gets_the_same_page() {
    let shop = Shop::open(remembering()).await;
    let (tenant, owner) = shop.owner("acme").await;
    shop.customer(tenant, "cus_1", false).await;
    let admin = shop.user(tenant, "ada", "admin").await;
    let page = async |who: &Client, path: &str, key: &str, body: Value| {
        let answer = under(who, path, key, &body).await;
        assert_eq!(answer.status, 200, "{:#}", answer.body);
        answer.text("/url").to_owned()
    };
    let first = page(&owner, CHECKOUT, "key-1", order("TEAM")).await;
    assert_eq!(page(&owner, CHECKOUT, "key-1", order("TEAM")).await, first);
    let others = [
        page(&owner, CHECKOUT, "key-2", order("TEAM")).await,
        page(&admin, CHECKOUT, "key-1", order("TEAM")).await,
        page(&owner, PORTAL, "key-1", back()).await,
        owner.post(CHECKOUT, order("TEAM"), 200).await.text("/url").to_owned(),
        owner.post(CHECKOUT, order("TEAM"), 200).await.text("/url").to_owned(),
    ];
    for (n, other) in others.iter().enumerate() {
        assert!(*other != first && !others[..n].contains(other), "{n}: {other}");
    }
    let reused = under(&owner, CHECKOUT, "key-1", &order("PRO")).await;
    assert_eq!((reused.status, reused.text("/code")), (422, "idempotency_key_reused"));

    for asked in shop.stripe.asked() {
        assert!((32..=255).contains(&asked.idempotency_key.len()), "{asked:?}");
        assert!(!asked.idempotency_key.contains("key-"), "{asked:?}");
    }
    for key in ["", "two words", &"x".repeat(256)] {
        let refused = under(&owner, CHECKOUT, key, &order("TEAM")).await;
        assert_eq!((refused.status, refused.text("/errors/0/pointer")), (422, "Idempotency-Key"), "{key}");
    }
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_under_the_same_key() {
    let mut lost = 2;
    let shop = Shop::open(move |asked| {
        if lost == 0 {
            return pages(asked);
        }
        lost -= 1;
        Reply::Bytes(502, Vec::new())
    })
    .await;
    let (_, owner) = shop.owner("acme").await;
    owner.post(CHECKOUT, order("TEAM"), 200).await;
    let keys: Vec<String> = shop.stripe.asked().into_iter().map(|asked| asked.idempotency_key).collect();
    assert_eq!(keys, vec![keys[0].clone(); 3]);
}
