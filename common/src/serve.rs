//! A process around a function's routes.
//!
//! [`run`] is a function's whole `main`: it reads the configuration, listens, and adds what every function has: a request
//! id, one log line for what went wrong, limits, `/health`, `/ready`, `/openapi.json`, problem documents for unknown routes
//! and panics, and a graceful end on `SIGTERM`.
//!
//! A client that hangs up, or the time limit, stops no handler between two of its writes: the handler runs to its end, which
//! its own limits bound.

mod completion;
pub(crate) mod connection;
mod unread;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use protocol::problem::Code;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Layer;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;
use tower_http::normalize_path::{NormalizePath, NormalizePathLayer};
use tracing::Instrument as _;
use utoipa_axum::router::OpenApiRouter;

use crate::body::json;
use crate::caller::ClientAddress;
use crate::config::{self, Setup};
use crate::log_event::LogEvent;
use crate::logs::{Log, RequestLine};
use crate::problem::Problem;
use crate::request::{self, Current, REQUEST_ID};
use crate::trace::{self, Exporter};
use crate::{metrics, openapi, probe, span};
use completion::Completion;

/// Time limit of a request, after which it is given up.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of requests that a process answers at once, also for callers that are gone; others get `503`.
const RUNNING_LIMIT: u32 = 1024;
/// Time limit of a readiness check.
const READY_TIMEOUT: Duration = Duration::from_secs(2);
/// Time for which running requests may go on after `SIGTERM`; Cloud Run kills after 10 seconds.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(8);
/// Size above which answers are compressed; smaller ones cost more to compress than to send.
const COMPRESS_ABOVE_BYTES: u64 = 1024;
/// The liveness route, which is never refused.
const HEALTH: &str = "/health";
/// Name of the route of a request that matched none.
const NO_ROUTE: &str = "none";

/// `EX_USAGE` of sysexits: the configuration is wrong, and trying again doesn't help.
const EXIT_CONFIGURATION: u8 = 64;

/// Runs a function until it receives a signal to stop.
pub fn run<S: Clone + Send + Sync + 'static>(
    name: &'static str,
    connect: fn(&mut Setup) -> Option<S>,
    routes: fn(&S) -> OpenApiRouter<S>,
) -> ExitCode {
    run_routes(name, |setup| connect(setup).map(|state| routes(&state).with_state(state)))
}

/// Runs routes that have their state already: one function's, or several merged.
pub fn run_routes(name: &'static str, build: impl FnOnce(&mut Setup) -> Option<OpenApiRouter>) -> ExitCode {
    let mut setup = Setup::from_env();
    if probe::is_requested() {
        let listen = setup.defaulted(&config::PORT, listen_address);
        return listen.map_or(ExitCode::from(EXIT_CONFIGURATION), probe::run);
    }
    install_crypto();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let log = Log::from_setup(&mut setup, name);
    let exporter = Exporter::from_setup(&mut setup, name);
    log.start_with(exporter.as_ref());
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(e) => return failed_start(&[format!("The async runtime could not be started: {e}")]),
    };
    runtime.block_on(async {
        let listen = setup.defaulted(&config::PORT, listen_address);
        let app = build(&mut setup);
        let app = app.and_then(|routes| App::new(name, setup_ok(&mut setup)?, routes));
        let (Some(listen), Some(app)) = (listen, app) else {
            let mistakes: Vec<_> = setup.mistakes().iter().map(ToString::to_string).collect();
            return failed_start(&mistakes);
        };
        #[cfg(feature = "lambda")]
        if crate::lambda::is_there() {
            return app.serve_lambda().await;
        }
        match TcpListener::bind(listen).await {
            Ok(listener) => app.serve(listener, shutdown_signal()).await,
            Err(e) => return failed_start(&[format!("PORT: can't listen on {listen}: {e}")]),
        }
        if let Some(exporter) = exporter {
            exporter.flush().await;
        }
        ExitCode::SUCCESS
    })
}

fn setup_ok(setup: &mut Setup) -> Option<Setup> {
    setup.mistakes().is_empty().then(|| std::mem::take(setup))
}

fn failed_start(mistakes: &[String]) -> ExitCode {
    for mistake in mistakes {
        tracing::error!("{mistake}");
    }
    ExitCode::from(EXIT_CONFIGURATION)
}

/// Chooses the cryptography that TLS and tokens use, once per process.
pub fn install_crypto() {
    // Both return an error when one was installed before, as in tests that start several functions.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

fn listen_address(value: &str) -> Result<SocketAddr, String> {
    let port = value.parse::<u16>().map(|port| SocketAddr::from(([0, 0, 0, 0], port)));
    port.or_else(|_| value.parse()).map_err(|_| "must be a port, or address:port".to_owned())
}

/// A function ready to serve.
pub struct App {
    service: NormalizePath<Router>,
    tasks: Vec<config::BoxFuture<()>>,
    name: &'static str,
    running: Arc<Semaphore>,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("name", &self.name).finish_non_exhaustive()
    }
}

struct Shared {
    name: &'static str,
    checks: config::Checks,
    openapi: Bytes,
    proxy_hops: usize,
    running: Arc<Semaphore>,
}

impl App {
    /// Adds the layers and routes that every function has. `None` when the configuration has a mistake.
    pub fn new(name: &'static str, mut setup: Setup, routes: OpenApiRouter) -> Option<Self> {
        let proxy_hops = setup.defaulted(&config::TRUSTED_PROXY_HOPS, config::number)?;
        let (router, api) = routes.split_for_parts();
        let openapi = openapi::complete(api).into();
        let tasks = std::mem::take(&mut setup.tasks);
        let running = Arc::new(Semaphore::new(RUNNING_LIMIT as usize));
        let shared =
            Arc::new(Shared { name, checks: setup.checks, openapi, proxy_hops, running: Arc::clone(&running) });
        let router = router
            .route(HEALTH, get(|| async { json(StatusCode::OK, r#"{"status":"ok"}"#) }))
            .route("/ready", get(ready).with_state(Arc::clone(&shared)))
            .route("/openapi.json", get(document).with_state(Arc::clone(&shared)))
            .fallback(|| async { Problem::no_such_route() })
            .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
            .layer(CatchPanicLayer::custom(|_| Problem::internal_error("a handler panicked").into_response()))
            .layer(
                CompressionLayer::new()
                    .quality(CompressionLevel::Fastest)
                    .compress_when(SizeAbove::new(COMPRESS_ABOVE_BYTES)),
            )
            .layer(axum::middleware::from_fn_with_state(shared, edge));
        // Around the router, because its own layers run only once a route was found.
        let service = NormalizePathLayer::trim_trailing_slash().layer(router);
        Some(Self { service, tasks, name, running })
    }

    /// Answers the events of AWS Lambda, until it ends the process.
    #[cfg(feature = "lambda")]
    async fn serve_lambda(self) -> ExitCode {
        for task in self.tasks {
            tokio::spawn(task);
        }
        crate::lambda::serve(self.service).await
    }

    /// Serves until `stop` resolves, then lets running requests end.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) {
        let address = listener.local_addr().map(|a| a.to_string()).unwrap_or_default();
        tracing::info!(function = self.name, address, "listening");
        for task in self.tasks {
            tokio::spawn(task);
        }
        let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
        let graceful = async move {
            stop.await;
            let _ = stopping.send(());
        };
        let serving = async {
            connection::serve(listener, self.service, graceful).await;
            // Waits for handlers whose callers are gone.
            drop(self.running.acquire_many(RUNNING_LIMIT).await);
        };
        let grace_over = async {
            let _ = stopped.await;
            tokio::time::sleep(SHUTDOWN_GRACE).await;
        };
        tokio::select! {
            () = serving => {}
            () = grace_over => tracing::warn!("requests still running after the grace were cut off"),
        }
    }
}

async fn shutdown_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("the runtime handles signals");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

async fn document(State(shared): State<Arc<Shared>>) -> Response {
    json(StatusCode::OK, shared.openapi.clone())
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let rows = futures_util::future::join_all(shared.checks.iter().map(|(name, check)| async move {
        let answer =
            tokio::time::timeout(READY_TIMEOUT, check()).await.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        if let Err(cause) = &answer {
            tracing::warn!(dependency = name, cause, "not ready");
        }
        (*name, answer.is_ok())
    }))
    .await;
    let all = rows.iter().all(|(_, ok)| *ok);
    let dependencies: Vec<_> = rows
        .iter()
        .map(|(name, ok)| serde_json::json!({"name": name, "status": if *ok { "ok" } else { "down" }}))
        .collect();
    let status = if all { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::json!({
        "function": shared.name,
        "status": if all { "ready" } else { "not_ready" },
        "dependencies": dependencies,
    });
    let mut response = json(status, body.to_string());
    if !all {
        response.headers_mut().insert(axum::http::header::RETRY_AFTER, HeaderValue::from_static("2"));
    }
    response
}

/// Outermost middleware: the first and last code that sees a request.
async fn edge(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let (mut request, unread) = unread::watch(request);
    let id = request::id(request.headers());
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|c| c.0);
    let address = ClientAddress::of(peer, request.headers(), shared.proxy_hops);
    request.extensions_mut().insert(address);
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);

    let span = span!(
        "request", otel.name = format!("{method} {route}"), otel.kind = "server", http.request.method = %method,
        http.route = route, request_id = id.to_str().unwrap_or_default(), tenant = tracing::field::Empty, function = tracing::field::Empty,
        http.response.status_code = tracing::field::Empty, error.type = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
    );
    let trace = trace::adopt(&span, trace::of_caller(request.headers()));
    let current = Current::new(id.clone(), trace);

    let response = match Arc::clone(&shared.running).try_acquire_owned() {
        Err(_) if route != HEALTH => Problem::unavailable("requests", "too many at once").into_response(),
        permit => run_to_completion(next.run(request), permit.ok(), Arc::clone(&current), span.clone()).await,
    };
    let problem = response.extensions().get::<Problem>().cloned();
    let mut answer = match &problem {
        Some(problem) => keep_headers(problem.render(id.to_str().unwrap_or_default()), &response),
        None => response,
    };
    let line = RequestLine { method: &method, route, status: answer.status().as_u16(), elapsed: started.elapsed() };
    conclude(shared.name, current, &line, problem.as_ref(), &span);
    answer.headers_mut().insert(REQUEST_ID, id);
    unread.close_connection(&mut answer);
    answer
}

/// Answers a request, and goes on with it after the caller has hung up and after the time limit.
async fn run_to_completion(
    answer: impl Future<Output = Response> + Send + 'static,
    permit: Option<OwnedSemaphorePermit>,
    current: Arc<Current>,
    span: tracing::Span,
) -> Response {
    let answer = request::within(current, async move {
        let response = answer.await;
        drop(permit);
        response
    });
    let answer = tokio::time::timeout(REQUEST_TIMEOUT, Completion::new(answer.instrument(span))).await;
    answer.unwrap_or_else(|_| Problem::timed_out().into_response())
}

/// Records an answered request in the log, the metrics and the trace.
fn conclude(
    process: &'static str,
    current: Arc<Current>,
    line: &RequestLine<'_>,
    problem: Option<&Problem>,
    span: &tracing::Span,
) {
    let function = current.function().unwrap_or(process);
    metrics::request(function, line.route, line.method.as_str(), line.status, line.elapsed);
    if !span.is_disabled() {
        span.record("function", function).record("http.response.status_code", i64::from(line.status));
        current.tenant().map(|tenant| span.record("tenant", tracing::field::display(tenant)));
        problem.map(|problem| span.record("error.type", problem.code().as_str()));
        if line.status >= 500 {
            span.record("otel.status_code", "ERROR");
        }
    }
    request::within_sync(current, || {
        line.write(problem);
        let is_refusal = |p: &&Problem| matches!(line.status, 401 | 403 | 429) || p.code() == Code::InvalidSignature;
        if let Some(problem) = problem.filter(is_refusal) {
            LogEvent::AccessRefused { code: problem.code().as_str(), route: line.route }.emit();
        }
    });
}

/// Copies headers that layers and routes have set (`Allow`, `RateLimit`) to a rendered problem document.
fn keep_headers(mut rendered: Response, original: &Response) -> Response {
    for (name, value) in original.headers() {
        if name != axum::http::header::CONTENT_LENGTH && !rendered.headers().contains_key(name) {
            rendered.headers_mut().append(name, value.clone());
        }
    }
    rendered
}
