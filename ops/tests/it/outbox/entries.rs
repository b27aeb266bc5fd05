//! Tests of the commands that show the outbox, and Stripe's customers.

use serde_json::{Value, json};

use super::Outbox;
use crate::sink::Sink;

#[tokio::test]
async fn entries_are_listed_by_state_and_tenant_with_their_age() {
    let outbox = Outbox::new().await;
    outbox.ops.world.tenant("zenith").await;
    let pending = outbox.key_mail("ann@example.com").await;
    let dead = outbox.key_mail("\u{1b}[31mnobody").await;
    let seats = outbox.seats_changed().await;
    let sql = format!(
        "update outbox set next_attempt_at = now() + interval '1 hour', created_at = now() - interval '90 seconds' where id = '{pending}'"
    );
    outbox.ops.world.sql(&sql).await;
    outbox.fails().await;
    let ids = |rows: &[Value]| rows.iter().map(|r| r["id"].clone()).collect::<Vec<_>>();
    let all = outbox.ops.list(&["outbox", "list"]).await;
    assert_eq!(ids(&all), [json!(pending), json!(dead), json!(seats)]);
    assert_eq!(ids(&outbox.ops.list(&["outbox", "list", "--dead"]).await), [json!(dead)]);
    assert_eq!(ids(&outbox.ops.list(&["outbox", "list", "--pending"]).await), [json!(pending)]);
    assert_eq!(outbox.ops.list(&["outbox", "list", "--tenant", "acme"]).await.len(), 3);
    assert!(outbox.ops.list(&["outbox", "list", "--tenant", "zenith"]).await.is_empty());

    let first = &all[0];
    assert!((90..150).contains(&first["age_seconds"].as_i64().unwrap()), "{first}");
    assert_eq!(
        (&first["kind"], &first["about"], &first["to"]),
        (&json!("mail"), &json!("license_key"), &json!("ann@example.com"))
    );
    assert_eq!(
        (&first["state"], &first["attempts"], &first["last_error"]),
        (&json!("pending"), &json!(0), &json!(null))
    );
    assert_eq!((&first["tenant_id"], &first["license_id"]), (&json!(outbox.tenant), &json!(outbox.license)));
    assert!(first["created_at"].is_string() && first["next_attempt_at"].is_string());
    assert!(all[1]["last_error"].as_str().unwrap().contains("is not an e-mail address"), "{}", all[1]);
    assert!(all[1]["age_seconds"].is_null() && all[1]["next_attempt_at"].is_null());
    assert_eq!(
        (&all[2]["state"], &all[2]["kind"], &all[2]["to"]),
        (&json!("delivered"), &json!("seats"), &json!(null))
    );
    assert!(all.iter().all(|row| row.get("secret").is_none()));
    let table = outbox.ops.plain(&["outbox", "list"]).await.out;
    assert!(table.lines().count() == 4 && !table.contains('\u{1b}'), "{table}");
}

#[tokio::test]
async fn each_round_tells_what_still_waits_and_what_was_given_up() {
    let mut outbox = Outbox::new().await;
    let pending = outbox.key_mail("ann@example.com").await;
    outbox.key_mail("nobody").await;
    outbox.seats_changed().await;
    let sql = format!(
        "update outbox set next_attempt_at = now() + interval '1 hour', created_at = now() - interval '90 seconds' where id = '{pending}'"
    );
    outbox.ops.world.sql(&sql).await;
    outbox.ops.set("LOG_FORMAT", Some("json"));
    let told = outbox.ops.run(&["outbox", "deliver"]).await;
    let mut lines = told.err.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let level = lines.find(|line| line["fact"] == "outbox_level").unwrap_or_else(|| panic!("{told:?}"));
    assert_eq!((&level["waiting"], &level["dead"]), (&json!(1), &json!(1)), "{level}");
    assert!((90..150).contains(&level["oldest_seconds"].as_u64().unwrap()), "{level}");
}

#[tokio::test]
async fn a_retry_is_in_the_audit_log_and_nothing_delivered_is_sent_again() {
    let sink = Sink::start();
    let outbox = Outbox::with(&sink).await;
    let id = outbox.key_mail("ann@example.com").await;
    outbox
        .ops
        .world
        .sql("update outbox set attempts = 7, next_attempt_at = now() + interval '5 hours', last_error = 'Down.'")
        .await;
    let said = outbox.ops.plain(&["outbox", "retry", &id.to_string()]).await;
    assert!(said.err.contains("is due now"), "{said:?}");
    let entry = outbox.entry(id).await;
    assert_eq!((entry.attempts, entry.state.as_str()), (0, "pending"));
    assert!(entry.seconds <= 0, "{entry:?}");
    let audit = outbox.ops.audit().await;
    let (actor, action, license, detail) = &audit[0];
    assert_eq!((actor.as_str(), action.as_str(), *license), ("operator:alice", "outbox.retried", Some(outbox.license)));
    assert_eq!(*detail, json!({"outbox_id": id, "last_error": "Down."}));

    outbox.delivers().await;
    let sentence = outbox.ops.refused(&["outbox", "retry", &id.to_string()]).await;
    assert!(sentence.contains("was delivered"), "{sentence}");
    let nothing = uuid::Uuid::now_v7().to_string();
    assert!(outbox.ops.refused(&["outbox", "retry", &nothing]).await.contains("ops outbox list"));
    assert_eq!(outbox.ops.audit().await.len(), 1);
    outbox.delivers().await;
    sink.mail();
}

#[tokio::test]
async fn licenses_are_found_by_stripes_customer_in_either_mode() {
    let outbox = Outbox::new().await;
    let other = outbox.ops.world.license(outbox.tenant, "PRO", 1).await.id;
    let (tenant, license) = (outbox.tenant, outbox.license);
    let sql = format!(
        "insert into stripe_customers (id, tenant_id, livemode) values ('cus_live', '{tenant}', true), ('cus_test', '{tenant}', false);
         insert into subscriptions (id, tenant_id, customer_id, license_id, facts)
         values ('sub_1', '{tenant}', 'cus_live', '{license}', '{{}}'), ('sub_2', '{tenant}', 'cus_test', '{other}', '{{}}')"
    );
    outbox.ops.world.sql(&sql).await;
    for (customer, license) in [("cus_live", license), ("cus_test", other)] {
        let found = outbox.ops.list(&["license", "list", "--customer", customer]).await;
        assert_eq!(found.iter().map(|l| &l["license_id"]).collect::<Vec<_>>(), [&json!(license)]);
    }
    for customer in ["cus_none", "sub_1", "'"] {
        let sentence = outbox.ops.refused(&["license", "list", "--customer", customer]).await;
        assert!(sentence.contains(customer), "{sentence}");
    }
    assert_eq!(outbox.ops.list(&["license", "list"]).await.len(), 2);
}

#[tokio::test]
async fn delivery_names_all_that_it_lacks() {
    let mut outbox = Outbox::new().await;
    for name in ["DATABASE_URL", "REDIS_URL", "LICENSE_KEY_PEPPER"] {
        outbox.ops.set(name, None);
    }
    outbox.ops.set("SMTP_URL", Some("smtp://ann:owner-Pa55word@mail.example.com"));
    outbox.ops.set("MAIL_FROM", Some("nobody"));
    let sentences = outbox.ops.failed(&["outbox", "deliver"], 64).await;
    for name in ["DATABASE_URL", "REDIS_URL", "LICENSE_KEY_PEPPER", "SMTP_URL", "MAIL_FROM"] {
        assert!(sentences.lines().any(|l| l.starts_with(&format!("{name}: "))), "{name}: {sentences}");
    }
}
