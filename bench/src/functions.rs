//! The functions under load, each through its own program.

use std::time::Duration;

use serde_json::{Value, json};

use crate::load::{self, Measured, Plan};

/// Number of concurrent users.
pub(crate) const USERS: usize = 100;

/// Addresses of the functions, and the license that is used.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) validate: String,
    pub(crate) acquire: String,
    pub(crate) heartbeat: String,
    pub(crate) release: String,
    pub(crate) key: String,
    pub(crate) access_token: String,
}

/// A session as `acquire` returned it.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) token: String,
}

/// A device's id that differs for each user and number.
pub(crate) fn device(kind: u8, user: usize, n: usize) -> String {
    format!("{kind:02x}{user:031x}{n:031x}")
}

fn plan(requests_per_user: usize, pace: Option<Duration>) -> Plan {
    Plan { users: USERS, requests_per_user, pace, keep_bodies: true }
}

impl Target {
    /// Validations of 100 devices.
    pub(crate) async fn validate(&self, each: usize, pace: Option<Duration>) -> Measured {
        let run = plan(each, pace);
        load::run(&self.validate, run, |user, _| {
            let body = json!({"license_key": self.key, "machine_id": device(1, user, 0), "version": "1.0.0"});
            load::post("/api/v1/licenses/validate", None, &body.to_string())
        })
        .await
    }

    /// New seats, each for another device.
    pub(crate) async fn acquire(&self, round: usize, each: usize, pace: Option<Duration>) -> (Measured, Vec<Session>) {
        let measured = load::run(&self.acquire, plan(each, pace), |user, n| {
            let body = json!({"hardware_id": device(2, user, round * 1_000_000 + n)});
            load::post("/api/v1/licenses/acquire", Some(&self.access_token), &body.to_string())
        })
        .await;
        let sessions = measured.bodies.iter().map(|body| session(body)).collect();
        (measured, sessions)
    }

    /// Heartbeats of 100 sessions.
    pub(crate) async fn heartbeat(&self, sessions: &[Session], each: usize, pace: Option<Duration>) -> Measured {
        load::run(&self.heartbeat, plan(each, pace), |user, _| {
            let session = &sessions[user % sessions.len()];
            load::post(
                "/api/v1/licenses/heartbeat",
                Some(&session.token),
                &json!({"session_id": session.id}).to_string(),
            )
        })
        .await
    }

    /// Releases of sessions, as many as there are users' shares.
    pub(crate) async fn release(&self, sessions: &[Session], each: usize, pace: Option<Duration>) -> Measured {
        load::run(&self.release, plan(each, pace), |user, n| {
            let session = &sessions[user * each + n];
            load::post("/api/v1/licenses/release", Some(&session.token), &json!({"session_id": session.id}).to_string())
        })
        .await
    }
}

/// The session in an acquire's answer.
pub(crate) fn session(body: &[u8]) -> Session {
    let answer: Value = serde_json::from_slice(body).expect("an answer is JSON");
    let text = |name: &str| answer[name].as_str().expect("an acquire answers with a session").to_owned();
    Session { id: text("session_id"), token: text("license_token") }
}

/// Exchanges a license key for an access token.
pub(crate) async fn access_token(auth: &str, key: &str) -> Value {
    let run = Plan { users: 1, requests_per_user: 1, pace: None, keep_bodies: true };
    let measured =
        load::run(auth, run, |_, _| load::post("/api/v1/auth/license", None, &json!({"license_key": key}).to_string()))
            .await;
    let body = measured.bodies.first().expect("auth answers a good key");
    serde_json::from_slice(body).expect("an answer is JSON")
}
