//! `ops roles`: passwords of the functions' database roles.

use crate::ops_cli::OpsCli;

/// Roles are of the whole server, and other tests use the functions' own.
const ROLE: &str = "coditect_guest_of_a_test";

#[tokio::test]
async fn a_role_gets_its_password_and_the_server_is_never_told_it() {
    let password = "correct-horse-battery";
    let ops = OpsCli::new().await.with("ROLE_PASSWORDS", Some(&format!(r#"{{"{ROLE}":"{password}"}}"#)));
    let missing = ops.run(&["roles"]).await;
    assert_eq!((missing.status, missing.out.as_str()), (2, ""), "{missing:?}");
    assert!(!missing.err.contains(password), "{missing:?}");

    let owner = ops.world.db.connect("coditect_owner").await;
    owner.batch_execute(&format!("create role {ROLE} login")).await.unwrap();
    for _ in 0..2 {
        let done = ops.run(&["roles"]).await;
        assert_eq!((done.status, done.err.as_str()), (0, "1 roles have their passwords.\n"));
    }
    let admin = ops.world.db.connect("postgres").await;
    let kept = admin.query_one("select rolpassword from pg_authid where rolname = $1", &[&ROLE]).await;
    admin.batch_execute(&format!("drop role {ROLE}")).await.unwrap();
    assert!(kept.unwrap().get::<_, String>(0).starts_with("SCRAM-SHA-256$"));
}

#[tokio::test]
async fn passwords_of_others_than_functions_are_refused_and_not_shown() {
    let ops = OpsCli::new().await;
    let unset = ops.run(&["roles"]).await;
    assert_eq!(unset.status, 64);
    assert!(unset.err.contains("ROLE_PASSWORDS: is not set"), "{unset:?}");
    for wrong in [
        r#"{"postgres":"correct-horse-battery"}"#,
        r#"{"coditect_owner":"correct-horse-battery"}"#,
        r#"{"coditect_acquire\"; drop table plans; --":"correct-horse-battery"}"#,
        r#"{"coditect_acquire":"horse-battery"}"#,
        r#"["correct-horse-battery"]"#,
    ] {
        let refused = OpsCli::new().await.with("ROLE_PASSWORDS", Some(wrong)).run(&["roles"]).await;
        assert_eq!(refused.status, 64, "{wrong}: {refused:?}");
        assert!(refused.err.contains("ROLE_PASSWORDS") && !refused.err.contains("horse"), "{refused:?}");
    }
}
