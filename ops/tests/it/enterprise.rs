//! `ops license export --enterprise`.

use jiff::{SignedDuration, Timestamp};
use protocol::token::{EnterpriseLicense, KeySet, PERPETUAL, read_enterprise_license};
use serde_json::{Value, json};
use testing::world::signing_key;

use crate::ops_cli::OpsCli;

/// Returns a command line that may sign, and an ENTERPRISE license.
async fn ops(more: &[&str]) -> (OpsCli, String) {
    let ops = OpsCli::new().await.with("SIGNING_KEY", Some(&format!("file:{}", signing_key().display())));
    ops.json(&["tenant", "create", "--name", "Acme Ltd.", "--slug", "acme"]).await;
    let issued = ops.json(&[&["license", "issue", "--tenant", "acme", "--plan", "ENT"], more].concat()).await;
    let id = issued["license_id"].as_str().unwrap().to_owned();
    (ops, id)
}

/// Reads a file as an installation does that trusts this key alone.
async fn read(ops: &OpsCli, file: &str) -> EnterpriseLicense {
    let kid = ops.world.key_id().await;
    let pem =
        std::process::Command::new("openssl").args(["rsa", "-pubout", "-in"]).arg(signing_key()).output().unwrap();
    let mut keys = KeySet::new();
    keys.insert_pem(kid, &String::from_utf8(pem.stdout).unwrap()).unwrap();
    read_enterprise_license(file, &keys, Timestamp::now()).unwrap()
}

fn export<'a>(id: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["license", "export", id, "--enterprise"], more].concat()
}

#[tokio::test]
async fn a_file_says_what_the_license_does() {
    let (ops, id) = ops(&["--seats", "40", "--expires", "2999-01-31T00:00:00Z"]).await;
    let made = ops.json(&export(&id, &[])).await;
    let license = read(&ops, made["license_file"].as_str().unwrap()).await;
    assert_eq!((license.claims.users, license.claims.customer.as_str()), (40, "Acme Ltd."));
    assert_eq!(json!(license.claims.ends()), json!("2999-01-31T00:00:00Z"));
    assert_eq!(json!(license.claims.sub), json!(id));
    assert_eq!(made["name"], json!(license.short_name));
    assert!(license.short_name.starts_with("CODITECT-ENT-ACMELTD-40-29990131-"), "{}", license.short_name);
    let entries = ops.audit().await;
    let entry = &entries.last().unwrap().3;
    assert_eq!((&entry["users"], &entry["name"]), (&json!(40), &made["name"]));
    assert_eq!(ops.actions().await.last().unwrap(), "license.exported");
}

#[tokio::test]
async fn for_fewer_users_and_a_shorter_time_to_a_file() {
    let (ops, id) = ops(&["--seats", "40"]).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("acme.license");
    let told = ops.json(&export(&id, &["--users", "10", "--days", "20", "--out", path.to_str().unwrap()])).await;
    assert_eq!((&told["users"], told.get("license_file")), (&json!(10), None::<&Value>));
    let license = read(&ops, &std::fs::read_to_string(&path).unwrap()).await;
    let left = license.claims.ends().unwrap().duration_since(Timestamp::now());
    assert!(left <= SignedDuration::from_hours(480) && left > SignedDuration::from_hours(479), "{left}");

    let plain = ops.plain(&export(&id, &["--until", "2999-01-01T00:00:00Z"])).await;
    assert_eq!(read(&ops, &plain.out).await.claims.users, 40);
    let perpetual = ops.plain(&export(&id, &[])).await;
    assert_eq!(read(&ops, &perpetual.out).await.claims.exp, PERPETUAL);
    assert!(perpetual.err.is_empty(), "{perpetual:?}");
}

#[tokio::test]
async fn no_more_is_exported_than_the_license_has() {
    let (ops, id) = ops(&["--seats", "40", "--expires", "2999-01-31T00:00:00Z"]).await;
    assert!(ops.refused(&export(&id, &["--users", "41"])).await.contains("1 to 40 users"));
    assert!(ops.refused(&export(&id, &["--users", "0"])).await.contains("1 to 40 users"));
    assert!(ops.refused(&export(&id, &["--until", "2999-02-01T00:00:00Z"])).await.contains("no longer than that"));
    assert!(ops.refused(&export(&id, &["--until", "2020-01-01T00:00:00Z"])).await.contains("has passed"));
    ops.json(&["license", "suspend", &id]).await;
    assert!(ops.refused(&export(&id, &[])).await.contains("is suspended"));
    let team = ops.json(&["license", "issue", "--tenant", "acme", "--plan", "TEAM"]).await;
    let team = team["license_id"].as_str().unwrap();
    assert!(ops.refused(&export(team, &[])).await.contains("doesn't include on_premise"));
    assert!(!ops.actions().await.contains(&"license.exported".to_owned()));
}

#[tokio::test]
async fn it_needs_the_word_and_the_key() {
    let (ops, id) = ops(&[]).await;
    let plain = ops.run(&["license", "export", &id]).await;
    assert!(plain.status == 64 && plain.err.contains("--enterprise"), "{plain:?}");
    let ops = ops.with("SIGNING_KEY", None);
    assert!(ops.failed(&export(&id, &[]), 64).await.starts_with("SIGNING_KEY: is not set"));
    let ops = ops.with("SIGNING_KEY", Some("file:/nowhere.pem"));
    assert!(ops.failed(&export(&id, &[]), 64).await.starts_with("SIGNING_KEY: "));
}
