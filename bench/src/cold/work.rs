//! Typical requests of each function, a different one each time.

use std::collections::HashMap;

use serde_json::json;
use uuid::Uuid;

use super::{ALL, STARTS};
use crate::context::pull;
use crate::context::record::Records;
use crate::functions::{self, Session, device};
use crate::load::{self, Plan};
use crate::webhook::Stripe;

/// A license, its sessions, and customers of Stripe's.
#[derive(Debug)]
pub(crate) struct Work {
    key: String,
    token: String,
    /// The session for heartbeats; the others are for releases.
    kept: Session,
    sessions: Vec<Session>,
    stripe: Stripe,
    devices: usize,
}

impl Work {
    /// Acquires seats from the running functions.
    pub(crate) async fn open(v: &HashMap<String, String>) -> Self {
        let key = v["BENCH_KEY"].clone();
        let at = |name: &str| load::address(&v[name]);
        let token = functions::access_token(&at("AUTH_URL"), &key).await;
        let token = token["access_token"].as_str().expect("an access token").to_owned();
        let plan = Plan { users: 1, requests_per_user: 2 * STARTS + 1, pace: None, keep_bodies: true };
        let taken = load::run(&at("ACQUIRE_URL"), plan, |_, n| acquire(&token, n)).await;
        let mut sessions: Vec<Session> = taken.bodies.iter().map(|body| functions::session(body)).collect();
        let kept = sessions.pop().expect("a session for each request");
        let stripe = Stripe::open(at("WEBHOOK_STRIPE_URL"), &v["STRIPE_WEBHOOK_SECRETS"]).await;
        Self { key, token, kept, sessions, stripe, devices: 3 * STARTS }
    }

    /// Returns the next request to a function, and the status of its answer.
    pub(crate) fn request(&mut self, function: &str) -> (Vec<u8>, u16) {
        self.devices += 1;
        let request = match function {
            "validate" | ALL => {
                let body =
                    json!({"license_key": self.key, "machine_id": device(1, 0, self.devices), "version": "1.0.0"});
                load::post("/api/v1/licenses/validate", None, &body.to_string())
            }
            "acquire" => return (acquire(&self.token, self.devices), 201),
            "heartbeat" => of_session("heartbeat", &self.kept),
            "release" => of_session("release", &self.sessions.pop().expect("a session for each start")),
            "auth" => load::post("/api/v1/auth/license", None, &json!({"license_key": self.key}).to_string()),
            "sync-push" => load::post("/api/v1/context/push", Some(&self.token), &Records::new(1).body()),
            "sync-pull" => pull::request(&self.token, None, ""),
            "webhook-stripe" => self.stripe.next(),
            // A license key may not pay, so this is as far as billing gets without Stripe.
            "billing" => {
                let body = json!({"return_url": "https://example.com"}).to_string();
                return (load::post("/api/v1/billing/portal", Some(&self.token), &body), 403);
            }
            "telemetry" => {
                let event = json!({"command": "validate", "exit": "yes", "duration": "under_10_ms", "version": "1.0.0",
                    "os": "linux", "arch": "x86_64"});
                let body = json!({"installation_id": Uuid::now_v7(), "events": [event]}).to_string();
                return (load::post("/api/v1/telemetry", None, &body), 202);
            }
            other => panic!("what is {other} there for?"),
        };
        (request, 200)
    }
}

fn acquire(token: &str, n: usize) -> Vec<u8> {
    load::post("/api/v1/licenses/acquire", Some(token), &json!({"hardware_id": device(2, 0, n)}).to_string())
}

fn of_session(verb: &str, session: &Session) -> Vec<u8> {
    let body = json!({"session_id": session.id}).to_string();
    load::post(&format!("/api/v1/licenses/{verb}"), Some(&session.token), &body)
}
