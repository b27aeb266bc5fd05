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
    assert_eq!(shop.stripe.asked().len(), asked);
}

#[tokio::test]
async fn checkout_sells_the_price_that_the_catalogue_marks_as_sold() {
    let shop = Shop::open(pages).await;
    let (_, owner) = shop.owner("acme").await;
    // Alphabetically the former prices come first and last.
    let prices = "update plan_prices set sold = false where plan_code = 'TEAM';
        insert into plan_prices (price_id, plan_code, kind, seats, sold) values
            ('price_b_team', 'TEAM', 'base', 10, true), ('price_a_team', 'TEAM', 'base', 1, false),
            ('price_b_seat', 'TEAM', 'seat', 5, true), ('price_z_seat', 'TEAM', 'seat', 1, false);
        update plan_prices set sold = false where plan_code = 'PRO'";
    shop.world.sql(prices).await;
    owner.post(CHECKOUT, seats("TEAM", 20), 200).await;
    assert_eq!(
        shop.last()["line_items"],
        json!({"0": {"price": "price_b_team", "quantity": "1"}, "1": {"price": "price_b_seat", "quantity": "2"}})
    );
    let asked = shop.stripe.asked().len();
    let answer = owner.post(CHECKOUT, seats("TEAM", 17), 422).await;
    assert!(answer.text("/detail").contains("15 or 20, for instance"), "{:#}", answer.body);
    let answer = owner.post(CHECKOUT, order("PRO"), 422).await;
    assert!(answer.text("/detail").contains("PRO is not for sale. Plans that can be bought here: BUSINESS, TEAM."));
    assert_eq!(shop.stripe.asked().len(), asked);
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
async fn a_refusal_by_stripe_is_a_problem_that_says_what_to_do() {
    let refusals = [
        // status, code, param, part of what the caller reads
        (400, None, Some("line_items[0][price]"), "does not sell the plan TEAM"),
        (400, Some("resource_missing"), Some("line_items[1][price]"), "does not sell the plan TEAM"),
        (400, Some("resource_missing"), Some("customer"), "does not know your organization"),
        (400, Some("email_invalid"), Some("customer_email"), "e-mail address"),
        (400, None, None, "Stripe refused to open the page"),
        (400, Some("parameter_unknown"), Some("surprise"), "Stripe refused to open the page"),
        (401, None, None, "refuses this service's access"),
        (403, Some("more_permissions_required"), None, "refuses this service's access"),
        (404, Some("resource_missing"), None, "Stripe refused to open the page"),
        (402, Some("card_declined"), None, "Stripe refused to open the page"),
    ];
    let mut next = 0;
    let shop = Shop::open(move |_| {
        // Each is answered to a checkout and to a request for the portal.
        let (status, code, param, _) = refusals[next / 2];
        next += 1;
        let message = "No such price: 'price_team' of customer 'cus_1'";
        Reply::Json(
            status,
            json!({"error": {"type": "invalid_request_error", "code": code, "param": param, "message": message}}),
        )
    })
    .await;
    let (tenant, owner) = shop.owner("acme").await;
    shop.customer(tenant, "cus_1", false).await;
    for (_, _, _, says) in refusals {
        for (path, body) in [(CHECKOUT, order("TEAM")), (PORTAL, back())] {
            let answer = owner.post(path, body, 502).await;
            assert_eq!(answer.text("/code"), "payment_service_refused");
            assert_eq!(answer.header("content-type"), "application/problem+json");
            let detail = answer.text("/detail");
            let sells_nothing = path == PORTAL && says.contains("does not sell");
            let says = if sells_nothing { "Stripe refused to open the page" } else { says };
            assert!(detail.contains(says) && detail.contains("support"), "{detail}");
            let text = answer.body.to_string();
            assert!(!text.contains("No such") && !text.contains("cus_1") && !text.contains("price_team"), "{text}");
        }
    }
}

#[tokio::test]
async fn an_address_that_stripe_does_not_take_is_pointed_to() {
    let mut next = 0;
    let shop = Shop::open(move |_| {
        let errors = [(Some("url_invalid"), None), (None, Some("cancel_url")), (Some("url_invalid"), Some("success_url"))];
        let (code, param) = errors[next];
        next += 1;
        Reply::Json(400, json!({"error": {"type": "invalid_request_error", "code": code, "param": param, "message": "Not a valid URL"}}))
    })
    .await;
    let (_, owner) = shop.owner("acme").await;
    for expected in [vec!["/success_url", "/cancel_url"], vec!["/cancel_url"], vec!["/success_url"]] {
        let answer = owner.post(CHECKOUT, order("TEAM"), 422).await;
        let errors = answer.body["errors"].as_array().unwrap();
        let blamed: Vec<&str> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
        assert_eq!(blamed, expected, "{:#}", answer.body);
    }
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
