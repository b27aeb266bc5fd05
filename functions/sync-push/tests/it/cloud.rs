//! A tenant with a plan that syncs, and clients of both functions.

use serde_json::{Value, json};
use testing::World;
use testing::http::{Answer, Client, Method};
use testing::world::License;

/// Where records are pushed.
pub(crate) const PUSH: &str = "/api/v1/context/push";

/// A deployment with one tenant.
pub(crate) struct Cloud {
    pub(crate) world: World,
    pub(crate) license: License,
    pub(crate) push: Client,
    pub(crate) pull: Client,
}

impl Cloud {
    pub(crate) async fn new() -> Self {
        Self::with_plan("ENT").await
    }

    pub(crate) async fn with_plan(plan: &str) -> Self {
        Self::on(World::new().await, plan).await
    }

    pub(crate) async fn on(world: World, plan: &str) -> Self {
        let push = world.serve("sync-push", sync_push::State::connect, sync_push::routes).await;
        let pull = world.serve("sync-pull", sync_pull::State::connect, sync_pull::routes).await;
        let license = world.license(world.tenant("acme").await, plan, 5).await;
        let token = world.access_token(&license).await;
        Self { push: push.bearer(token.clone()), pull: pull.bearer(token), license, world }
    }

    /// Another tenant's clients of the same deployment.
    pub(crate) async fn other(&self, slug: &str, plan: &str) -> (License, Client, Client) {
        let license = self.world.license(self.world.tenant(slug).await, plan, 5).await;
        let token = self.world.access_token(&license).await;
        (license, self.push.bearer(token.clone()), self.pull.bearer(token))
    }

    /// Pushes records from a device and answers their results.
    pub(crate) async fn push(&self, device: &str, records: Value) -> Vec<Value> {
        push(&self.push, device, records).await
    }

    /// Pushes records as they are written here, from the device `a`.
    pub(crate) async fn push_text(&self, records: &[String]) -> Vec<Value> {
        let body = format!(r#"{{"device_id":"a","records":[{}]}}"#, records.join(","));
        let request = self.push.request(Method::POST, PUSH).header("content-type", "application/json").body(body);
        self.push.send(request, 200).await.body["results"].as_array().unwrap().clone()
    }

    /// Returns the whole stream, read page by page.
    pub(crate) async fn pull_all(&self, limit: u16) -> Vec<Value> {
        pull_all(&self.pull, limit).await
    }

    /// Returns the answer of `status`, after checking that the totals equal the stored rows.
    pub(crate) async fn status(&self) -> Value {
        let off = "select count(*) from context_totals t full join (
                select tenant_id, kind, count(*) filter (where not deleted) as records, count(*) filter (where deleted) as deleted,
                    coalesce(sum(octet_length(content)), 0) as bytes
                from context_records group by 1, 2
            ) c using (tenant_id, kind)
            where (t.records, t.deleted, t.bytes) is distinct from (c.records, c.deleted, c.bytes)";
        assert_eq!(self.world.number(off).await, 0, "the totals aren't those of the records");
        let off = "select count(*) from context_heads h left join (
                select tenant_id, sum(256 + coalesce(octet_length(content), 0)) as bytes from context_history group by 1
            ) c using (tenant_id)
            where h.history_bytes <> coalesce(c.bytes, 0)";
        assert_eq!(self.world.number(off).await, 0, "the history's bytes aren't those of its versions");
        self.pull.get("/api/v1/context/status", 200).await.body
    }

    /// Returns a record's history: outcome, version and text.
    pub(crate) async fn history(&self, kind: &str, id: &str) -> Vec<(String, Value, Value)> {
        let page = self.pull.get(&format!("/api/v1/context/history?kind={kind}&id={id}"), 200).await;
        let entries = page.body["data"].as_array().unwrap().iter();
        entries
            .map(|e| (e["outcome"].as_str().unwrap().to_owned(), e["version"].clone(), e["content"]["text"].clone()))
            .collect()
    }
}

pub(crate) async fn push(client: &Client, device: &str, records: Value) -> Vec<Value> {
    let body = json!({"device_id": device, "records": records});
    client.post(PUSH, body, 200).await.body["results"].as_array().unwrap().clone()
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

/// Returns the record with another value in a field.
pub(crate) fn with(mut record: Value, name: &str, value: impl Into<Value>) -> Value {
    record[name] = value.into();
    record
}

/// Returns the status of each record.
pub(crate) fn statuses(results: &[Value]) -> Vec<&str> {
    results.iter().map(|r| r["status"].as_str().unwrap()).collect()
}

/// Returns the status of each record, or the error code of those that were rejected.
pub(crate) fn words(results: &[Value]) -> Vec<&str> {
    results.iter().map(|r| r["error"]["code"].as_str().or(r["status"].as_str()).unwrap()).collect()
}
