//! Log lines: one JSON object each, with the field names that Cloud Logging understands.
//!
//! A request that went well is a debug line (Cloud Run writes its own request log); the caller's mistakes are debug
//! lines too; what is ours is a warning (a dependency was down) or an error, with its cause.

use std::fmt;
use std::time::Duration;

use axum::http::{HeaderValue, Method};
use tracing::{Event, Level, Subscriber, field};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::problem::Problem;

/// How lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// For Cloud Logging.
    #[default]
    Json,
    /// For a person at a terminal.
    Pretty,
}

impl Format {
    /// Parses `LOG_FORMAT`.
    ///
    /// # Errors
    /// A sentence for the mistake's list.
    pub fn parse(value: &str) -> Result<Self, String> {
        match value {
            "json" => Ok(Self::Json),
            "pretty" => Ok(Self::Pretty),
            _ => Err("must be `json` or `pretty`".to_owned()),
        }
    }
}

/// Parses `RUST_LOG`.
///
/// # Errors
/// A sentence for the mistake's list.
pub fn filter(value: &str) -> Result<Targets, String> {
    value.parse().map_err(|_| "must be a tracing filter, such as info or info,common=debug".to_owned())
}

/// Starts logging to standard output; a second call changes nothing.
pub fn init(function: &'static str, format: Format, filter: Targets) {
    let registry = tracing_subscriber::registry().with(filter);
    let _ = match format {
        Format::Json => {
            registry.with(tracing_subscriber::fmt::layer().event_format(CloudFormat { function })).try_init()
        }
        Format::Pretty => registry.with(tracing_subscriber::fmt::layer()).try_init(),
    };
}

struct CloudFormat {
    function: &'static str,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>, N: for<'a> FormatFields<'a> + 'static> FormatEvent<S, N> for CloudFormat {
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields(serde_json::Map::new());
        let severity = match *event.metadata().level() {
            Level::ERROR => "ERROR",
            Level::WARN => "WARNING",
            Level::INFO => "INFO",
            _ => "DEBUG",
        };
        fields.0.insert("severity".to_owned(), severity.into());
        fields.0.insert("time".to_owned(), jiff::Timestamp::now().to_string().into());
        fields.0.insert("function".to_owned(), self.function.into());
        event.record(&mut fields);
        writeln!(writer, "{}", serde_json::Value::Object(fields.0))
    }
}

struct Fields(serde_json::Map<String, serde_json::Value>);

impl field::Visit for Fields {
    fn record_debug(&mut self, field: &field::Field, value: &dyn fmt::Debug) {
        self.0.insert(name(field), format!("{value:?}").into());
    }
    fn record_str(&mut self, field: &field::Field, value: &str) {
        self.0.insert(name(field), value.into());
    }
    fn record_u64(&mut self, field: &field::Field, value: u64) {
        self.0.insert(name(field), value.into());
    }
    fn record_i64(&mut self, field: &field::Field, value: i64) {
        self.0.insert(name(field), value.into());
    }
    fn record_bool(&mut self, field: &field::Field, value: bool) {
        self.0.insert(name(field), value.into());
    }
}

fn name(field: &field::Field) -> String {
    match field.name() {
        "trace" => "logging.googleapis.com/trace".to_owned(),
        other => other.to_owned(),
    }
}

/// What is said of a request once it is answered.
#[derive(Debug)]
pub(crate) struct RequestLine<'a> {
    pub(crate) request_id: &'a HeaderValue,
    pub(crate) trace: Option<String>,
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) status: u16,
    pub(crate) elapsed: Duration,
}

impl RequestLine<'_> {
    pub(crate) fn write(&self, problem: Option<&Problem>) {
        let Self { request_id, trace, method, path, status, elapsed } = self;
        let (request_id, method, micros) =
            (request_id.to_str().unwrap_or_default(), method.as_str(), elapsed.as_micros() as u64);
        let code = problem.map(|p| p.code().as_str());
        let cause = problem.and_then(Problem::internal);
        macro_rules! line {
            ($level:ident, $message:literal) => {
                tracing::$level!(request_id, trace, method, path, status, micros, code, cause, $message)
            };
        }
        match status {
            503 => line!(warn, "unavailable"),
            500.. => line!(error, "failed"),
            _ => line!(debug, "answered"),
        }
    }
}
