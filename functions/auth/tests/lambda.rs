//! The function's own program under a Lambda runtime API of ours: the same answers as from a port.
#![cfg(feature = "lambda")]
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop where it is")]

use std::collections::VecDeque;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use testing::World;
use tokio::sync::{Notify, oneshot};

const PATH: &str = "/api/v1/auth/license";

/// An event, and where its answer goes.
type Asked = (String, oneshot::Sender<Value>);

/// Hands out events, and sends each one's answer to its sender.
#[derive(Clone, Default)]
struct RuntimeApi {
    events: Arc<Mutex<VecDeque<Asked>>>,
    at_work: Arc<Mutex<Option<oneshot::Sender<Value>>>>,
    came: Arc<Notify>,
}

impl RuntimeApi {
    async fn start() -> (Self, String) {
        let api = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/{what}", post(answer))
            .with_state(api.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (api, address)
    }

    /// As API Gateway would call the function.
    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
            "headers": {"content-type": "application/json", "host": "example.execute-api.eu-west-1.amazonaws.com"},
            "requestContext": {
                "accountId": "1", "apiId": "a", "domainName": "d", "domainPrefix": "d", "requestId": "r",
                "routeKey": "$default", "stage": "$default", "time": "21/Nov/2026:12:00:00 +0000", "timeEpoch": 1,
                "http": {
                    "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.7", "userAgent": "test"
                },
            },
            "body": body.map(|b| b.to_string()), "isBase64Encoded": false,
        });
        let (send, receive) = oneshot::channel();
        self.events.lock().unwrap().push_back((event.to_string(), send));
        self.came.notify_one();
        tokio::time::timeout(std::time::Duration::from_secs(20), receive).await.expect("an answer in time").unwrap()
    }

    async fn ask(&self, key: &str) -> Value {
        self.call("POST", PATH, Some(json!({"license_key": key}))).await
    }
}

async fn next(State(api): State<RuntimeApi>) -> Response {
    loop {
        let event = api.events.lock().unwrap().pop_front();
        let Some((event, send)) = event else {
            api.came.notified().await;
            continue;
        };
        *api.at_work.lock().unwrap() = Some(send);
        let headers = [
            ("lambda-runtime-aws-request-id", "6f0c4b3e-0000-4000-8000-000000000001"),
            ("lambda-runtime-deadline-ms", "99999999999999"),
            ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-west-1:1:function:auth"),
            ("content-type", "application/json"),
        ];
        return (headers, event).into_response();
    }
}

async fn answer(State(api): State<RuntimeApi>, Path((_, what)): Path<(String, String)>, body: String) -> StatusCode {
    assert_eq!(what, "response", "{body}");
    let send = api.at_work.lock().unwrap().take().expect("an event was handed out");
    send.send(serde_json::from_str(&body).unwrap()).unwrap();
    StatusCode::ACCEPTED
}

struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(world: &World, runtime_api: &str) -> Started {
    let child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_auth")])
        .env_clear()
        .envs(world.variables("coditect_auth"))
        .env("PATH", "/usr/bin:/bin")
        .env("AWS_LAMBDA_RUNTIME_API", runtime_api)
        .envs([("AWS_LAMBDA_FUNCTION_NAME", "auth"), ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")])
        .envs([("AWS_LAMBDA_FUNCTION_VERSION", "1"), ("AWS_LAMBDA_LOG_STREAM_NAME", "s")])
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "g")
        .stdout(Stdio::null())
        .spawn();
    Started(child.expect("the program can be run"))
}

#[tokio::test]
async fn lambda_gets_the_same_answers() {
    let world = World::new().await;
    let tenant = world.tenant("acme").await;
    let license = world.license(tenant, "TEAM", 5).await;
    let (api, address) = RuntimeApi::start().await;
    let _function = start(&world, &address);

    let ready = api.call("GET", "/ready", None).await;
    assert_eq!(ready["statusCode"], 200, "{ready}");

    let token = api.ask(&license.key.to_string()).await;
    assert_eq!(token["statusCode"], 200, "{token}");
    let body: Value = serde_json::from_str(token["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["token_type"], "Bearer");

    let unknown = api.ask("CODITECT-TEAM-000000000000-0000").await;
    assert_eq!(unknown["statusCode"], 401, "{unknown}");
    assert_eq!(unknown["headers"]["content-type"], "application/problem+json");

    // A caller who guesses is refused in the end, by the address that API Gateway saw.
    let mut last = Value::Null;
    for _ in 0..61 {
        last = api.ask("CODITECT-TEAM-000000000000-0000").await;
    }
    assert_eq!(last["statusCode"], 429, "{last}");
}
