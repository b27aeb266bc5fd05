//! Documents that are generated, or that must agree with the code. `UPDATE_DOCS=1` writes them anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use common::config;
use common::log_event::{self, Description, Field, Kind};
use protocol::problem::{Code, TYPE_BASE};
use serde_json::Value;
use testing::http::Method;

use crate::world::{all, whole_world};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Compares a file of the repository with what it must hold, or writes it.
pub(crate) fn compare(file: &str, expected: &str) {
    let path = root().join(file);
    if std::env::vars().any(|(name, _)| name == "UPDATE_DOCS") {
        std::fs::write(&path, expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{file} is out of date; UPDATE_DOCS=1 scripts/with-servers cargo test -p all-in-one writes it"
    );
}

async fn openapi() -> Value {
    let world = whole_world().await;
    all(&world).await.get("/openapi.json", 200).await.body
}

/// Method and path of every operation.
pub(crate) fn operations(openapi: &Value) -> BTreeMap<(String, String), Value> {
    let paths = openapi["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, operation)| ((method.to_uppercase(), path.clone()), operation.clone()))
    });
    each.collect()
}

#[tokio::test]
async fn the_openapi_document_is_current() {
    let document = openapi().await;
    assert_eq!(document["openapi"], "3.1.0");
    let text = document.to_string();
    for name in text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(document["components"]["schemas"][name].is_object(), "the document doesn't say what {name} is");
    }
    compare("docs/openapi.json", &format!("{document:#}\n"));
}

#[tokio::test]
async fn the_readme_names_the_folder_of_every_route() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let mut rows = BTreeMap::new();
    for line in readme.lines().filter(|l| l.starts_with("| `") && l.contains("](")) {
        let request = line.split('`').nth(1).unwrap().split_once(' ');
        let file = line.split("](").nth(1).unwrap().split(')').next().unwrap();
        if let Some((method, path)) = request.filter(|(method, _)| {
            Method::from_bytes(method.as_bytes()).is_ok() && method.chars().all(char::is_uppercase)
        }) {
            rows.insert((method.to_owned(), path.to_owned()), file.to_owned());
        }
    }
    let operations = operations(&openapi().await);
    assert_eq!(rows.keys().collect::<BTreeSet<_>>(), operations.keys().collect::<BTreeSet<_>>());
    for ((_, path), file) in rows {
        let code = std::fs::read_to_string(root().join(&file)).unwrap_or_default();
        assert!(code.contains(&path), "{file} doesn't answer {path}");
    }
}

/// Operations that need no credential; a new route must be added to one of these lists by hand.
const OPEN: &[&str] = &[
    "GET /.well-known/coditect.json",
    "GET /.well-known/jwks.json",
    "GET /api/v1/public-key",
    "POST /api/v1/auth/license",
    "POST /api/v1/licenses/deactivate",
    "POST /api/v1/licenses/validate",
    "POST /api/v1/telemetry",
    "POST /webhooks/stripe",
];
const GUARDED: &[&str] = &[
    "POST /api/v1/auth/claim",
    "POST /api/v1/billing/checkout",
    "POST /api/v1/billing/portal",
    "GET /api/v1/context/decisions",
    "GET /api/v1/context/history",
    "GET /api/v1/context/learnings",
    "GET /api/v1/context/pull",
    "GET /api/v1/context/status",
    "GET /api/v1/context/tasks",
    "POST /api/v1/context/push",
    "POST /api/v1/context/tasks",
    "POST /api/v1/licenses/acquire",
    "POST /api/v1/licenses/heartbeat",
    "POST /api/v1/licenses/release",
];

#[tokio::test]
async fn every_route_is_open_on_purpose_or_refuses_whoever_has_no_credential() {
    let world = whole_world().await;
    let client = all(&world).await;
    let document = client.get("/openapi.json", 200).await.body;
    let operations = operations(&document);
    let listed: BTreeSet<String> = OPEN.iter().chain(GUARDED).map(|r| (*r).to_owned()).collect();
    let there: BTreeSet<String> = operations.keys().map(|(method, path)| format!("{method} {path}")).collect();
    assert_eq!(listed, there);
    for ((method, path), operation) in &operations {
        let guarded = GUARDED.contains(&format!("{method} {path}").as_str());
        assert_eq!(operation.get("security").is_some(), guarded, "{path} in the OpenAPI document");
        if guarded {
            let request = client.request(Method::from_bytes(method.as_bytes()).unwrap(), path);
            let refused = client.send(request, 401).await;
            assert_eq!(refused.text("/code"), "invalid_token", "{path}");
        }
    }
}

#[tokio::test]
async fn the_configuration_reference_is_current() {
    let world = whole_world().await;
    let mut readers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut ask = |function: &'static str, connect: &dyn Fn(&mut common::Setup)| {
        let mut setup = world.setup("coditect_all");
        connect(&mut setup);
        for variable in setup.variables_read() {
            readers.entry(variable).or_default().push(function);
        }
    };
    ask("validate", &|s| drop(validate::State::connect(s)));
    ask("acquire", &|s| drop(acquire::State::connect(s)));
    ask("heartbeat", &|s| drop(heartbeat::State::connect(s)));
    ask("release", &|s| drop(release::State::connect(s)));
    ask("auth", &|s| drop(auth::State::connect(s)));
    ask("webhook-stripe", &|s| drop(webhook_stripe::State::connect(s)));
    ask("billing", &|s| drop(billing::State::connect(s)));
    ask("sync-push", &|s| drop(sync_push::State::connect(s)));
    ask("sync-pull", &|s| drop(sync_pull::State::connect(s)));
    ask("telemetry", &|s| assert!(telemetry::State::connect(s).is_some()));
    let mut whole = world.setup("coditect_all");
    assert!(all_in_one::connect(&mut whole).is_some());
    for variable in whole.variables_read() {
        readers.entry(variable).or_insert_with(|| vec!["all-in-one"]);
    }

    let mut text = "# Configuration\n\n<!-- Generated from common/src/config.rs by the tests of all-in-one; change it there. -->\n\n\
        Environment variables only, read once at start. Whatever is missing or wrong is named in one go, and the process\n\
        ends with exit code 64; a secret's value is never shown. `all-in-one` reads them all; `ops` reads `DATABASE_URL` (as the\n\
        owner), `REDIS_URL`, to issue licenses `LICENSE_KEY_PEPPER`, and to sign license files `SIGNING_KEY`.\n\n\
        | variable | meaning | default | example | read by |\n|---|---|---|---|---|\n"
        .to_owned();
    for variable in config::ALL {
        let default = variable.default.map_or("must be set".to_owned(), |d| format!("`{d}`"));
        let read_by = readers.get(variable.name).map_or("every function".to_owned(), |who| who.join(", "));
        let meaning = variable.meaning.split_whitespace().collect::<Vec<_>>().join(" ");
        writeln!(
            text,
            "| `{}` | {meaning} | {default} | `{}` | {read_by} |",
            variable.name,
            variable.example.replace('|', "\\|")
        )
        .unwrap();
    }
    compare("docs/configuration.md", &text);
}

#[test]
fn the_list_of_problem_codes_is_current() {
    let mut text = format!(
        "# Problem codes\n\n<!-- Generated from protocol/src/problem/code.rs by the tests of all-in-one; change it there. -->\n\n\
         Every error is `application/problem+json` (RFC 9457). Programs switch on `code`, which never changes; `type` is\n\
         `{TYPE_BASE}` and the code. `title` is always the same for a code, `detail` says what happened this time.\n\n\
         What a status makes a caller do: 400, 413, 415 and 422 – mend the request; 401 – get a new credential; 403 – get the right;\n\
         404 – it isn't there, or is another tenant's; 409 – wait for the time given; 410 – acquire again; 429 and 503 – try again\n\
         after `Retry-After`; 500 – tell support the `request_id`.\n\n\
         | status | code | title | what to do |\n|---|---|---|---|\n"
    );
    for code in Code::ALL {
        writeln!(text, "| {} | `{code}` | {} | {} |", code.status(), code.title(), code.advice()).unwrap();
    }
    compare("docs/errors.md", &text);
}

/// Returns the metrics that are derived from a fact where one process serves every function.
fn metrics_of(fact: &Description) -> String {
    let fields = fact.fields.iter().filter_map(|field| match field.kind {
        Kind::Label | Kind::Id | Kind::Number => None,
        Kind::Count => Some(format!(", `coditect_{}_{}_total`", fact.name, field.name)),
        Kind::Level => Some(format!(", `coditect_{}_{}` (gauge)", fact.name, field.name)),
        Kind::Latency | Kind::Age | Kind::Share => {
            Some(format!(", `coditect_{}_{}` (histogram)", fact.name, field.name))
        }
    });
    format!("`coditect_{}_total`{}", fact.name, fields.collect::<String>())
}

#[test]
fn the_list_of_facts_is_current() {
    let mut list = String::new();
    for fact in log_event::ALL {
        writeln!(list, "### {}\n\n{}\n", fact.name, fact.meaning.trim()).unwrap();
        writeln!(list, "| field | kind | meaning |\n|---|---|---|").unwrap();
        for Field { name, kind, meaning } in fact.fields {
            writeln!(list, "| `{name}` | {} | {} |", format!("{kind:?}").to_lowercase(), meaning.trim()).unwrap();
        }
        writeln!(list, "\nPrometheus: {}\n", metrics_of(fact)).unwrap();
    }
    const BEGIN: &str =
        "<!-- Generated from common/src/log_event.rs by the tests of all-in-one; change it there. -->\n\n";
    const END: &str = "<!-- End of what is generated. -->";
    let document = std::fs::read_to_string(root().join("docs/observability.md")).unwrap();
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    compare("docs/observability.md", &format!("{before}{BEGIN}{list}{END}{after}"));
}

#[test]
fn the_documents_link_to_what_is_there() {
    let docs = std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let all = docs.filter(|p| p.extension().is_some_and(|e| e == "md")).chain(
        ["README.md", "CONTRIBUTING.md", "migrations/README.md", "scripts/README.md"].map(|file| root().join(file)),
    );
    for document in all {
        let text = std::fs::read_to_string(&document).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if !link.is_empty() && !link.contains("://") {
                let target = document.parent().unwrap().join(link);
                assert!(target.exists(), "{} links to {link}", document.display());
            }
        }
    }
}

/// Each crate of the workspace with the crates that its code uses. Functions are one; tests and benchmarks are left out.
fn crates() -> BTreeMap<String, BTreeSet<String>> {
    let mut cargo = std::process::Command::new(env!("CARGO"));
    let output = cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(root());
    let metadata: Value = serde_json::from_slice(&output.output().unwrap().stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let place = |package: &Value| {
        let manifest = PathBuf::from(package["manifest_path"].as_str().unwrap());
        let folder = manifest.parent().unwrap().strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        if folder.starts_with("functions/") { "functions/*".to_owned() } else { folder }
    };
    let places: BTreeMap<&str, String> = packages.iter().map(|p| (p["name"].as_str().unwrap(), place(p))).collect();
    let mut crates: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages {
        let used = package["dependencies"].as_array().unwrap().iter().filter(|dependency| dependency["kind"].is_null());
        let used = used.filter_map(|dependency| places.get(dependency["name"].as_str().unwrap()));
        crates.entry(place(package)).or_default().extend(used.cloned());
    }
    crates.retain(|name, _| !["testing", "bench"].contains(&name.as_str()));
    for (name, used) in &mut crates {
        used.remove(name);
    }
    crates
}

/// Checks whether a crate reaches another one by way of a third.
fn reaches_by_others(crates: &BTreeMap<String, BTreeSet<String>>, from: &str, to: &str) -> bool {
    let mut waiting: Vec<&String> = crates[from].iter().filter(|used| *used != to).collect();
    while let Some(used) = waiting.pop() {
        if used == to {
            return true;
        }
        waiting.extend(&crates[used]);
    }
    false
}

#[test]
fn the_crate_map_is_current() {
    const BEGIN: &str = "<!-- Generated from Cargo.toml by all-in-one/tests/it/documents.rs. -->\n";
    const END: &str = "<!-- End of what is generated. -->\n";
    let crates = crates();
    let mut map = String::from("```mermaid\ngraph TD\n");
    for (name, used) in &crates {
        for used in used.iter().filter(|used| !reaches_by_others(&crates, name, used)) {
            let id = |name: &str| name.replace(['/', '*'], "_");
            let _ = writeln!(map, "    {}[\"{name}\"] --> {}[\"{used}\"]", id(name), id(used));
        }
    }
    map.push_str("```\n");
    let text = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    compare("docs/architecture.md", &format!("{before}{BEGIN}{map}{END}{after}"));
}
