//! Tests of the command line's arguments, and of where its output goes.

use std::process::Stdio;

use crate::ops_cli::{OpsCli, command, output};

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// Runs without any environment: arguments are checked first.
async fn bare(args: &[&str]) -> crate::ops_cli::CommandOutput {
    output(command(&[].into(), args)).await
}

#[tokio::test]
async fn wrong_arguments_exit_64_with_the_usage_on_standard_error() {
    for args in [
        &[][..],
        &["frobnicate"],
        &["tenant"],
        &["tenant", "create"],
        &["tenant", "list", "--loud"],
        &["user", "add", "--tenant", "acme", "--email", "a@b.c", "--role", "king"],
        &["user", "add", "--tenant", "acme", "--email", "a@b.c", "--issuer", "https://login.example.com"],
        &["license", "issue", "--tenant", "acme", "--plan", "TEAM", "--seats", "-1"],
        &["license", "issue", "--tenant", "acme", "--plan", "TEAM", "--expires", "tomorrow"],
        &["license", "show", "my-license"],
        &["license", "set-seats", ID],
        &["seat", "evict", "ann"],
        &["plan", "import"],
        &["keys", "retire"],
        &["outbox", "deliver", "--watch", "0"],
        &["outbox", "list", "--dead", "--pending"],
        &["outbox", "retry", "1"],
        &["license", "list", "--customer", "cus_1", "--tenant", "acme"],
    ] {
        let plain = bare(args).await;
        assert_eq!((plain.status, plain.out.as_str()), (64, ""), "{args:?}: {plain:?}");
        assert!(plain.err.contains("Usage: ops") || plain.err.contains("--help"), "{args:?}: {plain:?}");
        let json = bare(&[&["--json"], args].concat()).await;
        assert_eq!(json.status, 64);
        assert!(json.object()["error"].as_str().unwrap().len() > 20, "{json:?}");
        assert!(json.err.contains("--help") || json.err.contains("Usage: ops"), "{json:?}");
    }
}

#[tokio::test]
async fn arguments_that_are_not_utf8_exit_64() {
    use std::os::unix::ffi::OsStrExt as _;

    let mut command = command(&[].into(), &["tenant", "create", "--name"]);
    command.arg(std::ffi::OsStr::from_bytes(b"a\xff"));
    assert_eq!(output(command).await.status, 64);
}

#[tokio::test]
async fn help_and_version_are_answers() {
    let help = bare(&["--help"]).await;
    assert_eq!((help.status, help.err.as_str()), (0, ""));
    for noun in
        ["migrate", "sweep", "tenant", "user", "license", "seat", "device", "plan", "keys", "outbox", "DATABASE_URL"]
    {
        assert!(help.out.contains(noun), "{noun}: {help:?}");
        if noun != "DATABASE_URL" {
            assert_eq!(bare(&[noun, "--help"]).await.status, 0);
        }
    }
    assert!(bare(&["--version"]).await.out.starts_with("ops "));
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_error_but_hides_none() {
    let ops = OpsCli::new().await;
    ops.tenant("acme").await;
    for (args, status) in [
        (&["tenant", "list"][..], 0),
        (&["tenant", "list", "--json"], 0),
        (&["license", "issue", "--tenant", "acme", "--plan", "TEAM"], 0),
        (&["license", "show", ID, "--json"], 1),
        (&["license", "show", ID], 1),
    ] {
        let (out, out_writer) = std::io::pipe().unwrap();
        let (err, err_writer) = std::io::pipe().unwrap();
        drop((out, err));
        let mut command = command(&ops.environment, args);
        command.stdout(Stdio::from(out_writer)).stderr(Stdio::from(err_writer));
        let ended = tokio::task::spawn_blocking(move || command.status()).await.unwrap().unwrap();
        assert_eq!(ended.code(), Some(status), "{args:?}");
    }
}

#[tokio::test]
async fn standard_output_that_is_full_is_an_error() {
    let ops = OpsCli::new().await;
    let mut command = command(&ops.environment, &["tenant", "list", "--json"]);
    command.stdout(std::fs::File::create("/dev/full").unwrap());
    let status = tokio::task::spawn_blocking(move || command.status()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(2));
}
