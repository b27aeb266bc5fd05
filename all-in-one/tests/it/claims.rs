//! Purchases under a person's address, and the tenant that serves the person.

use serde_json::json;
use testing::World;
use testing::http::Client;
use testing::world::License;

use crate::oidc::{ANN, CLIENT, Provider};
use crate::world::{ACQUIRE, all, device};

const CLAIM: &str = "/api/v1/auth/claim";

struct Shop {
    world: World,
    provider: Provider,
    client: Client,
}

impl Shop {
    async fn open() -> Self {
        let provider = Provider::shared();
        let issuers = json!([{"issuer": provider.issuer, "audience": CLIENT, "tenants": "*"}]);
        let world = World::new().await.with("OIDC_ISSUERS", issuers.to_string());
        let client = all(&world).await;
        Self { world, provider, client }
    }

    /// Creates the result of a purchase under an address: a tenant with a license, and a claim on it.
    async fn bought(&self, name: &str, email: &str) -> License {
        let tenant = self.world.tenant(name).await;
        let user = self.world.user(tenant, email, None).await;
        self.world.sql(&format!("update users set claimed_at = now(), role = 'owner' where id = '{user}'")).await;
        self.world.license(tenant, "PRO", 1).await
    }

    async fn person(&self, claims: &str) -> Client {
        self.client.bearer(self.provider.id_token(claims).await)
    }

    async fn license_of_seat(&self, person: &Client, n: usize) -> String {
        let answer = person.try_post(ACQUIRE, json!({"hardware_id": device(n)})).await;
        assert!(matches!(answer.status, 200 | 201), "{:#}", answer.body);
        let client = self.world.db.connect("postgres").await;
        let license = format!("select license_id::text from sessions where id = '{}'", answer.text("/session_id"));
        client.query_one(&license, &[]).await.unwrap().get(0)
    }
}

#[tokio::test]
async fn a_buyer_becomes_owner_with_the_key_from_the_mail_and_a_verified_address() {
    let shop = Shop::open().await;
    let bought = shop.bought("bought", "ann@acme.test").await;
    let ann = shop.person(ANN).await;
    let told = ann.post(ACQUIRE, json!({"hardware_id": device(1)}), 403).await;
    assert!(told.text("/detail").contains("coditect activate"), "{:#}", told.body);

    let key = json!({"license_key": bought.key.to_string()});
    // Neither the key without the address, nor the address without the key.
    for stranger in ["sub=eve&email=eve@acme.test&email_verified=true", "sub=eve&email=ann@acme.test", "sub=eve"] {
        let refused = shop.person(stranger).await.post(CLAIM, key.clone(), 403).await;
        assert_eq!(refused.text("/code"), "forbidden", "{stranger}");
    }
    let other = shop.bought("other", "bob@acme.test").await;
    ann.post(CLAIM, json!({"license_key": other.key.to_string()}), 403).await;
    ann.post(CLAIM, json!({"license_key": "CODITECT-PRO-A7F3E9D2C4B1-8F2A"}), 401).await;
    shop.client.post(CLAIM, key.clone(), 401).await;
    let access = shop.world.access_token(&bought).await;
    assert_eq!(shop.client.bearer(access).post(CLAIM, key.clone(), 401).await.text("/code"), "invalid_token");
    ann.post(ACQUIRE, json!({"hardware_id": device(1)}), 403).await;

    let owner = ann.post(CLAIM, key.clone(), 200).await;
    assert_eq!(owner.text("/tenant_id"), bought.tenant.to_string());
    let row = format!(
        "select count(*) from users where id = '{}' and role = 'owner' and subject = 'ann' and claimed_at is null",
        owner.text("/user_id")
    );
    assert_eq!(shop.world.number(&row).await, 1);
    assert_eq!(ann.post(CLAIM, key, 200).await.body, owner.body, "repeating it changes nothing");
    let noted = "select count(*) from audit_log where action = 'user.claim_confirmed'";
    assert_eq!(shop.world.number(noted).await, 1);
    assert_eq!(shop.license_of_seat(&ann, 1).await, bought.id.to_string());
}

#[tokio::test]
async fn a_purchase_under_her_address_takes_nobody_out_of_her_company() {
    let shop = Shop::open().await;
    // Bought by a stranger before she is a user, and once more after.
    shop.bought("trap-one", "ann@acme.test").await;
    let acme = shop.world.tenant("acme").await;
    shop.world.user(acme, "ann@acme.test", None).await;
    let license = shop.world.license(acme, "TEAM", 5).await;
    shop.bought("trap-two", "ann@acme.test").await;
    let ann = shop.person(ANN).await;
    assert_eq!(shop.license_of_seat(&ann, 1).await, license.id.to_string());

    // Not even when her company's license is over.
    shop.world.sql(&format!("update licenses set expires_at = now() where id = '{}'", license.id)).await;
    let over = ann.post(ACQUIRE, json!({"hardware_id": device(1)}), 403).await;
    assert_eq!((over.text("/code"), over.text("/reason")), ("license_inactive", "expired"), "{:#}", over.body);
    shop.world.sql(&format!("update licenses set expires_at = null, seats = 1 where id = '{}'", license.id)).await;
    let full = ann.post(ACQUIRE, json!({"hardware_id": device(2)}), 409).await;
    shop.world.sql(&format!("delete from sessions; delete from licenses where id = '{}'", license.id)).await;
    let none = ann.post(ACQUIRE, json!({"hardware_id": device(1)}), 404).await;
    for refused in [over, full, none] {
        assert!(refused.text("/detail").contains("another license was bought"), "{:#}", refused.body);
    }
}

#[tokio::test]
async fn an_owner_of_an_ended_tenant_buys_again_and_is_served_by_what_is_active() {
    let shop = Shop::open().await;
    let first = shop.bought("first", "ann@acme.test").await;
    let ann = shop.person(ANN).await;
    ann.post(CLAIM, json!({"license_key": first.key.to_string()}), 200).await;
    shop.world.sql("update licenses set expires_at = now()").await;
    let told = ann.post(ACQUIRE, json!({"hardware_id": device(1)}), 403).await;
    assert!(!told.text("/detail").contains("another license was bought"), "{:#}", told.body);

    let second = shop.bought("second", "ann@acme.test").await;
    let told = ann.post(ACQUIRE, json!({"hardware_id": device(1)}), 403).await;
    assert!(told.text("/detail").contains("another license was bought"), "{:#}", told.body);
    ann.post(CLAIM, json!({"license_key": second.key.to_string()}), 200).await;
    assert_eq!(shop.license_of_seat(&ann, 1).await, second.id.to_string());
    // Recorded by the confirmation, the person is known without the address.
    let ann = shop.person("sub=ann").await;
    assert_eq!(shop.license_of_seat(&ann, 1).await, second.id.to_string());
}
