//! Metrics for Prometheus, where one process serves all functions: `/metrics` at an address of its own, which the public
//! proxy doesn't know. In the cloud, where processes come and go, metrics are made of the log instead.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tower::Layer as _;
use tower_http::normalize_path::NormalizePathLayer;

use crate::config::{self, Setup};
use crate::log_event::description::{Description, Kind, Value};
use crate::serve::connection;

const LATENCY_SECONDS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const AGE_SECONDS: [f64; 10] = [1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 43_200.0, 86_400.0];
const SHARE: [f64; 10] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;
type Counters = Family<Labels, Counter>;
type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// Metrics of the process: one set, like the log.
static METRICS: OnceLock<Metrics> = OnceLock::new();

struct Metrics {
    registry: Registry,
    requests: Counters,
    request_seconds: Histograms,
    license: Family<Labels, Gauge>,
    facts: HashMap<&'static str, FactMetrics>,
}

struct FactMetrics {
    description: &'static Description,
    happened: Counters,
    fields: Vec<FieldMetric>,
}

enum FieldMetric {
    None,
    Sum(Counters),
    Distribution(Histograms),
    Level(Family<Labels, Gauge>),
}

/// Reads `METRICS_LISTEN`; if it is set, counts requests and `facts` from now on and serves `/metrics`. `look` runs at every
/// read of the metrics. `None` when the configuration has a mistake.
pub fn from_setup<F: Future<Output = ()> + Send + 'static>(
    setup: &mut Setup,
    facts: &'static [Description],
    look: impl Fn() -> F + Clone + Send + Sync + 'static,
) -> Option<()> {
    let listener = setup.optional(&config::METRICS_LISTEN, |value| {
        let port = value.parse::<u16>().map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let address = port.or_else(|_| value.parse::<SocketAddr>());
        let address = address.map_err(|_| "must be a port, or address:port".to_owned())?;
        let bound = std::net::TcpListener::bind(address).and_then(|l| l.set_nonblocking(true).map(|()| l));
        bound.map_err(|e| format!("can't listen on {address}: {e}"))
    })?;
    if let Some(listener) = listener {
        METRICS.get_or_init(|| Metrics::new(facts));
        setup.at_start(serve(listener, look));
    }
    Some(())
}

async fn serve<F: Future<Output = ()> + Send + 'static>(
    listener: std::net::TcpListener,
    look: impl Fn() -> F + Clone + Send + Sync + 'static,
) {
    let read = async move || {
        look().await;
        ([(CONTENT_TYPE, OPEN_METRICS)], text())
    };
    let routes = NormalizePathLayer::trim_trailing_slash().layer(Router::new().route("/metrics", get(read)));
    match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => connection::serve(listener, routes, std::future::pending()).await,
        Err(e) => tracing::error!("metrics can't be read: {e}"),
    }
}

fn text() -> String {
    let mut text = String::new();
    if let Some(metrics) = METRICS.get() {
        encode(&mut text, &metrics.registry).expect("a string takes everything");
    }
    text
}

/// Sets a gauge of the enterprise license, by its `limit`: `users` or `days_left`.
pub fn enterprise_license(limit: &'static str, amount: i64) {
    if let Some(metrics) = METRICS.get() {
        metrics.license.get_or_create(&vec![("limit", limit.to_owned())]).set(amount);
    }
}

/// Counts a request that was answered.
pub(crate) fn request(function: &'static str, route: &str, method: &str, status: u16, elapsed: Duration) {
    let Some(metrics) = METRICS.get() else { return };
    // Any client can invent methods, each of which would stay in memory.
    let method =
        if ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"].contains(&method) { method } else { "other" };
    let place = [("function", function.to_owned()), ("route", route.to_owned())];
    metrics.request_seconds.get_or_create(&place.to_vec()).observe(elapsed.as_secs_f64());
    let mut labels = place.to_vec();
    labels.extend([("method", method.to_owned()), ("status", status.to_string())]);
    metrics.requests.get_or_create(&labels).inc();
}

/// Counts a fact; the values are those of its fields, in their order.
pub(crate) fn count(name: &'static str, values: &[Value<'_>]) {
    let Some(fact) = METRICS.get().and_then(|metrics| metrics.facts.get(name)) else { return };
    let named = fact.description.fields.iter().zip(values);
    let labels: Labels = named
        .filter_map(|(field, value)| match value {
            Value::Label(word) => Some((field.name, (*word).to_owned())),
            _ => None,
        })
        .collect();
    fact.happened.get_or_create(&labels).inc();
    for (metric, value) in fact.fields.iter().zip(values) {
        match (metric, value) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "what is added up is a whole number"
            )]
            (FieldMetric::Sum(sum), Value::Number(n)) => drop(sum.get_or_create(&labels).inc_by(*n as u64)),
            #[expect(clippy::cast_possible_truncation, reason = "what stands somewhere is a whole number")]
            (FieldMetric::Level(level), Value::Number(n)) => drop(level.get_or_create(&labels).set(*n as i64)),
            (FieldMetric::Distribution(values), Value::Number(n)) => values.get_or_create(&labels).observe(*n),
            _ => {}
        }
    }
}

impl Metrics {
    fn new(facts: &'static [Description]) -> Self {
        let mut registry = Registry::with_prefix("coditect");
        let (requests, request_seconds) = (Counters::default(), histograms(Kind::Latency));
        registry.register("requests", "Requests answered", requests.clone());
        registry.register("request_seconds", "Seconds to the answer", request_seconds.clone());
        // A family, because a license that isn't there has no days left rather than none.
        let license = Family::default();
        registry.register("enterprise_license", "Of the enterprise license: users, and days left", license.clone());
        let facts = facts.iter().map(|fact| (fact.name, FactMetrics::new(fact, &mut registry))).collect();
        Self { registry, requests, request_seconds, license, facts }
    }
}

impl FactMetrics {
    fn new(description: &'static Description, registry: &mut Registry) -> Self {
        let fact = description.name;
        let help = |meaning: &str| meaning.trim().trim_end_matches('.').to_owned();
        let happened = Counters::default();
        registry.register(fact, help(description.meaning), happened.clone());
        let fields = description.fields.iter().map(|field| {
            let (name, help) = (format!("{fact}_{}", field.name), help(field.meaning));
            match field.kind {
                Kind::Label | Kind::Id | Kind::Number => FieldMetric::None,
                Kind::Count => {
                    let sum = Counters::default();
                    registry.register(name, help, sum.clone());
                    FieldMetric::Sum(sum)
                }
                Kind::Level => {
                    let level = Family::default();
                    registry.register(name, help, Clone::clone(&level));
                    FieldMetric::Level(level)
                }
                kind @ (Kind::Latency | Kind::Age | Kind::Share) => {
                    let values = histograms(kind);
                    registry.register(name, help, values.clone());
                    FieldMetric::Distribution(values)
                }
            }
        });
        Self { description, happened, fields: fields.collect() }
    }
}

fn histograms(kind: Kind) -> Histograms {
    match kind {
        Kind::Age => Family::new_with_constructor(|| Histogram::new(AGE_SECONDS)),
        Kind::Share => Family::new_with_constructor(|| Histogram::new(SHARE)),
        _ => Family::new_with_constructor(|| Histogram::new(LATENCY_SECONDS)),
    }
}
