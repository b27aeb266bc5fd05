//! `ops license rekey`: another key for a license, the fate of the former one, and keys that move to a newer pepper.

use common::license_key::KeyHasher;
use jiff::{SignedDuration, Timestamp};
use protocol::id::HardwareId;
use protocol::key::{Brand, KeyType, LicenseKey};
use serde_json::{Value, json};
use testing::http::Client;
use testing::world::PEPPER;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use crate::clients::Clients;
use crate::ops_cli::OpsCli;

/// A license of an organization that has an owner, and the functions that take its key.
struct Leak {
    ops: OpsCli,
    license: String,
    /// Its keys, in the order in which it got them.
    keys: Vec<String>,
    validate: Client,
    auth: Client,
}

impl Leak {
    async fn new() -> Self {
        let ops = OpsCli::new().await;
        ops.tenant("acme").await;
        let owner = ["user", "add", "--tenant", "acme", "--email", "olga@acme.test", "--role", "owner"];
        ops.json(&owner).await;
        let made = ops.json(&["license", "issue", "--tenant", "acme", "--plan", "TEAM", "--seats", "5"]).await;
        let text = |field: &str| made[field].as_str().unwrap().to_owned();
        let validate = ops.world.serve("validate", validate::State::connect, validate::routes).await;
        let auth = ops.world.serve("auth", auth::State::connect, auth::routes).await;
        Self { license: text("license_id"), keys: vec![text("license_key")], validate, auth, ops }
    }

    fn rekey_args<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["license", "rekey", &self.license], more].concat()
    }

    /// Gives the license another key, which is taken from the owner's mail.
    async fn rekey(&mut self, more: &[&str]) -> Value {
        let done = self.ops.json(&self.rekey_args(more)).await;
        let mails = self.ops.json(&["outbox", "deliver"]).await.to_string();
        assert!(mails.contains("olga@acme.test"), "{mails}");
        let key = mails.split("coditect activate ").nth(1).unwrap().split(['\\', '"', ' ']).next().unwrap().to_owned();
        assert!(!self.keys.contains(&key) && key.parse::<LicenseKey>().is_ok(), "{key}");
        self.keys.push(key);
        done
    }

    async fn validated(&self, key: usize) -> Value {
        let machine = HardwareId::of(b"laptop");
        let ask = json!({"license_key": self.keys[key], "machine_id": machine, "version": "1.0.0"});
        self.validate.post("/api/v1/licenses/validate", ask, 200).await.body
    }

    async fn authorized(&self, key: usize, status: u16) -> Value {
        self.auth.post("/api/v1/auth/license", json!({"license_key": self.keys[key]}), status).await.body
    }

    async fn is_replaced(&self, key: usize) {
        let no = self.validated(key).await;
        assert_eq!((&no["valid"], &no["reason"]), (&json!(false), &json!("revoked")), "{no:#}");
        assert!(no["message"].as_str().unwrap().contains("replaced by another one"), "{no:#}");
        let no = self.authorized(key, 401).await;
        assert_eq!(no["code"], "invalid_license_key");
        assert!(no["detail"].as_str().unwrap().contains("replaced by another one"), "{no:#}");
    }

    async fn is_good(&self, key: usize) -> Value {
        assert_eq!(self.authorized(key, 200).await["tier"], "TEAM");
        let yes = self.validated(key).await;
        assert_eq!(yes["valid"], true, "{yes:#}");
        yes
    }
}

#[tokio::test]
async fn a_leaked_key_is_replaced_at_once_and_sessions_go_on() {
    let mut leak = Leak::new().await;
    leak.is_good(0).await;
    let license = leak.license.parse().unwrap();
    let clients = Clients::of(&leak.ops, license).await;
    let session = clients.seat("laptop").await;
    let before = leak.ops.world.redis.command(&["HGETALL", &format!("license:{{{license}}}")]).await;

    let done = leak.rekey(&[]).await;
    assert_eq!(done["license_id"], leak.license.as_str());
    assert!(done["key_hint"].as_str().unwrap().starts_with("CODITECT-TEAM-"), "{done:#}");
    assert!(!done.to_string().contains(leak.keys[1].split('-').nth(2).unwrap()), "the key is mailed, not shown");
    leak.is_replaced(0).await;
    let yes = leak.is_good(1).await;
    assert_eq!(yes.get("key_replaced_until"), None);
    assert!(clients.is_live(session).await);
    let after = leak.ops.world.redis.command(&["HGETALL", &format!("license:{{{license}}}")]).await;
    assert_eq!(before, after, "Redis is not told anything");
    assert_eq!(leak.ops.world.number("select count(*) from devices").await, 1, "a device keeps its place");

    let shown = leak.ops.json(&["license", "show", &leak.license]).await;
    assert_eq!(shown["former_keys"].as_array().unwrap().len(), 1, "{shown:#}");
    assert_eq!(shown["key_hint"], done["key_hint"]);
    let (actor, action, of, detail) =
        leak.ops.audit().await.into_iter().find(|(_, a, ..)| a == "license.rekeyed").unwrap();
    assert_eq!((actor.as_str(), of, action.as_str()), ("operator:alice", Some(license), "license.rekeyed"));
    assert_eq!(detail["key_hint"], done["key_hint"]);
}

#[tokio::test]
async fn a_key_is_mailed_to_a_confirmed_owner_before_an_older_claim() {
    let mut leak = Leak::new().await;
    let claim = "insert into users (id, tenant_id, email, role, created_at, claimed_at)
        select gen_random_uuid(), id, 'eve@claim.test', 'owner', now() - interval '1 day', now() - interval '1 day'
        from tenants where slug = 'acme'";
    leak.ops.world.sql(claim).await;
    leak.rekey(&[]).await;
    let listed = async |ops: &OpsCli| ops.list(&["outbox", "list", "--pending"]).await[0]["to"].clone();
    leak.ops.json(&leak.rekey_args(&[])).await;
    assert_eq!(listed(&leak.ops).await, "olga@acme.test");
    // Where no owner is confirmed, the claim has the only address.
    leak.ops.world.sql("delete from users where claimed_at is null").await;
    assert_eq!(listed(&leak.ops).await, "eve@claim.test");
    assert!(leak.ops.json(&["outbox", "deliver"]).await.to_string().contains("eve@claim.test"));
}

#[tokio::test]
async fn a_former_key_is_good_for_its_grace_and_no_answer_lasts_longer() {
    let mut leak = Leak::new().await;
    let done = leak.rekey(&["--grace", "30m"]).await;
    let until: Timestamp = done["former_key_good_until"].as_str().unwrap().parse().unwrap();
    let left = until.duration_since(Timestamp::now());
    assert!(left > SignedDuration::from_mins(29) && left <= SignedDuration::from_mins(30), "{left}");
    let yes = leak.is_good(0).await;
    for field in ["refresh_after", "grace_until", "key_replaced_until"] {
        let time: Timestamp = yes[field].as_str().unwrap().parse().unwrap();
        assert!(time <= until, "{field} in {yes:#}");
    }
    assert!(yes["expires_at"].is_null(), "the license itself has no end");
    assert!(leak.authorized(0, 200).await["expires_in"].as_u64().unwrap() <= 1800);
    assert_eq!(leak.is_good(1).await.get("key_replaced_until"), None);
    leak.ops.world.sql("update former_license_keys set good_until = now()").await;
    leak.is_replaced(0).await;
    leak.is_good(1).await;
}

#[tokio::test]
async fn another_replacement_ends_the_grace_of_all_keys_before() {
    let mut leak = Leak::new().await;
    leak.rekey(&["--grace", "2 days"]).await;
    leak.rekey(&["--grace", "1d"]).await;
    for key in 0..3 {
        leak.is_good(key).await;
    }
    let ends = "select count(*) from former_license_keys where good_until > now() + interval '25 hours'";
    assert_eq!(leak.ops.world.number(ends).await, 0, "no key outlives the grace of a later one");
    leak.rekey(&[]).await;
    for key in 0..3 {
        leak.is_replaced(key).await;
    }
    leak.is_good(3).await;
}

#[tokio::test]
async fn what_cannot_get_another_key_keeps_its_own() {
    let leak = Leak::new().await;
    for (grace, part) in
        [("-1h", "from 0s to 90d"), ("91d", "from 0s to 90d"), ("1 month", "days or weeks"), ("soon", "12h or 7d")]
    {
        let args = leak.rekey_args(&[]);
        let grace = format!("--grace={grace}");
        let ended = leak.ops.run(&[&args[..], &[&grace]].concat()).await;
        assert_eq!(ended.status, 64, "{ended:?}");
        assert!(ended.err.contains(part), "{ended:?}");
    }
    // The mail cannot be written: nothing else is.
    let fault = "create function fault() returns trigger language plpgsql as $$ begin raise 'no mail'; end $$;
        create trigger fault before insert on outbox for each row execute function fault()";
    leak.ops.world.sql(fault).await;
    leak.ops.failed(&leak.rekey_args(&[]), 2).await;
    leak.ops.world.sql("drop trigger fault on outbox").await;
    leak.ops.world.sql("update users set role = 'admin'").await;
    assert!(leak.ops.refused(&leak.rekey_args(&[])).await.contains("ops user add --role owner"));
    leak.is_good(0).await;
    assert_eq!(leak.ops.world.number("select count(*) from outbox").await, 0);
    leak.ops.plain(&["license", "revoke", &leak.license]).await;
    assert!(leak.ops.refused(&leak.rekey_args(&[])).await.contains("for good"));
    assert_eq!(leak.ops.world.number("select count(*) from former_license_keys").await, 0);
    assert!(leak.ops.audit().await.iter().all(|(_, action, ..)| action != "license.rekeyed"));
}

/// Lets everything that waits for an hour to pass see it pass.
async fn an_hour_passes(ops: &OpsCli) {
    ops.world
        .sql(
            "update licenses set key_hashed_at = now() - interval '2 hours';
             update former_license_keys set hashed_at = now() - interval '2 hours'",
        )
        .await;
}

#[tokio::test]
async fn keys_move_to_the_newer_pepper_and_back_when_they_are_used() {
    let mut leak = Leak::new().await;
    leak.rekey(&["--grace", "1d"]).await;
    let newer = "ab".repeat(32);
    let moved = "select (select count(*) from licenses where key_hashed_at > now() - interval '1 hour')
        + (select count(*) from former_license_keys where hashed_at > now() - interval '1 hour')";
    let rotations = [(format!("{newer},{PEPPER}"), newer.clone()), (format!("{PEPPER},{newer}"), PEPPER.to_owned())];
    for (before, (peppers, only)) in (0..).zip(rotations) {
        leak.ops.set("LICENSE_KEY_PEPPER", Some(&peppers));
        leak.ops.world = leak.ops.world.with("LICENSE_KEY_PEPPER", peppers);
        leak.auth = leak.ops.world.serve("auth", auth::State::connect, auth::routes).await;
        leak.validate = leak.ops.world.serve("validate", validate::State::connect, validate::routes).await;
        // Within an hour nothing moves.
        leak.is_good(0).await;
        assert_eq!(leak.ops.world.number("select count(*) from outbox where kind = 'rehash'").await, 2 * before);
        an_hour_passes(&leak.ops).await;
        for key in [0, 1] {
            leak.is_good(key).await;
        }
        let outbox = leak.ops.world.db.connect("postgres").await;
        let dump = outbox.query("select payload::text, once from outbox", &[]).await.unwrap();
        for row in &dump {
            let text = format!("{}{}", row.get::<_, &str>(0), row.get::<_, &str>(1));
            assert!(!leak.keys.iter().any(|key| text.contains(key)), "{text}");
        }
        leak.ops.plain(&["outbox", "deliver"]).await;
        assert_eq!(leak.ops.world.number(moved).await, 2);
        assert_eq!(leak.ops.world.number("select count(*) from outbox where secret is not null").await, 0);
        // Under that pepper alone both are known.
        leak.ops.world = leak.ops.world.with("LICENSE_KEY_PEPPER", only);
        leak.auth = leak.ops.world.serve("auth", auth::State::connect, auth::routes).await;
        for key in [0, 1] {
            leak.authorized(key, 200).await;
        }
    }
}

#[tokio::test]
async fn no_role_of_a_function_can_give_a_license_another_key() {
    let leak = Leak::new().await;
    an_hour_passes(&leak.ops).await;
    let hasher = KeyHasher::from_setup(&mut leak.ops.world.setup("postgres")).unwrap();
    let key: LicenseKey = leak.keys[0].parse().unwrap();
    let forged = LicenseKey::generate(Brand::Coditect, KeyType::Team);
    for role in ["coditect_validate", "coditect_auth"] {
        let sql = leak.ops.world.db.connect(role).await;
        let direct = "select license_key_rehash($1::bytea, $2::bytea)";
        let (old, new) = (hasher.hash(&key), hasher.hash(&forged));
        let refused = sql.query(direct, &[&old.as_slice(), &new.as_slice()]).await.unwrap_err();
        assert!(refused.as_db_error().is_some(), "{refused}");
        // Even with the pepper: what it hands over has to be the license's key.
        let entry = Uuid::now_v7();
        let ask = "select license_key_rehash_request($1, $2, $3)";
        sql.query(ask, &[&old.as_slice(), &entry, &hasher.seal(entry, &forged)]).await.unwrap();
        let ended = leak.ops.run(&["outbox", "deliver"]).await;
        assert_eq!(ended.status, 1, "{ended:?}");
        assert!(ended.err.contains("is no key of the license"), "{ended:?}");
        leak.ops.world.sql("delete from outbox").await;
        for change in [
            "update licenses set key_hash = $1",
            "insert into outbox (id, tenant_id, kind, once, payload, secret)
                 values (gen_random_uuid(), current_tenant(), 'rehash', 'once', '{}', $1)",
        ] {
            let refused = sql.execute(change, &[&new.as_slice()]).await.unwrap_err();
            assert_eq!(refused.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{role}: {change}");
        }
    }
    leak.is_good(0).await;
}
