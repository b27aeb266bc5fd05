//! The tenants of a run, and how each of their doors is opened: HTTP with a token, Postgres as a function's role.

use std::collections::HashMap;

use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

use crate::{functions, load};

/// A tenant with a license that may sync.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    pub(crate) id: Uuid,
    pub(crate) license: Uuid,
    pub(crate) token: String,
    pub(crate) key: String,
}

/// Reads the tenants that `scripts/bench` made, a line each, and lets each of their licenses in.
pub(crate) async fn all(v: &HashMap<String, String>) -> Vec<Tenant> {
    let text = std::fs::read_to_string(&v["BENCH_STREAMS"]).expect("scripts/bench wrote the tenants");
    let mut tenants = Vec::new();
    for line in text.lines() {
        let [license, id, key] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("license, tenant and key, not {line:?}");
        };
        let answer = functions::access_token(&load::address(&v["AUTH_URL"]), key).await;
        let token = answer["access_token"].as_str().expect("an access token").to_owned();
        let (id, license) = (id.parse().expect("an id"), license.parse().expect("an id"));
        tenants.push(Tenant { id, license, token, key: key.to_owned() });
    }
    tenants
}

/// A connection as the role of a function, with that role's rights and its row-level security.
pub(crate) async fn as_function(v: &HashMap<String, String>, role: &str) -> Client {
    let file = format!("{}/function-password", v["BENCH_STACK_DIR"]);
    let password = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file}: {e}"));
    let mut config: tokio_postgres::Config = v["DATABASE_URL"].parse().expect("a Postgres URL");
    config.user(role).password(password.trim());
    let (client, connection) = config.connect(NoTls).await.expect("Postgres answers");
    tokio::spawn(connection);
    client
}

/// A connection as the owner of the tables.
pub(crate) async fn as_owner(v: &HashMap<String, String>) -> Client {
    let (client, connection) = tokio_postgres::connect(&v["DATABASE_URL"], NoTls).await.expect("Postgres answers");
    tokio::spawn(connection);
    client
}
