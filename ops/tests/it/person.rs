//! Tests of the export and the erasure of a person's data.

use protocol::id::{TenantId, UserId};
use serde_json::{Value, json};

use crate::clients::Clients;
use crate::ops_cli::OpsCli;

const IN_ACME: [&str; 2] = ["--tenant", "acme"];

/// Ada, who has left something everywhere; Bob beside her, who shares one of her machines; and another Ada elsewhere.
struct PersonFixture {
    ops: OpsCli,
    tenant: TenantId,
    ada: UserId,
    bob: UserId,
    namesake: UserId,
}

impl PersonFixture {
    async fn new() -> Self {
        let ops = OpsCli::new().await;
        let license = ops.license().await;
        let row = ops.world.db.connect("postgres").await;
        let tenant =
            row.query_one("select tenant_id from licenses where id = $1", &[&license.as_uuid()]).await.unwrap();
        let tenant = TenantId::from_uuid(tenant.get(0));
        let other = ops.tenant("elsewhere").await;
        let ada = ops.world.user(tenant, "ada@acme.test", Some(("https://id.test", "ada"))).await;
        let bob = ops.world.user(tenant, "bob@acme.test", None).await;
        let namesake = ops.world.user(other, "ada@acme.test", None).await;
        let clients = Clients::of(&ops, license).await;
        for (holder, user, machine) in [("a1", ada, "own"), ("a2", ada, "shared"), ("b1", bob, "shared")] {
            let session = clients.seat(holder).await;
            ops.world
                .sql(&format!(
                    "update sessions set user_id = '{user}', hardware_id = '{machine}' where id = '{session}'"
                ))
                .await;
        }
        let times = "'2026-11-01T10:00:00Z', '2026-11-01T10:00:05Z'";
        let null = r"\\u0000";
        let (ada_at, bob_at) = ("ada@acme.test", "bob@acme.test");
        for (tenant, user, kind, email) in
            [(tenant, ada, 3, ada_at), (tenant, bob, 4, bob_at), (other, namesake, 3, ada_at)]
        {
            ops.world
                .sql(&format!(
                    "insert into context_records (tenant_id, seq, version, updated_at, written_at, kind, deleted, id, device_id, user_id, content_hash, content)
                         values ('{tenant}', 2 + {kind}, 2, {times}, {kind}, false, 'd1', 'laptop of {user}', '{user}', '\\x02', '{{\"text\":\"two{null}\"}}');
                     insert into context_history (tenant_id, seq, version, updated_at, written_at, replaced_at, kind, deleted, id, device_id, user_id, content_hash, content)
                         values ('{tenant}', 1 + {kind}, 1, {times}, '2026-11-01T10:00:05Z', {kind}, false, 'd1', 'laptop of {user}', '{user}', '\\x01', '{{\"text\":\"one\"}}');
                     insert into context_devices (tenant_id, device_id) values ('{tenant}', 'laptop of {user}');
                     insert into idempotency_keys (tenant_id, operation, caller, key, body_hash, status, answer)
                         values ('{tenant}', 'acquire', '{user}', 'k1', '\\x00', 201, 'secret-token');
                     insert into audit_log (id, tenant_id, actor, action, address, detail)
                         values (gen_random_uuid(), '{tenant}', 'license key', 'device.activated', '192.0.2.7', '{{\"user_id\": \"{user}\"}}');
                     insert into outbox (id, tenant_id, kind, once, payload, delivered_at)
                         values (gen_random_uuid(), '{tenant}', 'mail', 'sent-{user}', '{{\"to\": \"{email}\", \"about\": \"ending\"}}', now()),
                                (gen_random_uuid(), '{tenant}', 'mail', 'unsent-{user}', '{{\"to\": \"{email}\", \"about\": \"ending\"}}', null);
                     insert into stripe_customers (id, tenant_id, livemode, email, name)
                         values ('cus_{user}', '{tenant}', true, '{email}', 'A. L.')"
                ))
                .await;
        }
        for (machine, over) in [("own", true), ("shared", true), ("strangers", true)] {
            ops.world
                .sql(&format!(
                    "insert into devices (tenant_id, license_id, machine_id, valid_until, address)
                     select tenant_id, id, '{machine}', now() - interval '1 day' * {}, '192.0.2.8' from licenses",
                    i32::from(over)
                ))
                .await;
        }
        Self { ops, tenant, ada, bob, namesake }
    }

    async fn count(&self, of: &str) -> i64 {
        self.ops.world.number(&format!("select count(*) from {of}")).await
    }

    /// Returns every place that still has data of a user, by id or address.
    async fn traces_of(&self, user: UserId) -> Vec<String> {
        let mut found = Vec::new();
        for (table, column) in [
            ("users", "id"),
            ("sessions", "user_id"),
            ("context_records", "user_id"),
            ("context_history", "user_id"),
            ("idempotency_keys", "caller"),
        ] {
            if self.count(&format!("{table} where {column} = '{user}'")).await > 0 {
                found.push(table.to_owned());
            }
        }
        for table in ["context_records", "context_history", "context_devices"] {
            if self.count(&format!("{table} where device_id = 'laptop of {user}'")).await > 0 {
                found.push(format!("device of {table}"));
            }
        }
        found
    }
}

fn person_args<'a>(verb: &'a str, who: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["person", verb, who], &IN_ACME[..], more].concat()
}

#[tokio::test]
async fn an_export_has_all_that_is_held_of_one_person_and_nothing_of_others() {
    let fixture = PersonFixture::new().await;
    let told = fixture.ops.json(&person_args("export", " Ada@ACME.test", &[])).await;
    let by_id = fixture.ops.json(&person_args("export", &fixture.ada.to_string(), &[])).await;
    assert_eq!((&by_id["email"], &by_id["context"]), (&told["email"], &told["context"]));
    assert_eq!(told["claimed_at"], Value::Null);
    fixture.ops.world.sql(&format!("update users set claimed_at = now() where id = '{}'", fixture.ada)).await;
    let claimed = fixture.ops.json(&person_args("export", &fixture.ada.to_string(), &[])).await;
    assert!(claimed["claimed_at"].is_string(), "{claimed:#}");
    let entries = |told: &Value| told["audit_log"].as_array().unwrap().len();
    assert_eq!(entries(&by_id), entries(&told) + 1, "who had it before");
    assert_eq!(
        (&told["user_id"], &told["email"], &told["subject"]),
        (&json!(fixture.ada), &json!("ada@acme.test"), &json!("ada"))
    );
    let many = ["sessions", "devices", "answers", "mails", "customers", "context", "context_history"];
    let counts = many.map(|name| told[name].as_array().unwrap_or_else(|| panic!("{name} in {told}")).len());
    assert_eq!(counts, [2, 2, 1, 2, 1, 1, 1], "{told}");
    assert_eq!(told["context"][0]["content"]["text"], "two\u{0}");
    assert_eq!((&told["context"][0]["kind"], &told["context_history"][0]["version"]), (&json!("decision"), &json!(1)));
    assert_eq!(told["sessions"][0]["hardware_id"], "own");
    assert_eq!(told["devices"][0]["address"], "192.0.2.8");
    let text = told.to_string();
    for others in
        [fixture.bob.to_string(), fixture.namesake.to_string(), "secret-token".to_owned(), "strangers".to_owned()]
    {
        assert!(!text.contains(&others), "{others} in {text}");
    }
    let exported = fixture.ops.audit().await.into_iter().filter(|(_, action, ..)| action == "person.exported");
    assert!(
        exported
            .map(|(actor, _, _, detail)| (actor, detail))
            .all(|it| it == ("operator:alice".to_owned(), json!({"user_id": fixture.ada})))
    );
    assert!(
        fixture.ops.refused(&person_args("export", &fixture.namesake.to_string(), &[])).await.contains("ops user list")
    );
    assert!(fixture.ops.refused(&person_args("export", "nobody@acme.test", &[])).await.contains("ops user list"));
}

#[tokio::test]
async fn an_erasure_can_be_undone_for_thirty_days_and_meanwhile_nobody_signs_in() {
    let fixture = PersonFixture::new().await;
    let known = "memberships_by_identity('https://id.test', 'ada', null, null, null)";
    assert_eq!(fixture.count(known).await, 1);
    let begun = fixture.ops.json(&person_args("erase", "ada@acme.test", &[])).await;
    assert_eq!(begun["sessions_ended"], 2);
    assert_eq!(fixture.count(known).await, 0, "nobody signs in as somebody who leaves");
    assert_eq!(fixture.count("sessions where ended_at is null").await, 1, "Bob's");
    assert_eq!(
        fixture.count(&format!("idempotency_keys where caller = '{}'", fixture.ada)).await,
        0,
        "there are tokens in them"
    );
    let listed = fixture.ops.list(&["user", "list", "--tenant", "acme"]).await;
    assert_eq!(listed[0]["erase_at"], begun["erase_at"]);
    assert!(fixture.ops.refused(&person_args("erase", "ada@acme.test", &[])).await.contains("begun before"));
    fixture.ops.plain(&["sweep"]).await;
    assert!(fixture.traces_of(fixture.ada).await.contains(&"users".to_owned()), "not before its time");

    fixture.ops.plain(&person_args("keep", "ada@acme.test", &[])).await;
    assert_eq!(fixture.count(known).await, 1);
    assert!(fixture.ops.refused(&person_args("keep", "ada@acme.test", &[])).await.contains("Nobody began"));

    fixture.ops.json(&person_args("erase", "ada@acme.test", &[])).await;
    fixture.ops.world.sql("update users set erase_at = now() - interval '1 second' where erase_at is not null").await;
    assert!(fixture.ops.plain(&["sweep"]).await.err.contains("whose time was over: 1."));
    assert_eq!(fixture.traces_of(fixture.ada).await, Vec::<String>::new());
    let done: Vec<String> = fixture.ops.audit().await.into_iter().map(|(_, action, ..)| action).collect();
    let steps: Vec<&String> = done.iter().filter(|action| action.starts_with("person.")).collect();
    assert_eq!(steps, ["person.erasure_begun", "person.erasure_undone", "person.erasure_begun", "person.erased"]);
}

#[tokio::test]
async fn what_was_erased_is_gone_and_what_belongs_to_others_is_there() {
    let fixture = PersonFixture::new().await;
    // Of a machine whose every version has left the history.
    let machine = format!("insert into context_devices (tenant_id, device_id) values ('{}', 'own')", fixture.tenant);
    fixture.ops.world.sql(&machine).await;
    let erased = fixture.ops.json(&person_args("erase", "ada@acme.test", &["--now"])).await;
    assert_eq!(
        erased["erased"],
        json!({"sessions": 2, "devices": 1, "mails": 2, "records_without_author": 2, "stripe_events": 0, "stripe_customers": 1}),
        "{erased}"
    );
    assert!(erased["kept"].to_string().contains(&format!("cus_{}", fixture.ada)), "{erased}");
    assert_eq!(fixture.traces_of(fixture.ada).await, Vec::<String>::new());
    let of_acme = |table: &str| format!("{table} where tenant_id = '{}'", fixture.tenant);
    assert_eq!(fixture.count(&of_acme("context_records")).await, 2, "the tenant keeps what was written");
    assert_eq!(fixture.count("devices where machine_id in ('shared', 'strangers')").await, 2);
    assert_eq!(fixture.count("context_devices where device_id = 'own'").await, 0);
    assert_eq!(fixture.count(&of_acme("outbox")).await, 3, "Bob's two, and hers that was sent");
    assert_eq!(fixture.count("outbox where payload ->> 'to' = 'ada@acme.test'").await, 2, "her namesake's");
    for other in [fixture.bob, fixture.namesake] {
        let left = fixture.traces_of(other).await;
        assert!(
            left.contains(&"context_records".to_owned()) && left.contains(&"device of context_devices".to_owned()),
            "{left:?}"
        );
    }
    let (authors, devices) = (
        fixture.count("(select distinct user_id from context_records) x").await,
        fixture.count("(select distinct device_id from context_history) x").await,
    );
    assert_eq!((authors, devices), (3, 3), "one author stays one, whoever it was");
    assert!(fixture.ops.refused(&person_args("export", "ada@acme.test", &[])).await.contains("nobody"));
    // The address is free again.
    fixture.ops.json(&["user", "add", "--tenant", "acme", "--email", "ada@acme.test"]).await;
}

/// An event as Stripe sends it, with a person's contact, under a customer.
async fn event(fixture: &PersonFixture, id: &str, state: &str, object: Value) {
    let body = json!({"id": id, "type": "charge.refunded", "created": 1, "livemode": true, "data": {"object": object}});
    let waits = if state == "waiting" { "{cus_unknown}" } else { "{}" };
    let client = fixture.ops.world.db.connect("postgres").await;
    let sql = "insert into stripe_events (id, livemode, type, created, body, state, waits_for)
        values ($1, true, 'charge.refunded', now(), $2, $3, $4::text::text[])";
    client.execute(sql, &[&id, &body.to_string().into_bytes(), &state, &waits]).await.unwrap();
}

async fn stored(fixture: &PersonFixture, id: &str) -> Value {
    let client = fixture.ops.world.db.connect("postgres").await;
    let row = client.query_one("select body from stripe_events where id = $1", &[&id]).await.unwrap();
    serde_json::from_slice(row.get(0)).unwrap()
}

#[tokio::test]
async fn an_erased_person_is_in_none_of_stripes_stored_events() {
    let fixture = PersonFixture::new().await;
    let (ada, bob, namesake) =
        (format!("cus_{}", fixture.ada), format!("cus_{}", fixture.bob), format!("cus_{}", fixture.namesake));
    let contact = json!({"email": "Ada@ACME.test", "name": "A. L.", "phone": "1", "address": {"city": "B"}});
    let of = |customer: &Value| json!({"id": "ch_1", "customer": customer, "amount": 9900, "billing_details": contact});
    // Hers, with and without the address; as an expanded object; failed; and a dispute, which names only the charge.
    event(&fixture, "evt_1", "applied", of(&json!(ada))).await;
    event(&fixture, "evt_2", "failed", of(&json!({"id": ada, "email": "old@acme.test", "name": "A. L."}))).await;
    event(&fixture, "evt_3", "applied", json!({"customer": ada, "shipping": {"name": "A. L."}})).await;
    fixture
        .ops
        .world
        .sql(&format!(
            "insert into subscriptions (id, tenant_id, customer_id, facts) values ('sub_ada', '{0}', '{ada}', '{{}}');
             insert into stripe_references (reference, tenant_id, subscription_id) values ('ch_ada', '{0}', 'sub_ada')",
            fixture.tenant
        ))
        .await;
    let evidence = json!({"customer_email_address": "ada@acme.test", "customer_name": "A. L."});
    event(&fixture, "evt_4", "applied", json!({"id": "du_1", "charge": "ch_ada", "evidence": evidence})).await;
    // Another customer of the tenant, whose bill went to her too.
    event(
        &fixture,
        "evt_5",
        "applied",
        json!({"customer": bob, "customer_details": contact, "shipping": {"name": "Bob"}}),
    )
    .await;
    // Her namesake's in another tenant, one that may still become a purchase, and one that does not mention her.
    event(&fixture, "evt_6", "applied", of(&json!(namesake))).await;
    event(&fixture, "evt_7", "waiting", of(&json!("cus_unknown"))).await;
    event(&fixture, "evt_8", "applied", json!({"customer": bob, "name": "Bob"})).await;
    let before = [stored(&fixture, "evt_6").await, stored(&fixture, "evt_7").await, stored(&fixture, "evt_8").await];

    let erased = fixture.ops.json(&person_args("erase", "ada@acme.test", &["--now"])).await;
    assert_eq!(erased["erased"]["stripe_events"], 5, "{erased}");
    for id in ["evt_1", "evt_2", "evt_3", "evt_4", "evt_5"] {
        let body = stored(&fixture, id).await;
        let text = body.to_string().to_lowercase();
        for trace in ["acme.test", "a. l.", "\"city\""] {
            assert!(!text.contains(trace), "{trace} in {text}");
        }
        assert_eq!((&body["id"], &body["created"]), (&json!(id), &json!(1)));
    }
    assert_eq!(stored(&fixture, "evt_1").await["data"]["object"]["amount"], 9900);
    assert_eq!(stored(&fixture, "evt_5").await["data"]["object"]["shipping"]["name"], "Bob");
    let after = [stored(&fixture, "evt_6").await, stored(&fixture, "evt_7").await, stored(&fixture, "evt_8").await];
    assert_eq!(before, after);
    assert_eq!(fixture.count("stripe_customers where email = 'ada@acme.test'").await, 1, "her namesake's");
    assert_eq!(
        fixture.count(&format!("stripe_customers where id = '{ada}' and email is null and name is null")).await,
        1
    );
}

#[tokio::test]
async fn a_sweep_takes_the_person_out_of_events_that_were_done_with_long_ago() {
    let fixture = PersonFixture::new().await;
    let contact =
        json!({"customer": format!("cus_{}", fixture.bob), "amount": 9900, "customer_details": {"name": "Bob"}});
    let unknown = json!({"customer": "cus_unknown", "customer_details": {"name": "Bob"}});
    for (id, state, object) in [
        ("evt_old", "applied", &contact),
        ("evt_ignored", "ignored", &unknown),
        // Events that wait for another look, were done with a moment ago, or had no known effect stay as they came.
        ("evt_failed", "failed", &contact),
        ("evt_waiting", "waiting", &contact),
        ("evt_recheck", "applied", &contact),
        ("evt_young", "applied", &contact),
        ("evt_unknown", "applied", &unknown),
    ] {
        event(&fixture, id, state, object.clone()).await;
    }
    let ages = "update stripe_events set received_at = now() - interval '31 days' where id <> 'evt_young';
        update stripe_events set recheck = 'sub_1' where id = 'evt_recheck'";
    fixture.ops.world.sql(ages).await;
    fixture.ops.plain(&["sweep"]).await;
    for id in ["evt_old", "evt_ignored"] {
        assert!(!stored(&fixture, id).await.to_string().contains("Bob"), "{id}");
    }
    assert_eq!(stored(&fixture, "evt_old").await["data"]["object"]["amount"], 9900);
    for id in ["evt_failed", "evt_waiting", "evt_recheck", "evt_young", "evt_unknown"] {
        assert!(stored(&fixture, id).await.to_string().contains("Bob"), "{id}");
    }
    assert_eq!(fixture.count("stripe_events where redacted_at is not null").await, 2);
}
