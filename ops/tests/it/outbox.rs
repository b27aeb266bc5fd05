//! Tests of `ops outbox`, with entries as their causes write them.

mod delivery;
mod entries;
mod mail;
mod outages;

use common::license_key::KeyHasher;
use common::outbox::OUTBOX_ADD;
use protocol::id::{LicenseId, TenantId};
use protocol::key::LicenseKey;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::ops_cli::OpsCli;
use crate::sink::Sink;

/// The outbox of a tenant that has a license.
pub(crate) struct Outbox {
    pub(crate) ops: OpsCli,
    pub(crate) tenant: TenantId,
    pub(crate) license: LicenseId,
    pub(crate) key: LicenseKey,
}

/// Where an entry has got to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) state: String,
    pub(crate) attempts: i32,
    pub(crate) has_secret: bool,
    pub(crate) error: String,
    /// Until it is due again.
    pub(crate) seconds: i64,
}

impl Outbox {
    /// Without a mail server.
    pub(crate) async fn new() -> Self {
        let ops = OpsCli::new().await;
        let tenant = ops.world.tenant("acme").await;
        let license = ops.world.license(tenant, "TEAM", 5).await;
        Self { ops, tenant, license: license.id, key: license.key }
    }

    pub(crate) async fn with(sink: &Sink) -> Self {
        let mut outbox = Self::new().await;
        outbox.ops.set("SMTP_URL", Some(&sink.url()));
        outbox
    }

    /// Writes an entry as its cause does.
    pub(crate) async fn add(&self, kind: &str, payload: Value, secret: bool) -> Uuid {
        let id = Uuid::now_v7();
        let secret =
            secret.then(|| KeyHasher::from_setup(&mut self.ops.world.setup("postgres")).unwrap().seal(id, &self.key));
        let sql = self.ops.world.db.connect("coditect_webhook_stripe").await;
        sql.batch_execute(&format!("begin; set local app.tenant_id = '{}'", self.tenant)).await.unwrap();
        sql.execute(OUTBOX_ADD, &[&id, &kind, &id.to_string(), &payload, &secret]).await.unwrap();
        sql.batch_execute("commit").await.unwrap();
        id
    }

    /// A mail with the license key.
    pub(crate) async fn key_mail(&self, to: &str) -> Uuid {
        self.add("mail", self.about_key(Some(to)), true).await
    }

    pub(crate) fn about_key(&self, to: Option<&str>) -> Value {
        json!({"to": to, "license_id": self.license, "plan": "TEAM", "about": "license_key", "seats": 5})
    }

    pub(crate) async fn seats_changed(&self) -> Uuid {
        self.add("seats", json!({"license_id": self.license}), false).await
    }

    pub(crate) async fn entry(&self, id: Uuid) -> Entry {
        let sql = self.ops.world.db.connect("postgres").await;
        let row = sql
            .query_one(
                "select case when delivered_at is not null then 'delivered' when dead_at is not null then 'dead' else 'pending' end,
                        attempts, secret is not null, coalesce(last_error, ''),
                        extract(epoch from next_attempt_at - now())::bigint
                 from outbox where id = $1 and (delivered_at is null or dead_at is null)",
                &[&id],
            )
            .await
            .unwrap();
        Entry {
            state: row.get(0),
            attempts: row.get(1),
            has_secret: row.get(2),
            error: row.get(3),
            seconds: row.get(4),
        }
    }

    pub(crate) async fn state(&self, id: Uuid) -> String {
        self.entry(id).await.state
    }

    /// Lets the time pass until everything is due.
    pub(crate) async fn wait(&self) {
        self.ops.world.sql("update outbox set next_attempt_at = now() where next_attempt_at > now()").await;
    }

    /// Delivers what is due, of which something can't be: the lines that say so.
    pub(crate) async fn fails(&self) -> String {
        let ended = self.ops.run(&["outbox", "deliver"]).await;
        assert_eq!((ended.status, ended.out.as_str()), (1, ""), "{ended:?}");
        self.keeps_the_key(&[&ended.err]).await;
        ended.err
    }

    pub(crate) async fn delivers(&self) {
        let ended = self.ops.plain(&["outbox", "deliver"]).await;
        assert_eq!(ended.out, "", "{ended:?}");
        self.keeps_the_key(&[&ended.err]).await;
    }

    /// The license key is in none of these, and in nothing that the outbox shows or keeps readable.
    pub(crate) async fn keeps_the_key(&self, said: &[&str]) {
        let sql = self.ops.world.db.connect("postgres").await;
        let kept: String = sql
            .query_one(
                "select coalesce(string_agg(o::text, ' '), '') from (select *, encode(secret, 'escape') from outbox) o",
                &[],
            )
            .await
            .unwrap()
            .get(0);
        let listed =
            [self.ops.plain(&["outbox", "list"]).await.out, self.ops.json(&["outbox", "list"]).await.to_string()];
        let key = self.key.to_string();
        let body = key.split('-').nth(2).unwrap();
        for text in [said, &[&kept, &listed[0], &listed[1]]].concat() {
            assert!(!text.to_uppercase().replace([' ', '-', '='], "").contains(body), "the key was told: {text}");
        }
    }
}
