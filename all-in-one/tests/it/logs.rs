//! The contents of the log, and the secrets that it never contains.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Value, json};
use testing::World;
use testing::http::{Client, Method};
use testing::stripe::{Event, Events, Signer, Subscription, Version};
use testing::world::{License, PEPPER, WEBHOOK_SECRET};
use uuid::Uuid;

use crate::oidc::{self, CLIENT, Provider};
use crate::world::{ACQUIRE, AUTH, CHECKOUT, HEARTBEAT, PUSH, Seat, VALIDATE, device, question, seat, signed_in};

static SIGNER: LazyLock<Signer> = LazyLock::new(Signer::start);

const ALL_IN_ONE: &str = env!("CARGO_BIN_EXE_all-in-one");
const REDIS_PASSWORD: &str = "redis-Pa55word";
const POSTGRES_PASSWORD: &str = "postgres-Pa55word";
const STRIPE_KEY: &str = "sk_test_Pa55word0123456789";
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Returns every line, which must be JSON with the fields that Cloud Logging requires.
pub(crate) fn lines(log: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap();
    let parsed = text.lines().map(|line| {
        let parsed: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let severity = parsed["severity"].as_str().unwrap_or_else(|| panic!("no severity: {line}"));
        assert!(["DEBUG", "INFO", "WARNING", "ERROR"].contains(&severity), "{line}");
        parsed["time"].as_str().unwrap().parse::<Timestamp>().unwrap();
        for field in ["function", "message"] {
            assert!(parsed[field].as_str().is_some_and(|text| !text.is_empty()), "no {field}: {line}");
        }
        parsed
    });
    parsed.collect()
}

pub(crate) fn facts<'a>(lines: &'a [Value], name: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["fact"] == name).collect()
}

async fn stripe(client: &Client, event: &Event, secret: &str, status: u16) {
    let body = event.body();
    let signature = SIGNER.header(&body, secret, Timestamp::now().as_second());
    let request = client.request(Method::POST, "/webhooks/stripe").header("stripe-signature", signature).body(body);
    client.send(request, status).await;
}

/// Makes a deployment that has every kind of secret.
async fn secretive(issuers: &Value) -> World {
    let world = World::new().await;
    world.redis.command(&["CONFIG", "SET", "requirepass", REDIS_PASSWORD]).await;
    let redis = world.redis.url();
    assert!(redis.starts_with("unix://"), "{redis}");
    let redis = format!("{redis}?pass={REDIS_PASSWORD}");
    let postgres = format!("{} password={POSTGRES_PASSWORD}", world.db.url("coditect_all"));
    world
        .with("REDIS_URL", redis)
        .with("DATABASE_URL", postgres)
        .with("STRIPE_API_KEY", STRIPE_KEY)
        .with("STRIPE_API_BASE", "http://127.0.0.1:9")
        .with("OIDC_ISSUERS", issuers.to_string())
        .with("GOOGLE_CLOUD_PROJECT", "coditect-test")
}

/// Everything that a log must not hold once all of it was used.
#[derive(Default)]
struct Secrets(BTreeSet<String>);

impl Secrets {
    fn add(&mut self, secret: impl Into<String>) {
        self.0.insert(secret.into());
    }

    /// Adds a token's signature, which is what makes it usable; whole tokens are found by their shape.
    fn add_token(&mut self, token: &str) {
        self.add(token.rsplit('.').next().unwrap().chars().take(40).collect::<String>());
    }

    fn must_not_be_in(&self, text: &str) {
        for secret in &self.0 {
            let found = text.lines().find(|line| line.to_lowercase().contains(&secret.to_lowercase()));
            assert!(found.is_none(), "{secret} is in the log: {}", found.unwrap_or_default());
        }
        // Two parts of base64url JSON that begin like a JSON object: a token, of any issuer.
        let mut words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)));
        assert_eq!(words.find(|word| word.starts_with("eyJ") && word.contains(".eyJ")), None);
    }
}

/// Plays a developer's day; returns the client that was used.
async fn a_day_with_its_mistakes(client: &Client, license: &License, secrets: &mut Secrets) -> Client {
    secrets.add_token(client.post(VALIDATE, question(license, 1), 200).await.text("/validation_token"));
    let caller = signed_in(client, license).await;
    secrets.add_token(caller.credential());
    let request = caller.request(Method::POST, ACQUIRE).header("traceparent", TRACEPARENT);
    let request = request.header("cookie", "session=cookie-Pa55word").header("x-request-id", "morning");
    secrets.add("cookie-Pa55word");
    let answer = client.send(request.json(&json!({"hardware_id": device(1)})), 201).await;
    let held = Seat::of(client, &answer);
    secrets.add_token(answer.text("/license_token"));
    caller.post(ACQUIRE, json!({"hardware_id": device(2)}), 409).await;
    held.beat(200).await;
    held.release(200).await;
    held.beat(410).await;
    for (wrong, status) in [("CODITECT-WRONG-SECRET", 401), ("CODITECT-PRO-A7F3E9D2C4B1-0000", 401)] {
        client.post(AUTH, json!({"license_key": wrong}), status).await;
        client.post(VALIDATE, json!({"license_key": wrong, "machine_id": device(1), "version": "1"}), 200).await;
        secrets.add(wrong);
    }
    client.get("/api/v1/CODITECT-IN-A-PATH?token=query-Pa55word", 404).await;
    client.bearer("not.a.token").post(ACQUIRE, json!({"hardware_id": device(1)}), 401).await;
    for wrong in ["CODITECT-IN-A-PATH", "query-Pa55word", "not.a.token"] {
        secrets.add(wrong);
    }
    let record =
        json!({"kind": "task", "id": "t1", "updated_at": "2026-01-01T00:00:00Z", "content": {"x": "content-Pa55word"}});
    secrets.add("content-Pa55word");
    caller.post(PUSH, json!({"device_id": "d1", "records": [record]}), 200).await;
    caller.get("/api/v1/context/pull", 200).await;
    caller
}

#[tokio::test]
async fn no_log_line_holds_a_secret_however_much_is_logged() {
    let provider = Provider::shared();
    let mut world = secretive(&json!([{"issuer": provider.issuer, "audience": CLIENT, "tenants": "*"}])).await;
    let tenant = world.tenant("acme").await;
    let license = world.license(tenant, "TEAM", 1).await;
    world.user(tenant, "ann@acme.test", None).await;
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut process = world.spawn_logging(ALL_IN_ONE, "coditect_all", "trace", &log).await;
    let client = process.client.clone();
    let mut secrets = Secrets::default();
    for known in [PEPPER, REDIS_PASSWORD, POSTGRES_PASSWORD, STRIPE_KEY, WEBHOOK_SECRET, "BEGIN PRIVATE KEY"] {
        secrets.add(known);
    }
    let key = license.key.to_string();
    secrets.add(key.split('-').nth(2).unwrap());

    let caller = a_day_with_its_mistakes(&client, &license, &mut secrets).await;

    // A person with a mail address, who wants to buy something of a Stripe that isn't there.
    let ann = provider.id_token(oidc::ANN).await;
    secrets.add_token(&ann);
    secrets.add("ann@acme.test");
    seat(&client.bearer(&ann), 3).await.release(200).await;
    let ask =
        json!({"plan": "TEAM", "seats": 5, "success_url": "https://example.com", "cancel_url": "https://example.com"});
    client.bearer(&ann).try_post(CHECKOUT, ask).await;

    // Webhooks from Stripe, and one with a signature that is not Stripe's.
    let now = Timestamp::now().as_second();
    let mut bought = Subscription::new("bought", &[("price_team", 1)], now);
    bought.email = "buyer@acme.test".to_owned();
    secrets.add("buyer@acme.test");
    let events = Events::new(Version::Current);
    stripe(&client, &events.subscription("created", &bought, now), WEBHOOK_SECRET, 200).await;
    stripe(&client, &events.checkout("checkout.session.completed", &bought, true, now), WEBHOOK_SECRET, 200).await;
    stripe(&client, &events.customer("updated", &bought, now), "whsec_another", 400).await;

    // Outages of everything, whose errors carry the database's own messages.
    world.sql("alter table sessions rename to elsewhere").await;
    caller.post(ACQUIRE, json!({"hardware_id": device(4)}), 500).await;
    world.redis.stop();
    client.post(VALIDATE, question(&license, 1), 503).await;
    assert_eq!(process.terminate(), Some(0));

    let text = std::fs::read_to_string(&log).unwrap();
    secrets.must_not_be_in(&text);
    let lines = lines(&log);
    requests_say_what_they_were(&lines, &tenant.to_string());
    for fact in ["seat_granted", "seat_denied", "validated", "signed", "stripe_event", "license_created"] {
        assert!(!facts(&lines, fact).is_empty(), "no {fact} but {:#?}", facts(&lines, "stripe_event"));
    }
    for fact in ["context_pushed", "context_pulled", "access_refused"] {
        assert!(!facts(&lines, fact).is_empty(), "no {fact}");
    }
}

/// Checks the line of each request, and the lines that were logged while it was handled.
fn requests_say_what_they_were(lines: &[Value], tenant: &str) {
    let requests: Vec<&Value> =
        lines.iter().filter(|line| line.get("micros").is_some() && line.get("status").is_some()).collect();
    let mut statuses = BTreeMap::new();
    for line in &requests {
        for field in ["method", "route", "request_id", "function"] {
            assert!(line[field].is_string(), "no {field}: {line}");
        }
        *statuses.entry((line["route"].as_str().unwrap(), line["status"].as_u64().unwrap())).or_insert(0) += 1;
        let status = line["status"].as_u64().unwrap();
        assert_eq!(
            line["severity"],
            if status == 503 {
                "WARNING"
            } else if status >= 500 {
                "ERROR"
            } else {
                "DEBUG"
            }
        );
        // The readiness check reports failures in a document of its own, without an error code.
        assert_eq!(line.get("code").is_some(), status >= 400 && line["route"] != "/ready", "{line}");
    }
    for wanted in [(ACQUIRE, 201), (ACQUIRE, 409), (ACQUIRE, 500), (HEARTBEAT, 200), (VALIDATE, 503), ("none", 404)] {
        assert!(statuses.contains_key(&wanted), "{wanted:?} among {statuses:?}");
    }
    let said: BTreeSet<&str> =
        requests.iter().flat_map(|line| line.as_object().unwrap().keys().map(String::as_str)).collect();
    let document =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/observability.md")).unwrap();
    let section = document.split("\n## ").find(|section| section.starts_with("Lines")).unwrap();
    let documented = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(said, documented.filter(|field| *field != "fact").collect());
    let morning: Vec<_> = lines.iter().filter(|line| line["request_id"] == "morning").collect();
    assert!(
        morning.iter().any(|line| line["fact"] == "seat_granted") && morning.iter().any(|line| line["status"] == 201)
    );
    for line in morning.iter().filter(|line| line["status"] == 201 || line.get("fact").is_some()) {
        assert_eq!((&line["tenant"], &line["function"]), (&json!(tenant), &json!("acquire")), "{line}");
        assert_eq!(
            line["logging.googleapis.com/trace"],
            "projects/coditect-test/traces/4bf92f3577b34da6a3ce929d0e0e4736"
        );
        assert_eq!(line["logging.googleapis.com/spanId"], "00f067aa0ba902b7");
        assert_eq!(line["logging.googleapis.com/trace_sampled"], true);
    }
}

#[tokio::test]
async fn a_heartbeat_writes_nothing_and_facts_are_written_whatever_is_logged() {
    let world = World::new().await;
    let license = world.license(world.tenant("acme").await, "TEAM", 2).await;
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let process = world.spawn_logging(ALL_IN_ONE, "coditect_all", "error", &log).await;
    let caller = signed_in(&process.client, &license).await;
    let held = seat(&caller, 1).await;
    let before = lines(&log).len();
    for _ in 0..50 {
        held.beat(200).await;
    }
    assert_eq!(lines(&log).len(), before);
    seat(&caller, 2).await;
    caller.post(ACQUIRE, json!({"hardware_id": device(2)}), 200).await;
    caller.post(ACQUIRE, json!({"hardware_id": device(3)}), 409).await;

    let lines = lines(&log);
    assert!(lines.iter().all(|line| line["fact"].is_string()), "{lines:?}");
    let granted = facts(&lines, "seat_granted");
    let told: Vec<_> =
        granted.iter().map(|l| (l["session"].as_str().unwrap(), &l["in_use"], &l["limit"], &l["used"])).collect();
    let (one, two) = (json!(1), json!(2));
    assert_eq!(
        told,
        [("new", &one, &two, &json!(0.5)), ("new", &two, &two, &json!(1.0)), ("known", &two, &two, &json!(1.0))]
    );
    assert!(granted.iter().all(|line| line["plan"] == "TEAM" && line["license"] == json!(license.id)));
    let denied = facts(&lines, "seat_denied");
    assert_eq!((denied.len(), &denied[0]["reason"], &denied[0]["limit"]), (1, &json!("full"), &two));
    let signed = facts(&lines, "signed");
    assert!(signed.len() == 4 && signed.iter().all(|line| line["outcome"] == "made" && line["seconds"].is_f64()));

    // Redis loses its data, and the seats of two sessions that stopped sending heartbeats pass to others.
    world.redis.flush().await;
    held.beat(200).await;
    let later = self::lines(&log);
    let restored = facts(&later, "seats_restored");
    let told: Vec<_> = restored.iter().map(|line| (&line["sessions"], &line["outcome"])).collect();
    assert_eq!(told, [(&json!(0), &json!("applied")), (&two, &json!("applied"))], "at the first use, and now");
    world.redis.age_seats(license.id, 400_000).await;
    caller.post(ACQUIRE, json!({"hardware_id": device(4)}), 201).await;
    let later = self::lines(&log);
    let expired = facts(&later, "seat_expired");
    assert!(!expired.is_empty() && expired[0]["seats"].as_u64().unwrap() >= 1, "{expired:?}");
    expired[0]["license"].as_str().unwrap().parse::<Uuid>().unwrap();
}

#[tokio::test]
async fn postgres_logs_no_value_of_a_statement() {
    let world = World::new().await;
    let sql = world.db.connect("postgres").await;
    let (folder, name) = {
        let row = sql
            .query_one("select split_part(current_setting('unix_socket_directories'), ',', 1), current_database()", &[])
            .await
            .unwrap();
        (row.get::<_, String>(0), row.get::<_, String>(1))
    };
    // The row of a failed check, the key of a failed unique index, and the parameters of a statement that is slow enough.
    let secret = format!("ada-{}@acme.test", Uuid::now_v7().simple());
    let upper = secret.to_uppercase();
    let tenant = world.tenant("acme").await.as_uuid();
    world.user(protocol::id::TenantId::from_uuid(tenant), &secret, None).await;
    sql.batch_execute("set log_min_duration_statement = 0").await.unwrap();
    let insert =
        format!("/* of {name} */ insert into users (id, tenant_id, email, role) values ($1, $2, $3, 'member')");
    for address in [&secret, &upper] {
        sql.execute(&insert, &[&Uuid::now_v7(), &tenant, address]).await.unwrap_err();
    }
    sql.query("select email from users where email = $1", &[&secret]).await.unwrap();
    let log = std::fs::read_to_string(Path::new(&folder).join("log")).unwrap();
    assert!(log.contains(&insert), "the statements themselves are in the log");
    assert!(!log.contains(&secret) && !log.contains(&upper), "an address is in PostgreSQL's log");
}

#[test]
fn every_postgres_that_is_set_up_here_logs_no_values() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for file in ["scripts/stack", "scripts/with-servers", "onprem/compose.yaml"] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        for setting in
            ["log_error_verbosity=terse", "log_parameter_max_length=0", "log_parameter_max_length_on_error=0"]
        {
            assert!(text.contains(setting), "{file} is without {setting}");
        }
    }
    let cloud = std::fs::read_to_string(root.join("terraform/modules/postgres/main.tf")).unwrap();
    let flags: BTreeSet<(&str, &str)> = cloud
        .split("database_flags {")
        .filter_map(|flag| {
            let mut values = flag.split('"');
            Some((values.nth(1)?, values.nth(1)?))
        })
        .collect();
    for flag in [("log_error_verbosity", "terse"), ("log_min_duration_statement", "-1"), ("log_statement", "ddl")] {
        assert!(flags.contains(&flag), "{flag:?} is not in {flags:?}");
    }
}
