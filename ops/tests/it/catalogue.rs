//! Tests of `ops plan`, `ops keys` and `ops sweep`.

use std::io::Write as _;

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::ops_cli::OpsCli;

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn plan(code: &str, seats: u32, price: &str) -> Value {
    json!({"code": code, "tier": "TEAM", "name": "A plan", "included_seats": seats, "devices_per_user": 5,
        "features": ["cloud_sync", "hooks"], "quotas": {"commands_per_day": -1},
        "prices": [{"price_id": price, "kind": "base", "seats": 1}]})
}

async fn import(ops: &OpsCli, text: &str) -> String {
    let file = file(text);
    ops.plain(&["plan", "import", &file.path().display().to_string()]).await.err
}

#[tokio::test]
async fn plans_are_listed_added_and_replaced() {
    let ops = OpsCli::new().await;
    let before = ops.list(&["plan", "list"]).await;
    let team = before.iter().find(|p| p["plan"] == "TEAM").unwrap();
    assert_eq!((&team["included_seats"], &team["prices"]), (&json!(5), &json!("price_team price_team_seat")));
    let catalogue = json!({"plans": [plan("TEAM", 6, "price_new"), plan("TEAM_EU", 3, "price_eu")]});
    assert_eq!(
        import(&ops, &catalogue.to_string()).await,
        "2 plans imported. No longer sold, because the file does not have them: price_team, price_team_seat. \
         Subscriptions that have them keep their plan.\n"
    );
    assert_eq!(import(&ops, &catalogue.to_string()).await, "2 plans imported.\n");
    let after = ops.list(&["plan", "list"]).await;
    assert_eq!(after.len(), before.len() + 1);
    let of = |code: &str| after.iter().find(|p| p["plan"] == code).unwrap();
    assert_eq!(of("TEAM")["included_seats"], 6);
    assert_eq!(
        (&of("TEAM")["prices"], &of("TEAM")["unsold_prices"]),
        (&json!("price_new"), &json!("price_team price_team_seat")),
        "the former prices are understood, not sold"
    );
    assert_eq!(
        (&of("TEAM_EU")["features"], &of("TEAM_EU")["prices"]),
        (&json!("cloud_sync hooks"), &json!("price_eu"))
    );
    assert_eq!(of("TEAM_EU")["quotas"], json!({"commands_per_day": -1}));
    ops.tenant("acme").await;
    let issued = ops.json(&["license", "issue", "--tenant", "acme", "--plan", "TEAM_EU"]).await;
    assert_eq!(issued["seats"], 3);
    assert!(ops.plain(&["plan", "list"]).await.out.contains("TEAM_EU"));
}

#[tokio::test]
async fn an_import_says_which_price_of_each_kind_is_sold() {
    let ops = OpsCli::new().await;
    let price = |id: &str, kind: &str, sold: Option<bool>| {
        let mut price = json!({"price_id": id, "kind": kind, "seats": 1});
        sold.into_iter().for_each(|sold| price["sold"] = sold.into());
        price
    };
    let cases = [
        // The first of each kind is sold, wherever it is in the alphabet.
        (
            vec![price("z_new", "base", None), price("a_old", "base", None), price("s", "seat", None)],
            "z_new s",
            "a_old",
        ),
        // An import in the reverse order exchanges the two.
        (
            vec![price("a_old", "base", None), price("z_new", "base", None), price("s", "seat", None)],
            "a_old s",
            "z_new",
        ),
        (vec![price("a_old", "base", None), price("z_new", "base", Some(true))], "z_new", "a_old s"),
        (vec![price("a_old", "base", Some(false)), price("z_new", "base", None)], "z_new", "a_old s"),
        (vec![price("a_old", "base", Some(false))], "", "a_old z_new s"),
        (vec![], "", "a_old z_new s"),
        (vec![price("b_newest", "base", None), price("s", "seat", None)], "b_newest s", "a_old z_new"),
    ];
    for (prices, sold, unsold) in cases {
        let mut plan = plan("TEAM_EU", 3, "none");
        plan["prices"] = json!(prices);
        import(&ops, &json!({"plans": [plan]}).to_string()).await;
        let plans = ops.list(&["plan", "list"]).await;
        let plan = plans.iter().find(|p| p["plan"] == "TEAM_EU").unwrap();
        assert_eq!((&plan["prices"], &plan["unsold_prices"]), (&json!(sold), &json!(unsold)), "{prices:?}");
    }
    // A price that moves to another plan is sold there, and leaves this one as it is.
    let mut other = plan("TEAM_US", 3, "b_newest");
    other["prices"] = json!([price("b_newest", "base", None), price("support", "other", None)]);
    other["prices"][1].as_object_mut().unwrap().remove("seats");
    let mut this = plan("TEAM_EU", 3, "none");
    this["prices"] = json!([price("s", "seat", None)]);
    import(&ops, &json!({"plans": [this, other.clone()]}).to_string()).await;
    let plans = ops.list(&["plan", "list"]).await;
    let of = |code: &str| plans.iter().find(|p| p["plan"] == code).unwrap();
    assert_eq!((&of("TEAM_EU")["prices"], &of("TEAM_US")["prices"]), (&json!("s"), &json!("b_newest")));
    assert_eq!(of("TEAM_US")["unsold_prices"], "support");
    // One without seats may be listed under any plan.
    (other["code"], other["prices"]) = (json!("TEAM_AU"), json!([other["prices"][1]]));
    import(&ops, &json!({"plans": [other]}).to_string()).await;
}

#[tokio::test]
async fn a_catalogue_with_a_mistake_changes_nothing() {
    let ops = OpsCli::new().await;
    import(&ops, &json!({"plans": [plan("HOLDER", 1, "price_held")]}).to_string()).await;
    let before = ops.list(&["plan", "list"]).await;
    let good = plan("GOOD", 1, "price_good");
    let but = |field: &str, value: Value| {
        let mut plan = plan("OTHER", 1, "price_other");
        plan[field] = value;
        plan
    };
    for (second, part) in [
        (but("code", json!("lower")), "capital letters"),
        (but("code", json!("")), "capital letters"),
        (but("included_seats", json!(0)), "included_seats"),
        (but("included_seats", json!(3_000_000_000_u32)), "included_seats"),
        (but("devices_per_user", json!(-2)), "devices_per_user"),
        (but("quotas", json!({"context_history_days": -2})), "context_history_days is at least -1"),
        (but("tier", json!("GOLD")), "not a catalogue"),
        (but("features", json!(["teleport"])), "not a catalogue"),
        (but("surprise", json!(1)), "surprise"),
        (but("prices", json!([{"price_id": "", "kind": "base", "seats": 1}])), "needs an id"),
        (but("prices", json!([{"price_id": "p", "kind": "base", "seats": 3_000_000_000_u32}])), "seats"),
        (but("prices", json!([{"price_id": "p", "kind": "base"}])), "1 to 1,000,000 seats"),
        (but("prices", json!([{"price_id": "p q", "kind": "base", "seats": 1}])), "needs an id"),
        (but("prices", json!([{"price_id": "p", "kind": "addon"}])), "not a catalogue"),
        (but("prices", json!([{"price_id": "p", "kind": "other", "seats": 1}])), "which has no seats"),
        (but("prices", json!([{"price_id": "p", "kind": "other", "sold": true}])), "not sold here"),
        (
            but(
                "prices",
                json!([{"price_id": "p", "kind": "base", "seats": 1, "sold": true},
                {"price_id": "q", "kind": "base", "seats": 1, "sold": true}]),
            ),
            "two prices of one kind",
        ),
        (plan("GOOD", 2, "price_other"), "GOOD is there twice"),
        (plan("OTHER", 2, "price_good"), "price_good is there twice"),
        (plan("OTHER", 2, "price_held"), "price_held belongs to the plan HOLDER, which is not in the file"),
    ] {
        let file = file(&json!({"plans": [good, second]}).to_string());
        let path = file.path().display().to_string();
        let sentence = ops.refused(&["plan", "import", &path]).await;
        assert!(sentence.contains(part) && sentence.starts_with(&path), "{sentence}");
    }
    for text in ["", "[]", "{\"plans\": 1}", "\u{0}"] {
        let file = file(text);
        let sentence = ops.refused(&["plan", "import", &file.path().display().to_string()]).await;
        assert!(sentence.contains("not a catalogue"), "{sentence}");
    }
    assert!(ops.refused(&["plan", "import", "/nowhere/plans.json"]).await.contains("/nowhere/plans.json"));
    assert_eq!(ops.list(&["plan", "list"]).await, before);
}

#[tokio::test]
async fn keys_are_retired_once_and_never_the_last_one() {
    let ops = OpsCli::new().await;
    assert!(ops.list(&["keys", "list"]).await.is_empty());
    // A thumbprint may begin with a hyphen, and even look like an option.
    ops.world
        .sql("insert into signing_keys (kid, public_key_pem, created_at) values ('-hold', 'pem', now() - interval '1 day'), ('new', 'pem', now())")
        .await;
    assert!(ops.plain(&["keys", "retire", "-hold"]).await.err.contains("-hold is retired"));
    let keys = ops.list(&["keys", "list"]).await;
    assert_eq!((&keys[0]["kid"], &keys[1]["kid"]), (&json!("-hold"), &json!("new")));
    assert!(keys[0]["retired_at"].as_str().unwrap().ends_with('Z') && keys[1]["retired_at"].is_null(), "{keys:?}");
    for kid in ["-hold", "new", "none"] {
        assert!(ops.refused(&["keys", "retire", kid]).await.contains("ops keys list"));
    }
    assert!(ops.plain(&["keys", "list"]).await.out.contains("new"));
}

#[tokio::test]
async fn two_who_retire_the_last_two_keys_leave_one() {
    let ops = OpsCli::new().await;
    ops.world.sql("insert into signing_keys (kid, public_key_pem) values ('a', 'pem'), ('b', 'pem')").await;
    let both = tokio::join!(ops.run(&["keys", "retire", "a"]), ops.run(&["keys", "retire", "b"]));
    assert_eq!(both.0.status + both.1.status, 1, "{both:?}");
    assert_eq!(ops.world.number("select count(*) from signing_keys where retired_at is null").await, 1);
}

#[tokio::test]
async fn a_sweep_deletes_what_is_a_day_old_of_every_tenant() {
    let ops = OpsCli::new().await;
    assert_eq!(ops.plain(&["sweep"]).await.err, "Swept 0 tenants.\n");
    for tenant in ["acme", "zenith"] {
        let id = ops.tenant(tenant).await;
        // More than one statement may delete.
        let sql = format!(
            "insert into idempotency_keys (tenant_id, operation, caller, key, body_hash, created_at)
             select '{id}', 'acquire', '{id}', case n when 0 then 'young' else n::text end, '',
                    now() - interval '24 hours' + case n when 0 then interval '1 hour' else interval '-1 second' end
             from generate_series(0, 5001) n"
        );
        ops.world.sql(&sql).await;
    }
    assert_eq!(ops.json(&["sweep"]).await["message"], "Swept 2 tenants.");
    assert_eq!(ops.world.number("select count(*) from idempotency_keys").await, 2);
    assert_eq!(ops.world.number("select count(*) from idempotency_keys where key = 'young'").await, 2);
    ops.plain(&["sweep"]).await;
}
