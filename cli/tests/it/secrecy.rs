//! Nothing secret is printed, left in clear, or passed as an argument: a whole life with one machine, and then a search.

use std::fs;

use crate::machine::{Machine, Printed};
use crate::provider::{ANN, Login, Provider};

/// Everything that must be nowhere: what the provider and the cloud were sent, and what they gave.
fn secrets(cloud: &crate::cloud::Cloud, machine: &Machine) -> Vec<String> {
    let mut secrets = vec![machine.key.to_string(), machine.key.to_string().split('-').nth(2).unwrap().to_owned()];
    for asked in cloud.asked("/") {
        let bearer = asked.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        // The test cloud's own access token is a word.
        secrets.extend(bearer.filter(|token| token.len() > 20).map(str::to_owned));
    }
    // Of every token, the signature alone would do.
    let signatures: Vec<String> = secrets.iter().filter_map(|text| Some(text.rsplit_once('.')?.1.to_owned())).collect();
    secrets.extend(signatures);
    secrets
}

#[test]
fn nothing_secret_is_printed_or_left_in_clear() {
    let provider = Provider::own();
    let (cloud, machine) = provider.scene();
    let mut printed: Vec<(String, Printed)> = Vec::new();
    let mut all = |arguments: &[&str], input: &str| {
        for extra in [&["--verbose"][..], &["--json"], &["--json", "--verbose"], &["--quiet"]] {
            // First, since what follows `--` is another program's.
            let arguments = [extra, arguments].concat();
            printed.push((arguments.join(" "), machine.coditect_reading(&arguments, input)));
        }
    };
    all(&["activate"], &machine.key.to_string());
    all(&["validate"], "");
    all(&["run", "--", "true"], "");
    let mut login = Login::start(&machine, &["login", "--no-browser", "--verbose"]);
    let url = login.told_address();
    provider.visit(&url, ANN);
    let signed_in = login.end(&machine);
    for arguments in
        [&["whoami"][..], &["status"], &["run", "--", "true"], &["validate"], &["doctor"], &["config", "list"]]
    {
        all(arguments, "");
    }
    all(&["activate"], "CODITECT-TEAM-000000000000-0000");
    // Refused, and unreachable.
    provider.control("down");
    cloud.away(true);
    for arguments in [&["run", "--", "true"][..], &["login", "--no-browser"], &["activate"], &["logout"]] {
        all(arguments, &machine.key.to_string());
    }
    printed.push(("login".to_owned(), signed_in));

    let secrets = secrets(&cloud, &machine);
    assert!(secrets.iter().any(|secret| secret.starts_with("eyJ")), "the tokens are among them");
    for (command, printed) in &printed {
        for secret in &secrets {
            assert!(!printed.stdout.contains(secret), "{command}: {secret} in {}", printed.stdout);
            assert!(!printed.stderr.contains(secret), "{command}: {secret} in {}", printed.stderr);
        }
        // The address that a browser is sent to has a challenge, and not its answer.
        assert!(!printed.stderr.contains("code_verifier") && !printed.stderr.contains("refresh_token"), "{command}");
    }
    for path in crate::machine::files(&machine.home()) {
        let content = fs::read(&path).unwrap();
        for secret in &secrets {
            assert!(!content.windows(secret.len()).any(|part| part == secret.as_bytes()), "{}", path.display());
        }
    }
}
