//! A tenant with a plan that syncs, and clients of both functions.

use serde_json::{Value, json};
use testing::World;
use testing::http::{Answer, Client};
use testing::world::License;

/// A deployment with one tenant.
pub(crate) struct Cloud {
    pub(crate) world: World,
    pub(crate) push: Client,
    pub(crate) pull: Client,
}

impl Cloud {
    pub(crate) async fn new() -> Self {
        Self::with_plan("ENT").await
    }

    pub(crate) async fn with_plan(plan: &str) -> Self {
        let world = World::new().await;
        let push = world.serve("sync-push", sync_push::State::connect, sync_push::routes).await;
        let pull = world.serve("sync-pull", sync_pull::State::connect, sync_pull::routes).await;
        let tenant = world.tenant("acme").await;
        let license = world.license(tenant, plan, 5).await;
        let token = world.access_token(&license).await;
        Self { push: push.bearer(token.clone()), pull: pull.bearer(token), world }
    }

    /// Another tenant's clients of the same deployment.
    pub(crate) async fn other(&self, slug: &str) -> (License, Client, Client) {
        let license = self.world.license(self.world.tenant(slug).await, "ENT", 5).await;
        let token = self.world.access_token(&license).await;
        (license, self.push.bearer(token.clone()), self.pull.bearer(token))
    }

    /// Pushes records from a device and answers their results.
    pub(crate) async fn push(&self, device: &str, records: Value) -> Vec<Value> {
        push(&self.push, device, records).await
    }

    /// Everything in the stream, page by page.
    pub(crate) async fn pull_all(&self, limit: u16) -> Vec<Value> {
        pull_all(&self.pull, limit).await
    }
}

pub(crate) async fn push(client: &Client, device: &str, records: Value) -> Vec<Value> {
    let body = json!({"device_id": device, "records": records});
    client.post("/api/v1/context/push", body, 200).await.body["results"].as_array().unwrap().clone()
}

pub(crate) async fn page(client: &Client, cursor: Option<&str>, rest: &str) -> Answer {
    let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
    client.get(&format!("/api/v1/context/pull?{rest}{cursor}"), 200).await
}

pub(crate) async fn pull_all(client: &Client, limit: u16) -> Vec<Value> {
    let (mut records, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = page(client, cursor.as_deref(), &format!("limit={limit}")).await;
        records.extend(page.body["records"].as_array().unwrap().iter().cloned());
        cursor = Some(page.text("/next_cursor").to_owned());
        if page.body["has_more"] == false {
            return records;
        }
    }
}

/// A decision as it is pushed.
pub(crate) fn decision(id: &str, text: &str, at: &str) -> Value {
    json!({"kind": "decision", "id": id, "content": {"text": text}, "updated_at": at})
}
