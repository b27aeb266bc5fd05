//! `coditect login`, `logout`, `whoami`, and actions on behalf of the signed-in user; with a real provider.

use std::os::unix::fs::PermissionsExt;
use std::thread;

use coditect::{Error, SignInError};
use jiff::SignedDuration;
use serde_json::Value;

use crate::machine::{Hands, Machine, Told, expect};
use crate::provider::{ANN, Login, Provider};

fn bearer(asked: &crate::cloud::Asked) -> String {
    asked.header("authorization").unwrap().strip_prefix("Bearer ").unwrap().to_owned()
}

fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

#[test]
fn somebody_signs_in_in_the_browser_and_takes_a_seat_as_himself() {
    let provider = Provider::shared();
    let (cloud, machine) = provider.scene();
    let mut login = Login::start(&machine, &["login", "--no-browser"]);
    let url = login.told_address();
    for part in
        ["response_type=code", "code_challenge_method=S256", "state=", "nonce=", "redirect_uri=http%3A%2F%2F127.0.0.1"]
    {
        assert!(url.contains(part), "{part} is not in {url}");
    }
    let page = provider.visit(&url, ANN);
    assert!(page.contains("Signed in as ann@acme.test. You can close this window."), "{page}");
    let printed = login.end(&machine);
    let told = printed.stderr.replace(&url, "{url}");
    assert_eq!((printed.code, printed.stdout.as_str()), (0, "Signed in as ann@acme.test.\n"), "{told}");
    assert_eq!(told, "Open this address in a browser on this machine to sign in:\n\n    {url}\n\n");

    assert_eq!(machine.coditect(&["run", "true"]).code, 0);
    assert!(cloud.asked("auth/license").is_empty(), "no license key is needed");
    let token = bearer(&cloud.asked("acquire")[0]);
    assert_eq!(claims(&token)["sub"], "ann", "the ID token is what the cloud is asked with");
}

#[test]
fn who_is_signed_in_is_shown_until_he_signs_out() {
    let provider = Provider::shared();
    let (cloud, machine) = provider.scene();
    expect(
        &machine.coditect(&["whoami"]),
        1,
        "signed in    nobody; `coditect login` signs in\nprofile      default\nlicense key  none\n",
        "",
    );
    assert_eq!(provider.sign_in(&machine, ANN, &[]).code, 0);
    let shown = machine.coditect(&["whoami"]);
    let text = shown.stdout.replace(&provider.issuer, "{issuer}");
    assert_eq!(
        text,
        "signed in    ann@acme.test (Ann)\nsubject      ann\norganization known after the first seat\nprovider     {issuer}\n\
         since        {time}\ntoken        until {time}, renewed by itself\nprofile      default\nlicense key  none\n"
            .replace("until {time},", text.split("token        ").nth(1).unwrap().split(" renewed").next().unwrap()),
    );
    // The first seat reports the user's organization.
    assert_eq!(machine.coditect(&["run", "true"]).code, 0);
    let json: Value = serde_json::from_str(&machine.coditect(&["whoami", "--json"]).stdout).unwrap();
    assert_eq!((&json["signed_in"], &json["email"]), (&Value::Bool(true), &Value::from("ann@acme.test")));
    assert_eq!(json["seats_for"], "person");
    assert!(json["tenant_id"].is_string(), "{json}");
    assert!(machine.coditect(&["status"]).stdout.contains("signed in    ann@acme.test, whose seats are taken here\n"));

    expect(&machine.coditect(&["logout"]), 0, "Signed out ann@acme.test.\n", "");
    expect(&machine.coditect(&["logout", "--json"]), 0, "{\"revoked\":false,\"signed_out\":false}\n", "");
    assert_eq!(machine.coditect(&["whoami"]).code, 1);
    for file in ["session", "seat"] {
        assert!(!machine.home().join(file).exists(), "{file}");
    }
    cloud.forget();
    assert_eq!(machine.coditect(&["run", "true"]).code, 0);
    assert!(cloud.asked("/").is_empty(), "the free tier");
}

#[test]
fn signing_out_revokes_what_the_provider_gave() {
    let provider = Provider::own();
    let (_cloud, machine) = provider.scene();
    assert_eq!(provider.sign_in(&machine, ANN, &[]).code, 0);
    let session = std::fs::read(machine.home().join("session")).unwrap();
    expect(&machine.coditect(&["logout", "--json"]), 0, "{\"revoked\":true,\"signed_out\":true}\n", "");
    // A copy of the session is of no use after it was revoked.
    std::fs::write(machine.home().join("session"), session).unwrap();
    std::fs::set_permissions(machine.home().join("session"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let hands = Hands::new();
    hands.pass(SignedDuration::from_hours(2));
    let client = machine.client().clock(hands.reader()).uptime(hands.uptime()).build().unwrap();
    let error = client.acquire().unwrap_err();
    assert!(matches!(error, Error::SignIn(SignInError::Ended)), "{error}");
    assert_eq!(error.hint(), "`coditect login` signs in again; `coditect logout` goes back to the license key.");
    drop(client);

    std::fs::remove_file(machine.home().join("session")).unwrap();
    assert_eq!(provider.sign_in(&machine, ANN, &[]).code, 0);
    provider.control("down");
    let printed = machine.coditect(&["logout"]);
    assert_eq!((printed.code, printed.stdout.as_str()), (0, "Signed out ann@acme.test.\n"));
    assert!(printed.stderr.starts_with("The identity provider could not be told, so"), "{printed:?}");
    assert!(!machine.home().join("session").exists(), "it is forgotten here all the same");
}

#[test]
fn a_token_that_is_over_is_renewed_and_the_refresh_token_replaced() {
    let provider = Provider::own();
    let (cloud, machine) = provider.scene();
    assert_eq!(provider.sign_in(&machine, ANN, &[]).code, 0);
    let hands = Hands::new();
    let client = machine.client().clock(hands.reader()).uptime(hands.uptime()).build().unwrap();
    drop(client.acquire().unwrap());
    let renewals = || provider.requests("/token") - 1;
    assert_eq!(renewals(), 0);
    let mut tokens = vec![bearer(&cloud.asked("acquire")[0])];
    for round in 1..4 {
        hands.pass(SignedDuration::from_hours(2));
        // A client of its own: the next command.
        let client = machine.client().clock(hands.reader()).uptime(hands.uptime()).build().unwrap();
        drop(client.acquire().unwrap());
        assert_eq!(renewals(), round);
        let token = bearer(cloud.asked("acquire").last().unwrap());
        assert!(!tokens.contains(&token), "a new one each time");
        tokens.push(token);
    }
    let who = machine.client().build().unwrap().signed_in().unwrap().unwrap();
    assert_eq!(who.email.as_deref(), Some("ann@acme.test"), "what a renewal does not say again is kept");
}

#[test]
fn many_at_once_use_a_refresh_token_once() {
    let provider = Provider::own();
    let (_cloud, machine) = provider.scene();
    assert_eq!(provider.sign_in(&machine, ANN, &[]).code, 0);
    let hands = Hands::new();
    hands.pass(SignedDuration::from_hours(2));
    thread::scope(|scope| {
        for _ in 0..8 {
            // Like separate processes: only the files are shared.
            let client = machine.client().clock(hands.reader()).uptime(hands.uptime()).build().unwrap();
            scope.spawn(move || drop(client.acquire().unwrap()));
        }
    });
    assert_eq!(provider.requests("/token"), 2, "the sign-in, and one renewal");
}

#[test]
fn a_token_that_the_cloud_refuses_is_renewed_before_its_time() {
    let provider = Provider::own();
    let (cloud, machine) = provider.scene();
    assert_eq!(provider.sign_in(&machine, ANN, &[]).code, 0);
    assert_eq!(machine.coditect(&["run", "true"]).code, 0);
    let refused = bearer(&cloud.asked("acquire")[0]);
    cloud.mood().refused_bearer = Some(refused.clone());
    assert_eq!(machine.coditect(&["run", "true"]).code, 0);
    assert_ne!(bearer(cloud.asked("acquire").last().unwrap()), refused);
    assert_eq!(provider.requests("/token"), 2);
}

#[test]
fn heartbeats_go_on_when_the_sign_in_is_over() {
    let provider = Provider::own();
    let (cloud, machine) = provider.scene();
    assert_eq!(provider.sign_in(&machine, ANN, &[]).code, 0);
    // Renewed at half its life, which is at the first heartbeat.
    cloud.mood().interval = 1;
    cloud.mood().token_lifetime = SignedDuration::from_secs(3);
    let told = Told::default();
    let client = machine.client().on_notice(told.listener()).build().unwrap();
    let seat = client.acquire().unwrap();
    let refused = bearer(&cloud.asked("acquire")[0]);
    cloud.mood().refused_bearer = Some(refused);
    machine.coditect(&["logout"]);
    told.wait_for("Your sign-in has ended. The seat is kept until the license token expires.");
    cloud.wait_for("heartbeat");
    assert!(seat.ended().is_none());
}

#[test]
fn whoever_is_signed_in_comes_before_the_license_key() {
    let provider = Provider::shared();
    let (cloud, machine) = provider.scene();
    assert_eq!(machine.coditect_reading(&["activate"], &machine.key.to_string()).code, 0);
    assert_eq!(provider.sign_in(&machine, ANN, &[]).code, 0);
    assert_eq!(machine.coditect(&["run", "true"]).code, 0);
    assert!(cloud.asked("auth/license").is_empty());
    assert!(
        machine
            .coditect(&["whoami"])
            .stdout
            .ends_with("license key  {key}; seats are yours, not the key's, while you are signed in\n")
    );
    assert_eq!(machine.coditect(&["logout"]).code, 0);
    assert!(machine.coditect(&["whoami"]).stdout.ends_with("license key  {key}; seats are the key's\n"));
    assert_eq!(machine.coditect(&["run", "true"]).code, 0);
    assert_eq!(bearer(cloud.asked("acquire").last().unwrap()), "access", "the key's seat again");
}

#[test]
fn whoever_is_signed_in_needs_no_key_to_validate_and_to_sync() {
    let provider = Provider::shared();
    let (cloud, machine) = provider.scene();
    assert_eq!(provider.sign_in(&machine, ANN, &[]).code, 0);
    let printed = machine.coditect(&["validate"]);
    assert_eq!((printed.code, printed.stderr.as_str()), (0, ""), "{printed:?}");
    assert!(printed.stdout.starts_with("The license is valid.\ntier         TEAM\n"), "{printed:?}");
    assert_eq!(cloud.asked("release").len(), 1, "the seat is given back");
    cloud.forget();
    assert_eq!(machine.coditect(&["validate"]).code, 0);
    assert!(cloud.asked("/").is_empty(), "the last seat's token says it");

    assert_eq!(machine.coditect(&["config", "set", "sync", "on"]).code, 0);
    let printed = machine.coditect(&["sync"]);
    assert_eq!(printed.code, 0, "{printed:?}");
    assert_eq!(claims(&bearer(cloud.asked("/context/").last().unwrap()))["sub"], "ann");
}

#[test]
fn the_first_sync_finds_out_whose_the_context_is() {
    let provider = Provider::shared();
    let (cloud, machine) = provider.scene();
    assert_eq!(provider.sign_in(&machine, ANN, &[]).code, 0);
    assert_eq!(machine.coditect(&["config", "set", "sync", "on"]).code, 0);
    assert_eq!(machine.coditect(&["sync"]).code, 0);
    assert_eq!((cloud.asked("acquire").len(), cloud.asked("release").len()), (1, 1));
    assert_eq!(machine.coditect(&["sync"]).code, 0);
    assert_eq!(cloud.asked("acquire").len(), 1, "once");
    // Another organization's user does not get it.
    cloud.change_tenant();
    assert_eq!(provider.sign_in(&machine, "sub=eve&email=eve@evil.test", &[]).code, 0);
    let printed = machine.coditect(&["sync"]);
    assert_eq!(printed.code, 1, "{printed:?}");
}

#[test]
fn a_code_is_entered_on_another_machine() {
    let provider = Provider::shared();
    let (_cloud, machine) = provider.scene();
    let mut login = Login::start(&machine, &["login", "--device", "--json"]);
    assert_eq!(login.line(), "Open this address in any browser, and enter the code within 10 minutes:\n");
    let url = login.told_address();
    let code = login.line().trim().to_owned();
    let complete = login.told_address();
    assert_eq!(complete, format!("{url}?user_code={code}"));
    let page = provider.confirm(&complete, ANN);
    assert!(page.contains("successful"), "{page}");
    let printed = login.end(&machine);
    assert_eq!(printed.code, 0, "{printed:?}");
    let json: Value = serde_json::from_str(&printed.stdout).unwrap();
    assert_eq!((&json["subject"], &json["renewable"]), (&Value::from("ann"), &Value::Bool(true)));
}

#[test]
fn an_organizations_own_provider_is_remembered_for_the_profile() {
    let own = Provider::own();
    let cloud = crate::cloud::Cloud::start();
    let machine = Machine::new(&cloud.url);
    let printed = own.sign_in(&machine, ANN, &["--sso", &own.issuer, "--client-id", "another", "--profile", "acme"]);
    assert_eq!(printed.code, 0, "{printed:?}");
    // Without the options of the first time.
    let printed = own.sign_in(&machine, ANN, &["--profile", "acme", "--json"]);
    let json: Value = serde_json::from_str(&printed.stdout).unwrap();
    assert_eq!((&json["issuer"], &json["client_id"]), (&Value::from(own.issuer.clone()), &Value::from("another")));
    expect(
        &machine.coditect(&["login"]),
        1,
        "",
        "error: This cloud has no sign-in. It is used with license keys.\nhint: `coditect activate` stores a license key; \
         `coditect login --sso ISSUER` signs in with your organization's own provider.\n",
    );
    expect(
        &machine.coditect(&["login", "--sso", &own.issuer]),
        2,
        "",
        "error: It is not known what this program is called at that provider.\nhint: `coditect login --sso ISSUER --client-id \
         ID`; your administrator has both.\n",
    );
}

#[test]
fn a_sign_in_that_others_can_read_is_not_used() {
    let provider = Provider::shared();
    let (_cloud, machine) = provider.scene();
    assert_eq!(provider.sign_in(&machine, ANN, &[]).code, 0);
    let session = machine.home().join("session");
    assert_eq!(std::fs::metadata(&session).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&session, std::fs::Permissions::from_mode(0o640)).unwrap();
    for arguments in [&["whoami"][..], &["run", "true"], &["validate"], &["logout"]] {
        expect(
            &machine.coditect(arguments),
            2,
            "",
            "error: {home}/session can be read or changed by others (mode 640), so it is not used.\nhint: `chmod 600 \
             {home}/session`, and if the machine has other users, ask for a new key.\n",
        );
    }
}
