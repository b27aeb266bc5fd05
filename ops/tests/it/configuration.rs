//! Tests of missing and wrong environment variables: all of them are named at once, before anything is done.

use crate::ops_cli::{OpsCli, PASSWORD};

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

#[tokio::test]
async fn every_missing_variable_is_named() {
    let mut ops = OpsCli::new().await;
    for name in ["DATABASE_URL", "REDIS_URL", "LICENSE_KEY_PEPPER"] {
        ops.set(name, None);
    }
    for (args, names) in [
        (&["tenant", "list"][..], &["DATABASE_URL"][..]),
        (&["sweep"], &["DATABASE_URL"]),
        (&["license", "list"], &["DATABASE_URL"]),
        (&["license", "issue", "--tenant", "acme", "--plan", "TEAM"], &["DATABASE_URL", "LICENSE_KEY_PEPPER"]),
        (&["license", "suspend", ID], &["REDIS_URL", "DATABASE_URL"]),
        (&["license", "show", ID], &["REDIS_URL", "DATABASE_URL"]),
        (&["seat", "evict", ID], &["REDIS_URL", "DATABASE_URL"]),
    ] {
        let sentences = ops.failed(args, 64).await;
        let mut told: Vec<_> = sentences.lines().map(|l| l.split_once(": is not set (example: ").unwrap().0).collect();
        told.sort_unstable();
        let mut names = names.to_vec();
        names.sort_unstable();
        assert_eq!(told, names, "{args:?}");
    }
}

#[tokio::test]
async fn every_wrong_variable_is_named_without_its_value() {
    let pepper = format!("{PASSWORD}0011");
    let mut ops = OpsCli::new().await.with("SEAT_TTL_SECONDS", Some("soon")).with("REDIS_REPLICAS", Some("-1"));
    for url in [
        format!("postgresql://coditect_owner:{PASSWORD}@db:port/coditect"),
        format!("postgresql//coditect_owner:{PASSWORD}@db/coditect"),
        format!("host=db {PASSWORD}=1"),
    ] {
        ops.set("DATABASE_URL", Some(&url));
        ops.set("REDIS_URL", Some(&format!("https://:{PASSWORD}@redis")));
        let sentences = ops.failed(&["seat", "list", ID], 64).await;
        for name in ["DATABASE_URL", "REDIS_URL", "SEAT_TTL_SECONDS", "REDIS_REPLICAS"] {
            assert!(sentences.lines().any(|l| l.starts_with(&format!("{name}: must be"))), "{name}: {sentences}");
        }
        assert!(ops.failed(&["migrate"], 64).await.starts_with("DATABASE_URL: must be"));
        ops.set("LICENSE_KEY_PEPPER", Some(&pepper));
        let issue = ops.failed(&["license", "issue", "--tenant", "acme", "--plan", "TEAM"], 64).await;
        assert!(issue.contains("DATABASE_URL: ") && issue.contains("LICENSE_KEY_PEPPER: "), "{issue}");
    }
}

#[tokio::test]
async fn nothing_is_changed_before_the_configuration_is_good() {
    let ops = OpsCli::new().await;
    let id = ops.license().await.to_string();
    let ops = ops.with("REDIS_URL", None);
    ops.failed(&["license", "revoke", &id], 64).await;
    assert_eq!(ops.world.number("select count(*) from licenses where state = 'active'").await, 1);
    let ops = ops.with("LICENSE_KEY_PEPPER", Some("short"));
    ops.failed(&["license", "issue", "--tenant", "acme", "--plan", "TEAM"], 64).await;
    assert_eq!(ops.actions().await, ["tenant.created", "license.issued"]);
}

#[tokio::test]
async fn a_variable_that_is_no_text_disturbs_nobody() {
    use std::os::unix::ffi::OsStrExt as _;

    let ops = OpsCli::new().await;
    let mut command = crate::ops_cli::command(&ops.environment, &["tenant", "create", "--name", "acme"]);
    let no_text = std::ffi::OsStr::from_bytes(b"al\xffice");
    command.env("LS_COLORS", no_text).env("USER", no_text);
    assert_eq!(crate::ops_cli::output(command).await.status, 0);
    assert_eq!(ops.audit().await[0].0, "operator:al\u{fffd}ice");
    let mut nobody = crate::ops_cli::command(&ops.environment, &["tenant", "create", "--name", "zenith"]);
    nobody.env_remove("USER");
    assert_eq!(crate::ops_cli::output(nobody).await.status, 0);
    assert_eq!(ops.audit().await[1].0, "operator:unknown");
}
