//! An installation with an enterprise license file.

use std::path::PathBuf;
use std::process::Command;

use jiff::Timestamp;
use protocol::token::{PERPETUAL, armour};
use serde_json::{Value, json};
use tempfile::TempDir;
use testing::World;
use testing::http::Client;
use testing::token::rs256;
use testing::world::{License, signing_key};

use crate::metrics::{parsed, sum};
use crate::world::{ACQUIRE, VALIDATE, all, device, question, seat, signed_in};

const DAY: i64 = 86_400;
const BINARY: &str = env!("CARGO_BIN_EXE_all-in-one");

/// A deployment that trusts the key of all tests, and a file that this key signs.
struct Installation {
    world: World,
    kid: String,
    dir: TempDir,
}

impl Installation {
    async fn new() -> Self {
        let world = World::new().await;
        let kid = world.key_id().await;
        let jwks = all(&world).await.get("/.well-known/jwks.json", 200).await.body;
        let dir = tempfile::tempdir().unwrap();
        let (keys, license) = (dir.path().join("keys"), dir.path().join("license"));
        std::fs::write(&keys, jwks.to_string()).unwrap();
        let world = world.with("ENTERPRISE_KEYS", keys.display().to_string());
        Self { world: world.with("ENTERPRISE_LICENSE", license.display().to_string()), kid, dir }
    }

    /// Makes an installation with a file for `users` users that ends in `seconds` seconds.
    async fn licensed(users: u32, seconds: i64) -> Self {
        let this = Self::new().await;
        this.hold(&this.file(&claims(users, seconds)));
        this
    }

    fn file(&self, claims: &Value) -> String {
        armour(&rs256(&signing_key(), &json!({"alg": "RS256", "typ": "JWT", "kid": self.kid}), claims))
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("license")
    }

    fn hold(&self, text: &str) {
        std::fs::write(self.path(), text).unwrap();
    }

    async fn license_of(&self, tenant: &str, seats: i32) -> License {
        self.world.license(self.world.tenant(tenant).await, "ENT", seats).await
    }

    /// Returns the mistake with which it refuses to start.
    fn refusal(&self) -> String {
        let mut setup = self.world.setup("coditect_all");
        assert!(all_in_one::connect(&mut setup).is_none(), "it starts");
        let mistakes: Vec<String> = setup.mistakes().iter().map(ToString::to_string).collect();
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        mistakes[0].clone()
    }
}

fn claims(users: u32, seconds: i64) -> Value {
    let now = Timestamp::now().as_second();
    json!({
        "iss": "coditect", "sub": uuid::Uuid::now_v7(), "aud": "coditect-on-premise", "typ": "enterprise-license",
        "iat": now - DAY, "exp": now + seconds, "jti": "file", "tenant_id": uuid::Uuid::now_v7(), "customer": "Acme",
        "tier": "ENTERPRISE", "users": users,
    })
}

async fn refused(caller: &Client, machine: usize, status: u16) -> Value {
    caller.post(ACQUIRE, json!({"hardware_id": device(machine)}), status).await.body
}

#[tokio::test]
async fn no_more_users_than_the_file_says_over_all_tenants_and_licenses() {
    let here = Installation::licensed(3, 365 * DAY).await;
    let client = all(&here.world).await;
    let (acme, other) = (here.license_of("acme", 100).await, here.license_of("elsewhere", 100).await);
    let (acme, other) = (signed_in(&client, &acme).await, signed_in(&client, &other).await);
    let first = seat(&acme, 1).await;
    seat(&acme, 2).await;
    seat(&other, 3).await;
    for (caller, machine) in [(&acme, 4), (&other, 5)] {
        let problem = refused(caller, machine, 409).await;
        assert_eq!(problem["code"], "no_seats_available");
        assert_eq!(problem["seats"], json!({"limit": 3, "in_use": 3}));
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("may serve 3 users") && detail.contains("enterprise license"), "{detail}");
        assert!(problem["retry_after_seconds"].as_u64().unwrap() <= 360, "{problem}");
    }
    // The file's limits apply whatever the database holds as seats and expiry.
    here.world
        .sql("update licenses set seats = 1000, revision = revision + 1, expires_at = now() + interval '9 years'")
        .await;
    refused(&other, 5, 409).await;
    first.release(200).await;
    seat(&other, 5).await;
    refused(&acme, 4, 409).await;
}

#[tokio::test]
async fn a_validation_ends_with_the_file_and_a_seat_that_is_held_a_day_later() {
    let here = Installation::licensed(3, 3600).await;
    let client = all(&here.world).await;
    let license = here.license_of("acme", 5).await;
    let now = Timestamp::now().as_second();
    let valid = client.post(VALIDATE, question(&license, 1), 200).await;
    for field in ["/grace_until", "/refresh_after", "/expires_at"] {
        let time: Timestamp = valid.text(field).parse().unwrap();
        assert!((now + 3590..=now + 3600).contains(&time.as_second()), "{field}: {time}");
    }
    let caller = signed_in(&client, &license).await;
    let taken = caller.post(ACQUIRE, json!({"hardware_id": device(1)}), 201).await;
    let token: Timestamp = taken.text("/expires_at").parse().unwrap();
    assert!((now + DAY..=now + DAY + 60).contains(&token.as_second()), "{token}");
}

/// Within the leeway for clock skew a file that has just expired is accepted at the start, as one that expires while it runs.
#[tokio::test]
async fn after_the_end_nobody_new_gets_in_and_who_sits_goes_on() {
    let here = Installation::licensed(3, 365 * DAY).await;
    let license = here.license_of("acme", 5).await;
    let before = all(&here.world).await;
    let caller = signed_in(&before, &license).await;
    let (ann, bob) = (seat(&caller, 1).await, seat(&caller, 2).await);

    here.hold(&here.file(&claims(3, -5)));
    let after = all(&here.world).await;
    let caller = signed_in(&after, &license).await;
    let problem = refused(&caller, 3, 403).await;
    assert_eq!((&problem["code"], &problem["reason"]), (&json!("license_inactive"), &json!("expired")));
    let answer = after.post(VALIDATE, question(&license, 1), 200).await;
    assert_eq!((&answer.body["valid"], answer.text("/reason")), (&json!(false), "expired"));
    after.bearer(ann.own.credential()).post("/api/v1/licenses/heartbeat", ann.body(), 200).await;
    after.bearer(bob.own.credential()).post("/api/v1/licenses/release", bob.body(), 200).await;
    caller.get("/api/v1/context/pull", 200).await;

    here.hold(&here.file(&claims(3, 365 * DAY)));
    let renewed = all(&here.world).await;
    seat(&signed_in(&renewed, &license).await, 3).await;
}

#[tokio::test]
async fn a_file_that_is_not_good_is_named_and_nothing_starts() {
    let here = Installation::new().await;
    let good = here.file(&claims(3, DAY));
    let other = tempfile::tempdir().unwrap().keep().join("other.pem");
    let made = Command::new("openssl").args(["genrsa", "-out"]).arg(&other).arg("2048").output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let forged = |kid: &str| armour(&rs256(&other, &json!({"alg": "RS256", "kid": kid}), &claims(9999, DAY)));
    let mut access = claims(3, DAY);
    access["aud"] = json!("coditect-api");
    for (file, says) in [
        (String::new(), "is not a whole enterprise license file"),
        (good[..good.len() / 2].to_owned(), "is not a whole enterprise license file"),
        (forged(&here.kid), "changed or forged"),
        (forged("mine"), "not the vendor's"),
        (here.file(&claims(3, -DAY / 2)), "has ended; ask the vendor"),
        (here.file(&access), "for something else"),
    ] {
        here.hold(&file);
        let refusal = here.refusal();
        assert!(refusal.starts_with("ENTERPRISE_LICENSE: ") && refusal.contains(says), "{refusal}");
        assert!(!refusal.contains("eyJ"), "the file is shown: {refusal}");
    }
    here.hold(&good);
    assert!(all_in_one::connect(&mut here.world.setup("coditect_all")).is_some());
    std::fs::remove_file(here.path()).unwrap();
    assert!(here.refusal().contains("can't be read: No such file"), "{}", here.refusal());
}

#[tokio::test]
async fn keys_demand_a_license_and_a_license_demands_keys() {
    let here = Installation::licensed(3, DAY).await;
    let keys = here.dir.path().join("keys").display().to_string();
    let world = World::new().await;
    for (name, value, says) in [
        ("ENTERPRISE_KEYS", keys, "ENTERPRISE_LICENSE: is not set"),
        ("ENTERPRISE_LICENSE", here.path().display().to_string(), "ENTERPRISE_LICENSE: can't be checked without"),
        ("ENTERPRISE_KEYS", "/nowhere".to_owned(), "ENTERPRISE_KEYS: /nowhere can't be read"),
        ("ENTERPRISE_KEYS", here.path().display().to_string(), "ENTERPRISE_KEYS: is not a JWKS document"),
    ] {
        let mut setup = common::Setup::from_variables(
            world.variables("coditect_all").into_iter().chain([(name.to_owned(), value)]),
        );
        assert!(all_in_one::connect(&mut setup).is_none(), "{says}");
        let said = setup.mistakes().iter().map(ToString::to_string).collect::<String>();
        assert!(said.starts_with(says), "{said}");
    }
    assert!(all_in_one::connect(&mut world.setup("coditect_all")).is_some(), "neither is a deployment without a limit");
}

/// Returns the log and the Prometheus metrics of a process that runs with a license file.
async fn told(exp: impl FnOnce(i64) -> i64) -> (String, Value) {
    let here = Installation::new().await;
    let mut claims = claims(40, 0);
    claims["exp"] = json!(exp(Timestamp::now().as_second()));
    here.hold(&here.file(&claims));
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let world = here.world.with("METRICS_LISTEN", address.to_string());
    let log = here.dir.path().join("log");
    let mut process = world.spawn_logging(BINARY, "coditect_all", "info", &log).await;
    let text = reqwest::get(format!("http://{address}/metrics")).await.unwrap().text().await.unwrap();
    process.terminate();
    (std::fs::read_to_string(log).unwrap(), parsed(&text))
}

fn left(families: &Value, limit: &str) -> Vec<f64> {
    let samples = families.as_array().unwrap().iter().flat_map(|family| family["samples"].as_array().unwrap());
    let samples = samples.filter(|s| s["name"] == "coditect_enterprise_license" && s["labels"]["limit"] == limit);
    samples.map(|s| s["value"].as_f64().unwrap()).collect()
}

#[tokio::test]
async fn from_thirty_days_before_the_end_on_the_log_says_so_and_metrics_always_do() {
    for (days, severity) in [(365, None), (31, None), (30, Some("WARNING")), (20, Some("WARNING"))] {
        let (log, metrics) = told(|now| now + days * DAY).await;
        let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let started = lines.iter().find(|line| line["message"] == "enterprise license").unwrap();
        assert_eq!((&started["customer"], &started["users"]), (&json!("Acme"), &json!(40)), "{log}");
        let warned = lines.iter().find(|line| line["message"].as_str().unwrap().contains("ends soon"));
        assert_eq!(warned.map(|line| line["severity"].as_str().unwrap()), severity, "{days}: {log}");
        assert!(warned.is_none_or(|line| line["days"] == days), "{log}");
        assert_eq!((left(&metrics, "users"), left(&metrics, "days_left")), (vec![40.0], vec![days as f64]));
    }
    let (log, metrics) = told(|_| PERPETUAL).await;
    assert!(!log.contains("ends soon"), "{log}");
    assert!(left(&metrics, "days_left").is_empty(), "what never ends has no days left");
    let (log, metrics) = told(|now| now - 5).await;
    assert!(log.contains("has ended: nobody new gets a seat") && log.contains("ERROR"), "{log}");
    assert_eq!(left(&metrics, "days_left"), [0.0]);
    assert!((sum(&metrics, "coditect_enterprise_license", &[("limit", "users")]) - 40.0).abs() < 1e-9);
}

#[tokio::test]
async fn a_container_without_another_program_can_ask_whether_it_is_ready() {
    let world = World::new().await;
    let process = world.spawn(BINARY, "coditect_all").await;
    let port = process.client.url().rsplit(':').next().unwrap().to_owned();
    let ask = |port: &str| {
        let asked = Command::new(BINARY).arg("health").env_clear().env("PORT", port).output().unwrap();
        (asked.status.code(), String::from_utf8(asked.stdout).unwrap())
    };
    assert_eq!(ask(&port), (Some(0), String::new()));
    assert_eq!(ask(&format!("0.0.0.0:{port}")).0, Some(0));
    drop(process);
    assert_eq!(ask(&port).0, Some(1));
    assert_eq!(ask("eighty").0, Some(64));
}
