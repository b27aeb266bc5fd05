//! `ops context`: what tenants sync.

use serde_json::{Value, json};

use crate::ops_cli::OpsCli;

/// A tenant `acme` with a record of two versions and one that lost, by a user.
async fn ops() -> OpsCli {
    let ops = OpsCli::new().await;
    let tenant = ops.tenant("acme").await;
    ops.tenant("elsewhere").await;
    let user = ops.world.user(tenant, "ada@acme.test", None).await;
    let times = "'2026-11-01T10:00:00Z', '2026-11-01T10:00:05Z'";
    ops.world
        .sql(&format!(
            "insert into context_records (tenant_id, seq, version, updated_at, written_at, kind, deleted, id, device_id, user_id, content_hash, content)
                 values ('{tenant}', 2, 2, {times}, 3, false, 'd1', 'laptop', '{user}', '\\x02', '{{\"text\":\"two\"}}');
             insert into context_history (tenant_id, seq, version, updated_at, written_at, replaced_at, kind, deleted, id, device_id, content_hash, content)
                 values ('{tenant}', 1, 1, {times}, '2026-11-01T10:00:05Z', 3, false, 'd1', 'desktop', '\\x01', '{{\"text\":\"one\"}}'),
                        ('{tenant}', 3, null, {times}, null, 3, true, 'd1', 'evil\u{1b}[2J', '\\x03', null);
             insert into context_totals (tenant_id, kind, records, deleted, bytes) values ('{tenant}', 3, 1, 0, 14), ('{tenant}', 2, 4, 2, 100);
             insert into context_devices (tenant_id, device_id) values ('{tenant}', 'laptop');
             update context_heads set seq = 3, key_id = '0123456789abcdef' where tenant_id = '{tenant}'"
        ))
        .await;
    ops
}

#[tokio::test]
async fn a_tenants_context_is_counted() {
    let ops = ops().await;
    let status = ops.json(&["context", "status", "--tenant", "acme"]).await;
    let told = ["records", "deleted", "bytes", "encryption_key_id", "epoch", "changes"].map(|name| &status[name]);
    assert_eq!(json!(told), json!([5, 2, 114, "0123456789abcdef", 0, 3]));
    let kinds: Vec<&Value> = status["kinds"].as_array().unwrap().iter().map(|k| &k["kind"]).collect();
    assert_eq!(json!(kinds), json!(["task", "decision"]));
    assert_eq!(status["devices"][0]["device_id"], "laptop");
    assert!(ops.plain(&["context", "status", "--tenant", "acme"]).await.out.contains("0123456789abcdef"));
    let empty = ops.json(&["context", "status", "--tenant", "elsewhere"]).await;
    assert_eq!(
        (&empty["records"], &empty["kinds"], &empty["encryption_key_id"]),
        (&json!(0), &json!([]), &Value::Null)
    );
    assert!(ops.refused(&["context", "status", "--tenant", "nobody"]).await.contains("ops tenant list"));
}

#[tokio::test]
async fn an_auditor_sees_who_changed_what_when_and_where() {
    let ops = ops().await;
    let ask = ["context", "history", "--tenant", "acme", "--kind", "decision", "--id", "d1"];
    let entries = ops.list(&ask).await;
    let told: Vec<Value> = entries
        .iter()
        .map(|e| json!([e["outcome"], e["version"], e["user"], e["content"]["text"], e["deleted"]]))
        .collect();
    let expected = [
        json!(["lost", null, null, null, true]),
        json!(["current", 2, "ada@acme.test", "two", false]),
        json!(["replaced", 1, null, "one", false]),
    ];
    assert_eq!(told, expected);
    assert_eq!(
        (&entries[2]["device_id"], &entries[2]["replaced_at"]),
        (&json!("desktop"), &json!("2026-11-01T10:00:05Z"))
    );
    let plain = ops.plain(&ask).await.out;
    assert!(plain.contains("ada@acme.test") && !plain.contains("two") && !plain.contains('\u{1b}'), "{plain}");
    for other in [
        ["--tenant", "elsewhere", "--kind", "decision", "--id", "d1"],
        ["--tenant", "acme", "--kind", "task", "--id", "d1"],
    ] {
        let sentence = ops.refused(&[&["context", "history"], &other[..]].concat()).await;
        assert!(sentence.contains("ops context status"), "{sentence}");
    }
    let wrong = ops.run(&["context", "history", "--tenant", "acme", "--kind", "gossip", "--id", "x"]).await;
    assert_eq!(wrong.status, 64, "{wrong:?}");
    assert!(wrong.err.contains("decision"), "{wrong:?}");
}

#[tokio::test]
async fn a_raised_epoch_is_in_the_audit_log() {
    let ops = ops().await;
    let one = ["context", "epoch", "--tenant", "acme"];
    assert!(ops.plain(&one).await.err.contains("1 tenant start over"), "singular");
    assert!(ops.plain(&["context", "epoch", "--all"]).await.err.contains("2 tenants"));
    let epochs = "select sum(epoch * case when key_id is null then 10 else 1 end)::bigint from context_heads";
    assert_eq!(ops.world.number(epochs).await, 12);
    let raised: Vec<_> =
        ops.audit().await.into_iter().filter(|(_, action, ..)| action == "context.epoch_raised").collect();
    assert_eq!(raised.iter().map(|(.., detail)| detail["epoch"].as_i64().unwrap()).collect::<Vec<_>>().len(), 3);
    for wrong in [&["context", "epoch"][..], &["context", "epoch", "--all", "--tenant", "acme"]] {
        assert_eq!(ops.run(wrong).await.status, 64);
    }
    assert!(ops.refused(&["context", "epoch", "--tenant", "nobody"]).await.contains("ops tenant list"));
    ops.world.sql("delete from context_heads where key_id is null").await;
    let broken = ops.run(&["context", "epoch", "--all"]).await;
    assert!(broken.status == 2 && broken.err.contains("context_heads"), "{broken:?}");
    assert_eq!(ops.world.number("select epoch::bigint from context_heads").await, 3, "the others' all the same");
}

#[tokio::test]
async fn encryption_is_lifted_once() {
    let ops = ops().await;
    let off = ["context", "encryption", "off", "--tenant", "acme"];
    assert!(ops.plain(&off).await.err.contains("0123456789abcdef"));
    assert_eq!(ops.json(&["context", "status", "--tenant", "acme"]).await["encryption_key_id"], Value::Null);
    assert!(ops.refused(&off).await.contains("doesn't encrypt"));
    let audit = ops.audit().await;
    let (actor, action, _, detail) = audit.last().unwrap();
    assert_eq!(
        (actor.as_str(), action.as_str(), detail),
        ("operator:alice", "context.encryption_lifted", &json!({"key_id": "0123456789abcdef"}))
    );
}

#[tokio::test]
async fn a_new_tenant_has_a_stream_to_begin_with() {
    let ops = OpsCli::new().await;
    ops.tenant("acme").await;
    assert_eq!(
        ops.world
            .number("select count(*) from context_heads where seq = 0 and epoch = 0 and length(cursor_key) = 32")
            .await,
        1
    );
}
