//! Tests of `ops license`: issuing, showing and changing.

use common::license_key::KeyHasher;
use protocol::key::LicenseKey;
use seats::{AcquireOutcome, ExtendOutcome};
use serde_json::{Value, json};

use crate::clients::Clients;
use crate::ops_cli::OpsCli;

/// Fields that programs can rely on in every license.
const FIELDS: [&str; 11] = [
    "license_id",
    "tenant_id",
    "plan",
    "tier",
    "seats",
    "state",
    "past_due",
    "expires_at",
    "key_hint",
    "created_at",
    "key_hashed_at",
];

fn inactive(state: &str) -> ExtendOutcome {
    ExtendOutcome::Inactive(state.to_owned())
}

#[tokio::test]
async fn a_key_is_shown_once_and_kept_nowhere() {
    let ops = OpsCli::new().await;
    let tenant = ops.tenant("acme").await;
    let ask = ["license", "issue", "--tenant", "acme", "--plan", "TEAM"];
    let made = ops.json(&ask).await;
    let text = made["license_key"].as_str().unwrap();
    let key: LicenseKey = text.parse().unwrap();
    assert_eq!((&made["seats"], &made["tier"], &made["expires_at"]), (&json!(5), &json!("TEAM"), &json!(null)));
    assert_eq!(made["tenant_id"], json!(tenant));
    assert!(text.starts_with("CODITECT-TEAM-"), "{text}");

    let branded = [&ask[..], &["--brand", "csfw", "--seats", "7", "--expires", "2999-01-31T00:00:00Z"]].concat();
    let plain = ops.plain(&branded).await;
    let other = plain.out.lines().find_map(|l| l.strip_prefix("license_key ")).unwrap().trim().to_owned();
    assert!(other.starts_with("CSFW-TEAM-") && plain.err.is_empty(), "{plain:?}");
    assert!(plain.out.contains("2999-01-31T00:00:00Z"), "{plain:?}");

    // Its hash is there, so that the key is known, and so is no part of it but the hint.
    let hash = KeyHasher::from_setup(&mut ops.world.setup("postgres")).unwrap().hash(&key);
    let client = ops.world.db.connect("postgres").await;
    let hint: String = client
        .query_one("select key_hint from licenses where key_hash = $1", &[&hash.as_slice()])
        .await
        .unwrap()
        .get(0);
    let dump = std::process::Command::new("pg_dump").arg(ops.world.db.url("postgres")).output().unwrap();
    assert!(dump.status.success(), "{dump:?}");
    let dump = String::from_utf8(dump.stdout).unwrap().to_uppercase();
    assert!(dump.contains(&made["license_id"].as_str().unwrap().to_uppercase()), "the dump has the tenant's rows");
    let show = ["license", "show", made["license_id"].as_str().unwrap()];
    let shown = [
        dump.replace(&hint.to_uppercase(), ""),
        ops.plain(&show).await.out,
        ops.plain(&["license", "list"]).await.out,
        ops.json(&show).await.to_string(),
        ops.world.redis.command(&["KEYS", "*"]).await,
    ];
    for key in [text, &other] {
        let body = key.split('-').nth(2).unwrap();
        for secret in [key.to_owned(), body.to_owned(), body[6..].to_owned(), hex(key), hex(body)] {
            assert!(!shown.iter().any(|place| place.contains(&secret)), "{secret} is kept or shown");
        }
    }
    assert_eq!(ops.actions().await, ["tenant.created", "license.issued", "license.issued"]);
    assert_eq!(ops.audit().await[1].3, json!({"plan": "TEAM", "seats": 5, "expires_at": null}));
}

/// As a dump writes bytes.
fn hex(text: &str) -> String {
    text.bytes().map(|b| format!("{b:02X}")).collect()
}

#[tokio::test]
async fn what_cannot_be_issued_is_refused() {
    let ops = OpsCli::new().await;
    ops.tenant("acme").await;
    for (args, part) in [
        (&["--tenant", "nobody", "--plan", "TEAM"][..], "ops tenant list"),
        (&["--tenant", "acme", "--plan", "team"], "ops plan list"),
        (&["--tenant", "acme", "--plan", "TEAM", "--seats", "0"], "1 to 1,000,000 seats"),
        (&["--tenant", "acme", "--plan", "TEAM", "--seats", "4294967295"], "1 to 1,000,000 seats"),
        (&["--tenant", "acme", "--plan", "TEAM", "--expires", "2020-01-01T00:00:00Z"], "has passed"),
    ] {
        let sentence = ops.refused(&[&["license", "issue"], args].concat()).await;
        assert!(sentence.contains(part), "{sentence}");
    }
    assert!(ops.list(&["license", "list"]).await.is_empty());
    assert_eq!(ops.actions().await, ["tenant.created"]);
}

#[tokio::test]
async fn licenses_are_listed_by_tenant_and_shown_with_their_refusals_by_day() {
    let ops = OpsCli::new().await;
    let license = ops.license().await;
    ops.tenant("zenith").await;
    ops.plain(&["license", "issue", "--tenant", "zenith", "--plan", "ENT"]).await;
    ops.plain(&["license", "issue", "--tenant", "zenith", "--plan", "PRO"]).await;
    assert_eq!(ops.list(&["license", "list"]).await.len(), 3);
    let of_zenith = ops.list(&["license", "list", "--tenant", "zenith"]).await;
    assert_eq!(of_zenith.iter().map(|l| &l["tier"]).collect::<Vec<_>>(), [&json!("ENTERPRISE"), &json!("PRO")]);
    assert_eq!(ops.plain(&["license", "list", "--tenant", "zenith"]).await.out.lines().count(), 3);

    let counts = format!(
        "insert into license_daily_counts (tenant_id, license_id, day, kind, count)
         select tenant_id, id, day::date, kind, count from licenses,
            (values ('2026-11-19', 'seat_refused', 7), ('2026-11-20', 'seat_refused', 2), ('2026-11-20', 'device_refused', 3),
                    ('2026-11-20', 'validated', 99)) v (day, kind, count) where id = '{license}'"
    );
    ops.world.sql(&counts).await;
    let id = license.to_string();
    let shown = ops.json(&["license", "show", &id]).await;
    assert!(FIELDS.iter().all(|field| shown.get(field).is_some()), "{shown}");
    assert_eq!(
        (&shown["state"], &shown["past_due"], &shown["seats_in_use"]),
        (&json!("active"), &json!(false), &json!(0))
    );
    let days = json!([
        {"day": "2026-11-20", "seats_refused": 2, "devices_refused": 3},
        {"day": "2026-11-19", "seats_refused": 7, "devices_refused": 0},
    ]);
    assert_eq!(shown["refusals"], days);
    let plain = ops.plain(&["license", "show", &id]).await.out;
    assert!(plain.contains("2026-11-20") && plain.lines().any(|l| l == "seats          5"), "{plain}");
    assert!(
        ops.refused(&["license", "show", "01890a5d-ac96-774b-bcce-b302099a8057"]).await.contains("ops license list")
    );
    let clients = Clients::of(&ops, license).await;
    clients.seat("ann").await;
    assert_eq!(ops.json(&["license", "show", &id]).await["seats_in_use"], json!(1));
}

#[tokio::test]
async fn what_does_not_pay_or_has_expired_says_so() {
    let ops = OpsCli::new().await;
    let license = ops.license().await;
    for (change, state, past_due) in [
        ("standing = 'past_due'", "active", true),
        ("standing = 'inactive'", "suspended", false),
        ("standing = 'good', expires_at = now() - interval '1 second'", "expired", false),
    ] {
        ops.world.sql(&format!("update licenses set {change}")).await;
        let shown = ops.json(&["license", "show", &license.to_string()]).await;
        assert_eq!((&shown["state"], &shown["past_due"]), (&json!(state), &json!(past_due)), "{change}");
    }
}

#[tokio::test]
async fn suspending_ends_sessions_and_resuming_lets_in_again() {
    let ops = OpsCli::new().await;
    let license = ops.license().await;
    let clients = Clients::of(&ops, license).await;
    let (ann, id) = (clients.seat("ann").await, license.to_string());
    let suspended = ops.json(&["license", "suspend", &id]).await;
    assert!(FIELDS.iter().all(|field| suspended.get(field).is_some()), "{suspended}");
    assert_eq!(suspended["state"], "suspended");
    assert_eq!(clients.heartbeat(ann).await, inactive("suspended"));
    assert_eq!(clients.ended(ann).await.as_deref(), Some("suspended"));
    assert_eq!(clients.acquire("bob").await, AcquireOutcome::Inactive("suspended".to_owned()));
    assert!(ops.list(&["seat", "list", &id]).await.is_empty());

    let resumed = ops.plain(&["license", "resume", &id]).await;
    assert!(resumed.out.contains("state          active") && resumed.err.is_empty(), "{resumed:?}");
    assert!(!clients.is_live(ann).await, "a session that was ended stays ended");
    let again = clients.seat("ann").await;
    assert!(again != ann && clients.is_live(again).await);

    let entries = ops.audit().await;
    assert_eq!(ops.actions().await[2..], ["license.suspended", "license.resumed"]);
    assert_eq!((entries[2].2, &entries[2].3), (Some(license), &json!({"seats": 5, "state": "suspended"})));
}

#[tokio::test]
async fn a_revoked_license_stays_revoked() {
    let ops = OpsCli::new().await;
    let license = ops.license().await;
    let clients = Clients::of(&ops, license).await;
    let (ann, id) = (clients.seat("ann").await, license.to_string());
    assert_eq!(ops.json(&["license", "revoke", &id]).await["state"], "revoked");
    assert_eq!(clients.heartbeat(ann).await, inactive("revoked"));
    assert_eq!(clients.ended(ann).await.as_deref(), Some("revoked"));
    for args in
        [&["license", "resume", &id][..], &["license", "suspend", &id], &["license", "set-seats", &id, "--seats", "9"]]
    {
        let sentence = ops.refused(args).await;
        assert!(sentence.contains("revoked") && sentence.contains("Issue another"), "{sentence}");
    }
    ops.plain(&["license", "revoke", &id]).await;
    let shown = ops.json(&["license", "show", &id]).await;
    assert_eq!((&shown["state"], &shown["seats"]), (&json!("revoked"), &json!(5)));
    // A refused command leaves no entry.
    assert_eq!(ops.actions().await[2..], ["license.revoked", "license.revoked"]);
}

#[tokio::test]
async fn fewer_seats_throw_nobody_out_and_more_let_in_at_once() {
    let ops = OpsCli::new().await;
    let license = ops.license().await;
    let clients = Clients::of(&ops, license).await;
    let (ann, bob, id) = (clients.seat("ann").await, clients.seat("bob").await, license.to_string());
    assert_eq!(set_seats(&ops, &id, 1).await["seats"], 1);
    assert!(clients.is_live(ann).await && clients.is_live(bob).await);
    assert!(clients.is_full("carol").await);
    set_seats(&ops, &id, 3).await;
    clients.seat("carol").await;
    assert!(clients.is_full("dan").await);
    set_seats(&ops, &id, 0).await;
    assert!(clients.is_live(ann).await && clients.is_full("dan").await);
    assert!(ops.refused(&["license", "set-seats", &id, "--seats", "1000001"]).await.contains("1,000,000"));
    assert_eq!(ops.actions().await[2..], ["license.seats_changed"; 3]);
    assert_eq!(ops.audit().await[2].3, json!({"seats": 1, "state": "active"}));
}

async fn set_seats(ops: &OpsCli, id: &str, seats: u32) -> Value {
    ops.json(&["license", "set-seats", id, "--seats", &seats.to_string()]).await
}

#[tokio::test]
async fn no_such_license_is_refused_by_every_verb() {
    let ops = OpsCli::new().await;
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    for args in [
        &["license", "suspend", id][..],
        &["license", "resume", id],
        &["license", "revoke", id],
        &["license", "set-seats", id, "--seats", "1"],
        &["seat", "list", id],
        &["device", "list", id],
        &["device", "remove", id, &"a".repeat(64)],
    ] {
        let sentence = ops.refused(args).await;
        assert!(sentence.contains(id) && sentence.contains("ops license list"), "{sentence}");
    }
}
