//! `ops tenant` and `ops user`.

use serde_json::json;

use crate::ops_cli::OpsCli;

#[tokio::test]
async fn a_tenant_is_made_once_and_listed() {
    let ops = OpsCli::new().await;
    let made = ops.json(&["tenant", "create", "--name", "Acme Rockets, Ltd."]).await;
    assert_eq!((&made["name"], &made["slug"]), (&json!("Acme Rockets, Ltd."), &json!("acme-rockets-ltd")));
    let sentence = ops.refused(&["tenant", "create", "--name", "ACME rockets ltd"]).await;
    assert!(sentence.contains("acme-rockets-ltd is taken") && sentence.contains("--slug"), "{sentence}");
    let plain = ops.plain(&["tenant", "create", "--name", "Zenith", "--slug", "z-1"]).await;
    assert!(plain.out.contains("slug       z-1\n") && plain.err.is_empty(), "{plain:?}");

    let tenants = ops.list(&["tenant", "list"]).await;
    assert_eq!(tenants.len(), 2);
    assert_eq!((&tenants[0]["tenant_id"], &tenants[0]["name"]), (&made["tenant_id"], &made["name"]));
    assert!(tenants[0]["created_at"].as_str().unwrap().ends_with('Z'), "times are RFC 3339: {tenants:?}");
    let table = ops.plain(&["tenant", "list"]).await.out;
    assert_eq!(table.lines().count(), 3);
    assert!(table.contains("z-1") && table.contains("Acme Rockets, Ltd."), "{table}");

    let audit = ops.audit().await;
    assert_eq!(ops.actions().await, ["tenant.created", "tenant.created"]);
    assert_eq!(audit[0].3, json!({"slug": "acme-rockets-ltd"}));
}

#[tokio::test]
async fn a_name_without_a_slug_and_a_slug_that_is_none_are_refused() {
    let ops = OpsCli::new().await;
    let long = "x".repeat(64);
    for args in [
        &["--name", "???"][..],
        &["--name", ""],
        &["--name", "Acme", "--slug", "Acme Rockets"],
        &["--name", "Acme", "--slug=-acme"],
        &["--name", "Acme", "--slug", ""],
        &["--name", "Acme", "--slug", &long],
        &["--name", &"y".repeat(201), "--slug", "acme"],
    ] {
        let sentence = ops.refused(&[&["tenant", "create"], args].concat()).await;
        assert!(sentence.contains("--slug"), "{sentence}");
    }
    assert!(ops.list(&["tenant", "list"]).await.is_empty());
    assert!(ops.actions().await.is_empty());
}

#[tokio::test]
async fn a_name_does_not_steer_the_terminal() {
    let ops = OpsCli::new().await;
    ops.plain(&["tenant", "create", "--name", "Red\u{1b}[31m\nTwo", "--slug", "red"]).await;
    let table = ops.plain(&["tenant", "list"]).await.out;
    assert!(!table.contains('\u{1b}') && table.lines().count() == 2, "{table:?}");
    assert_eq!(ops.list(&["tenant", "list"]).await[0]["name"], "Red\u{1b}[31m\nTwo");
}

#[tokio::test]
async fn a_user_is_added_once_by_slug_or_id_and_listed() {
    let ops = OpsCli::new().await;
    let tenant = ops.tenant("acme").await.to_string();
    let made = ops.json(&["user", "add", "--tenant", "acme", "--email", " Ann@Example.com "]).await;
    assert_eq!((&made["email"], &made["role"]), (&json!("ann@example.com"), &json!("member")));
    assert_eq!(made["tenant_id"], json!(tenant));
    let identity = ["--role", "owner", "--issuer", "https://login.example.com", "--subject", "42"];
    ops.plain(&[&["user", "add", "--tenant", &tenant, "--email", "bob@example.com"][..], &identity].concat()).await;

    let again = ["user", "add", "--tenant", "acme", "--email", "ANN@example.com"];
    assert!(ops.refused(&again).await.contains("ann@example.com"));
    let other = ["user", "add", "--tenant", "acme", "--email", "carol@example.com"];
    assert!(ops.refused(&[&other[..], &identity].concat()).await.contains("that identity"));
    for email in ["nobody", "@", "a@", "@b", "a b@c", "", &format!("{}@example.com", "x".repeat(250))] {
        let sentence = ops.refused(&["user", "add", "--tenant", "acme", "--email", email]).await;
        assert!(sentence.contains("is not an e-mail address"), "{sentence}");
    }
    assert!(ops.refused(&["user", "list", "--tenant", "nobody"]).await.contains("ops tenant list"));

    let users = ops.list(&["user", "list", "--tenant", "acme"]).await;
    let told: Vec<_> = users.iter().map(|u| [&u["email"], &u["role"], &u["issuer"], &u["subject"]]).collect();
    assert_eq!(
        told,
        [
            [&json!("ann@example.com"), &json!("member"), &json!(null), &json!(null)],
            [&json!("bob@example.com"), &json!("owner"), &json!("https://login.example.com"), &json!("42")],
        ]
    );
    let table = ops.plain(&["user", "list", "--tenant", "acme"]).await.out;
    assert!(table.contains("ann@example.com") && table.lines().count() == 3, "{table}");

    assert_eq!(ops.actions().await, ["tenant.created", "user.added", "user.added"]);
    assert_eq!(ops.audit().await[1].3, json!({"user_id": made["user_id"], "role": "member"}));
}

#[tokio::test]
async fn adding_a_user_confirms_a_claim_and_an_identity_is_reset_by_command() {
    let ops = OpsCli::new().await;
    let tenant = ops.tenant("acme").await;
    let claimed = ops.world.user(tenant, "ann@example.com", None).await;
    ops.world.sql("update users set claimed_at = now(), role = 'owner'").await;
    assert!(ops.list(&["user", "list", "--tenant", "acme"]).await[0]["claimed_at"].is_string());

    let identity = ["--role", "admin", "--issuer", "https://login.example.com", "--subject", "42"];
    let add = [&["user", "add", "--tenant", "acme", "--email", "ann@example.com"][..], &identity].concat();
    assert_eq!(ops.json(&add).await["user_id"], json!(claimed), "one user per address");
    let user = &ops.list(&["user", "list", "--tenant", "acme"]).await[0];
    assert_eq!((&user["claimed_at"], &user["role"], &user["subject"]), (&json!(null), &json!("admin"), &json!("42")));
    assert!(ops.refused(&add).await.contains("already"));

    let reset = ["user", "reset-identity", "--tenant", "acme", "--email", "Ann@example.com"];
    assert_eq!(ops.plain(&reset).await.status, 0);
    assert_eq!(ops.list(&["user", "list", "--tenant", "acme"]).await[0]["subject"], json!(null));
    assert!(ops.refused(&reset).await.contains("ops user list"));
    assert_eq!(ops.actions().await, ["tenant.created", "user.added", "user.identity_reset"]);
    assert_eq!(ops.audit().await[2].3, json!({"user_id": claimed}));
}

#[tokio::test]
async fn another_tenants_users_are_not_shown() {
    let ops = OpsCli::new().await;
    ops.tenant("acme").await;
    ops.tenant("zenith").await;
    ops.json(&["user", "add", "--tenant", "acme", "--email", "ann@example.com"]).await;
    assert!(ops.list(&["user", "list", "--tenant", "zenith"]).await.is_empty());
    ops.json(&["user", "add", "--tenant", "zenith", "--email", "ann@example.com"]).await;
}
