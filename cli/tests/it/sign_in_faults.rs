//! Failures of a sign-in, and their messages.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use coditect::{Error, SignInError};
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::liar::{Liar, document};
use crate::machine::{Machine, Printed, Told, expect, install};
use crate::provider::{ANN, Login, Provider};

const ANEW: &str = "hint: `coditect login` begins anew.\n";

#[test]
fn whoever_refuses_is_not_signed_in() {
    let provider = Provider::shared();
    let (_cloud, machine) = provider.scene();
    let printed = provider.sign_in(&machine, "nobody", &[]);
    assert_eq!((printed.code, printed.stdout.as_str()), (1, ""));
    assert!(printed.stderr.ends_with(&format!("error: The sign-in was refused.\n{ANEW}")), "{printed:?}");
    assert!(!machine.home().join("session").exists());

    let mut login = Login::start(&machine, &["login", "--device"]);
    let (_, _code) = (login.told_address(), login.line());
    let complete = login.told_address();
    let page = provider.confirm(&complete, "nobody");
    assert!(page.contains("interrupted"), "{page}");
    let printed = login.end(&machine);
    assert_eq!(printed.code, 1);
    assert!(printed.stderr.ends_with(&format!("error: The sign-in was refused.\n{ANEW}")), "{printed:?}");
}

#[test]
fn what_is_no_answer_to_this_sign_in_does_not_end_it() {
    let liar = Liar::saying(|_| ());
    let (_cloud, machine) = liar.scene();
    let mut login = Login::start(&machine, &["login", "--no-browser"]);
    let (to, part) = Liar::redirect(&login.told_address());
    let host = to.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    let good = format!("/callback?code={}&state={}", part("nonce"), part("state"));
    let ask = |method: &str, target: &str, host: &str, more: &str| {
        let mut stream = TcpStream::connect(to.split('/').nth(2).unwrap()).unwrap();
        write!(stream, "{method} {target} HTTP/1.1\r\nhost: {host}\r\n{more}\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    for (method, target, host, more, status) in [
        ("GET", "/callback?code=x&state=guess", &*host, "", "400"),
        ("GET", "/callback?code=x", &host, "", "400"),
        ("GET", "/callback?error=access_denied&state=x", &host, "", "400"),
        ("GET", "/", &host, "", "404"),
        ("POST", &good, &host, "content-length: 0\r\n", "405"),
        ("GET", &good, "rebound.example", "", "421"),
        ("GET", &good, &host, "sec-fetch-mode: cors\r\nsec-fetch-dest: empty\r\n", "403"),
    ] {
        assert_eq!(ask(method, target, host, more), status, "{method} {target} at {host} with {more:?}");
    }
    let navigates = "sec-fetch-mode: navigate\r\nsec-fetch-dest: document\r\n";
    assert_eq!(ask("GET", &good, &host, navigates), "200");
    let printed = login.end(&machine);
    assert_eq!((printed.code, printed.stdout.as_str()), (0, "Signed in as ann.\n"), "{printed:?}");
}

#[test]
fn an_answer_of_another_provider_is_not_used() {
    let liar = Liar::saying(|_| ());
    let (_cloud, machine) = liar.scene();
    let sentence = "The browser brought the answer to another sign-in, so it is not used.";
    let (printed, page) = liar.answered(&machine, "code={nonce}&state={state}&iss=http%3A%2F%2Fevil");
    expect(&printed, 2, "", &format!("error: {sentence}\n{ANEW}"));
    assert!(page.contains("You are not signed in") && page.contains(sentence), "{page}");
}

#[test]
fn what_the_provider_refuses_is_told_in_its_words() {
    let liar = Liar::start(|path, _| {
        (path == "/token")
            .then(|| (400, json!({"error": "invalid_client", "error_description": "unknown <client>"}).to_string()))
    });
    let (_cloud, machine) = liar.scene();
    let hint =
        "hint: `coditect login` begins anew. If it is refused again, show this to your provider's administrator.\n";
    let (printed, page) = liar.answered(&machine, "code=x&state={state}");
    expect(&printed, 2, "", &format!("error: The identity provider refuses: unknown <client>.\n{hint}"));
    assert!(page.contains("unknown &lt;client&gt;"), "{page}");
    let (printed, _) = liar.answered(&machine, "error=server_error&error_description=Try+later.&state={state}");
    expect(&printed, 2, "", &format!("error: The identity provider refuses: Try later.\n{hint}"));
}

#[test]
fn an_id_token_that_is_not_for_this_sign_in_is_not_believed() {
    type Change = fn(&mut Value);
    let faults: [(Change, &str); 6] = [
        (|claims| claims["iss"] = json!("https://other.example"), "another issuer"),
        (|claims| claims["aud"] = json!("another"), "another service"),
        (|claims| claims["aud"] = json!(["coditect", "another"]), "another service"),
        (|claims| claims["nonce"] = json!("replayed"), "another kind"),
        (|claims| claims["exp"] = json!(1), "has expired"),
        (|claims| claims["sub"] = json!(null), "not a complete token"),
    ];
    for (change, fault) in faults {
        let liar = Liar::saying(change);
        let (_cloud, machine) = liar.scene();
        let (printed, _) = liar.answered(&machine, "code={nonce}&state={state}");
        assert_eq!(printed.code, 2, "{fault}: {printed:?}");
        assert!(printed.stderr.starts_with("error: The identity provider's answer cannot be trusted."), "{printed:?}");
        assert!(printed.stderr.contains(fault), "{fault}: {printed:?}");
        assert!(!machine.home().join("session").exists(), "{fault}");
    }
    // An ID token without a signature, and no ID token at all.
    let (_, body) = ("", json!({"id_token": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ."}).to_string());
    let liar = Liar::start(move |path, _| (path == "/token").then(|| (200, body.clone())));
    let (_cloud, machine) = liar.scene();
    let (printed, _) = liar.answered(&machine, "code=x&state={state}");
    assert!(printed.stderr.contains("not signed with RS256"), "{printed:?}");
    let liar = Liar::start(|path, _| (path == "/token").then(|| (200, json!({"access_token": "a"}).to_string())));
    let (_cloud, machine) = liar.scene();
    let (printed, _) = liar.answered(&machine, "code=x&state={state}");
    assert!(printed.stderr.starts_with("error: The identity provider has not said who signed in."), "{printed:?}");
}

/// Returns the output of a login whose provider has this discovery document.
fn told_of(answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static) -> Printed {
    let known = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let issuer = known.clone();
    let liar = Liar::start(move |path, _| path.starts_with("/.well-known").then(|| answer(issuer.get().unwrap())));
    known.set(liar.issuer.clone()).unwrap();
    let (_cloud, machine) = liar.scene();
    let mut printed = machine.coditect(&["login", "--no-browser"]);
    printed.stderr = printed.stderr.replace(&liar.issuer, "{issuer}");
    printed
}

#[test]
fn what_is_no_provider_is_said_to_be_none() {
    let other =
        "hint: `coditect login --sso ISSUER` names another provider; `coditect config list` shows which one is used.\n";
    let rubbish = "error: What answers at {issuer}/.well-known/openid-configuration is no identity provider.\n";
    for (status, body) in [(200, "<html>Welcome to our hotel</html>"), (404, "{}"), (200, "{}"), (302, "")] {
        expect(&told_of(move |_| (status, body.to_owned())), 2, "", &format!("{rubbish}{other}"));
    }
    expect(
        &told_of(|_| (200, document("https://login.other.example").to_string())),
        2,
        "",
        &format!(
            "error: The identity provider at {{issuer}} says that it is \"https://login.other.example\", so it is not trusted.\n{other}"
        ),
    );
    expect(
        &told_of(|_| (503, String::new())),
        2,
        "",
        "error: The identity provider cannot be reached at {issuer}/.well-known/openid-configuration (HTTP status \
         503).\nhint: Try again in a few minutes; `coditect status` shows what is stored here and how long it serves.\n",
    );
    // Nor may the document name an endpoint without TLS.
    let printed = told_of(|issuer| {
        let mut document = document(issuer);
        document["authorization_endpoint"] = json!("http://login.example/auth");
        (200, document.to_string())
    });
    assert_eq!(printed.code, 2);
    assert!(
        printed.stderr.starts_with("error: \"http://login.example/auth\" cannot be used: plain http"),
        "{printed:?}"
    );
    let machine = Machine::new("http://127.0.0.1:1");
    let printed = machine.coditect(&["login", "--sso", "http://login.example", "--client-id", "x"]);
    assert_eq!(printed.code, 2);
    assert!(printed.stderr.contains("plain http"), "{printed:?}");
}

#[test]
fn a_provider_that_is_away_is_no_reason_to_lose_a_seat_or_a_sign_in() {
    let provider = Provider::own();
    let (cloud, machine) = provider.scene();
    assert_eq!(provider.sign_in(&machine, ANN, &[]).code, 0);
    assert_eq!(machine.coditect(&["run", "true"]).code, 0);
    provider.control("down");
    let away = machine.coditect(&["login", "--no-browser"]);
    assert_eq!(away.code, 2);
    assert!(away.stderr.contains("The identity provider cannot be reached at"), "{away:?}");

    // The access token has expired meanwhile. The last license token has not.
    let hands = crate::machine::Hands::new();
    hands.pass(jiff::SignedDuration::from_hours(2));
    let told = Told::default();
    let client =
        machine.client().clock(hands.reader()).uptime(hands.uptime()).on_notice(told.listener()).build().unwrap();
    let seat = client.acquire().unwrap();
    told.wait_for("Continuing on the last license token");
    drop(seat);
    provider.control("up");
    cloud.forget();
    drop(client.acquire().unwrap());
    assert_eq!(cloud.asked("acquire").len(), 1, "and it goes on as before");
}

#[test]
fn a_clock_that_is_off_is_told_and_no_reason_to_refuse() {
    let provider = Provider::behind();
    let (_cloud, machine) = provider.scene();
    let printed = provider.sign_in(&machine, ANN, &[]);
    assert_eq!((printed.code, printed.stdout.as_str()), (0, "Signed in as ann@acme.test.\n"), "{printed:?}");
    assert!(
        printed.stderr.contains("This machine's clock is 2 hours ahead of the cloud's. Set the clock."),
        "{printed:?}"
    );
    assert_eq!(machine.coditect(&["run", "true"]).code, 0, "and the token is good as long as it says");
}

#[test]
fn a_code_that_is_not_entered_expires_and_a_hurried_question_slows_down() {
    static ASKED: Mutex<Vec<Instant>> = Mutex::new(Vec::new());
    let begun = |expires_in: u64| {
        json!({"device_code": "d", "user_code": "ABCD", "verification_uri": "https://login.example/device",
               "expires_in": expires_in, "interval": 1})
    };
    let liar = Liar::start(move |path, _| match path {
        "/device" => Some((200, begun(9).to_string())),
        "/token" => {
            let mut asked = ASKED.lock().unwrap();
            asked.push(Instant::now());
            let error = if asked.len() == 1 { "slow_down" } else { "authorization_pending" };
            Some((400, json!({ "error": error }).to_string()))
        }
        _ => None,
    });
    let (_cloud, machine) = liar.scene();
    let printed = machine.coditect(&["login", "--device"]);
    expect(
        &printed,
        1,
        "",
        "Open this address in any browser, and enter the code within a minute:\n\n    https://login.example/device\n    \
         ABCD\n\nerror: The code was not entered in time.\nhint: `coditect login` begins anew.\n",
    );
    let asked = ASKED.lock().unwrap();
    assert!(asked[1].duration_since(asked[0]) >= Duration::from_secs(6), "five seconds were added to one");

    let liar = Liar::start(move |path, _| match path {
        "/device" => Some((200, begun(600).to_string())),
        "/token" => Some((400, json!({"error": "expired_token"}).to_string())),
        _ => None,
    });
    let (_cloud, machine) = liar.scene();
    assert_eq!(machine.coditect(&["login", "--device", "--quiet"]).code, 1);
}

#[test]
fn nobody_comes_for_long_and_ctrl_c_ends_it_at_once() {
    let liar = Liar::saying(|_| ());
    let (_cloud, machine) = liar.scene();
    let client = machine.client().build().unwrap();
    let error = client.begin_sign_in(None).unwrap().finish(Duration::from_millis(1)).unwrap_err();
    assert!(matches!(error, Error::SignIn(SignInError::NobodyCame { .. })), "{error}");
    assert_eq!(error.to_string(), "Nobody has signed in within 1 minute.");

    let mut login = Login::start(&machine, &["login", "--no-browser"]);
    login.told_address();
    login.interrupt();
    assert_eq!(login.end(&machine).code, -1, "by the signal");
}

#[test]
fn a_browser_that_does_not_open_is_no_obstacle() {
    let provider = Provider::shared();
    let (_cloud, machine) = provider.scene();
    let tools = tempfile::tempdir().unwrap();
    let opener = tools.path().join("xdg-open");
    let write = |script: &str| {
        let source = tools.path().join("source");
        std::fs::write(&source, script).unwrap();
        install(&source, &opener);
    };
    let start = |display: &str| {
        let path = format!("{}:/usr/bin:/bin", tools.path().display());
        Login::spawn(
            machine
                .command(&["login"])
                .env("PATH", path)
                .env("DISPLAY", display)
                .env_remove("WAYLAND_DISPLAY")
                .env_remove("BROWSER"),
        )
    };
    let opening = "Sign in in your browser, which is being opened. Ctrl-C gives up.\n";
    // It fails; and there is no screen to open it on.
    write("#!/bin/sh\nexit 3\n");
    for display in [":9", ""] {
        let mut login = start(display);
        assert_eq!(login.line(), opening);
        let url = login.told_address();
        provider.visit(&url, ANN);
        assert_eq!(login.end(&machine).code, 0, "DISPLAY={display:?}");
    }
    // It opens: the address is its argument.
    let seen = tools.path().join("seen");
    write(&format!("#!/bin/sh\necho \"$1\" >{0}.part && mv {0}.part {0}\n", seen.display()));
    let login = start(":9");
    let deadline = Instant::now() + crate::cloud::PATIENCE;
    while !seen.exists() {
        assert!(Instant::now() < deadline, "the browser was never opened");
        std::thread::yield_now();
    }
    provider.visit(std::fs::read_to_string(&seen).unwrap().trim(), ANN);
    let printed = login.end(&machine);
    expect(&printed, 0, "Signed in as ann@acme.test.\n", opening);
}

#[test]
fn a_cloud_without_users_says_so() {
    let provider = Provider::shared();
    let cloud = Cloud::start();
    let machine = Machine::new(&cloud.url);
    let arguments = ["--sso", &provider.issuer, "--client-id", "coditect"];
    assert_eq!(provider.sign_in(&machine, ANN, &arguments).code, 0);
    let mut problem = protocol::problem::ProblemDocument::new(protocol::problem::Code::Forbidden);
    problem.detail = "You are signed in, but no organization here has you as a user.".to_owned();
    cloud.mood().problem_on = Some(("acquire", problem));
    expect(
        &machine.coditect(&["run", "true"]),
        1,
        "",
        "error: You are signed in, but no organization here has you as a user.\nhint: `coditect whoami` shows who is signed \
         in; `coditect logout` goes back to the license key.\n",
    );
}
