//! Log lines: one JSON object each, with the field names that Cloud Logging understands.
//!
//! A request that went well is a debug line (Cloud Run writes its own request log); the caller's mistakes are debug
//! lines too; our own failures are a warning (a dependency was down) or an error, with the cause. Events that operators
//! count are lines of [`crate::log_event`]. Every line that is written while a request is answered has the request's id.

use std::fmt;
use std::io::{stderr, stdout};
use std::time::Duration;

use axum::http::Method;
use tracing::{Event, Level, Subscriber, field};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{self, Setup};
use crate::problem::Problem;
use crate::trace::{self, Exporter};
use crate::{log_event, request};

/// Format of the lines.
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
    /// A sentence for the list of mistakes.
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
/// A sentence for the list of mistakes.
pub fn filter(value: &str) -> Result<Targets, String> {
    value.parse().map_err(|_| "must be a tracing filter, such as info or info,common=debug".to_owned())
}

/// Settings of the log.
#[derive(Debug)]
pub struct Log {
    /// Name of the function that writes the lines.
    pub function: &'static str,
    /// Format of the lines.
    pub format: Format,
    /// Filter of the lines. Facts are written whatever it says, because metrics are made of them.
    pub filter: Targets,
    /// The Google Cloud project that has the traces.
    pub project: Option<String>,
    /// True to write to standard error, where standard output is for something else.
    pub aside: bool,
}

impl Log {
    /// Reads the settings. A mistake is noted, and a default is used, so that there is a log to report it in.
    pub fn from_setup(setup: &mut Setup, function: &'static str) -> Self {
        let format = setup.defaulted(&config::LOG_FORMAT, Format::parse).unwrap_or_default();
        let filter = setup.defaulted(&config::RUST_LOG, filter).unwrap_or_default();
        let project = setup.optional(&config::GOOGLE_CLOUD_PROJECT, |project| Ok(project.to_owned())).flatten();
        Self { function, format, filter, project, aside: false }
    }

    /// Starts logging. A second call in a process changes nothing.
    pub fn start(self) {
        self.start_with(None);
    }

    /// Starts logging, and makes spans where there is an exporter to send them.
    pub(crate) fn start_with(self, exporter: Option<&Exporter>) {
        let filter = self.filter.clone().with_target(log_event::TARGET, LevelFilter::INFO);
        let filter = filter.with_target(trace::SPANS, LevelFilter::OFF);
        // A filter of one layer is evaluated at each span and line. Without a collector one filter is for all layers: its
        // refusal is cached at the call site.
        let _ = match exporter {
            None => tracing_subscriber::registry().with(filter).with(self.lines()).try_init(),
            Some(exporter) => {
                let lines = self.lines().with_filter(filter);
                tracing_subscriber::registry().with(exporter.layer()).with(lines).try_init()
            }
        };
    }

    fn lines<S: Subscriber + for<'a> LookupSpan<'a>>(self) -> Box<dyn Layer<S> + Send + Sync> {
        let layer = tracing_subscriber::fmt::layer();
        let layer = layer.with_writer(if self.aside { BoxMakeWriter::new(stderr) } else { BoxMakeWriter::new(stdout) });
        match self.format {
            Format::Json => layer.event_format(CloudFormat { function: self.function, project: self.project }).boxed(),
            Format::Pretty => layer.boxed(),
        }
    }
}

struct CloudFormat {
    function: &'static str,
    project: Option<String>,
}

impl CloudFormat {
    /// Adds the fields that every line of a request has.
    fn add_request(&self, fields: &mut Fields, request: &request::Current) {
        let id = request.id.to_str().unwrap_or_default();
        fields.put("request_id", id);
        fields.put("function", request.function().unwrap_or(self.function));
        if let Some(tenant) = request.tenant() {
            fields.put("tenant", tenant.to_string());
        }
        if let Some(context) = request.trace {
            let id = format!("{:032x}", context.trace);
            let trace = self.project.as_ref().map(|project| format!("projects/{project}/traces/{id}"));
            fields.put("logging.googleapis.com/trace", trace.unwrap_or(id));
            fields.put("logging.googleapis.com/spanId", format!("{:016x}", context.span));
            fields.put("logging.googleapis.com/trace_sampled", context.sampled);
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>, N: for<'a> FormatFields<'a> + 'static> FormatEvent<S, N> for CloudFormat {
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields(serde_json::Map::new());
        event.record(&mut fields);
        let severity = match *event.metadata().level() {
            Level::ERROR => "ERROR",
            Level::WARN => "WARNING",
            Level::INFO => "INFO",
            _ => "DEBUG",
        };
        fields.put("severity", severity);
        fields.put("time", jiff::Timestamp::now().to_string());
        fields.put("function", self.function);
        request::current(|request| {
            self.add_request(&mut fields, request);
            Some(())
        });
        writeln!(writer, "{}", serde_json::Value::Object(fields.0))
    }
}

struct Fields(serde_json::Map<String, serde_json::Value>);

impl Fields {
    fn put(&mut self, name: &str, value: impl Into<serde_json::Value>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

impl field::Visit for Fields {
    fn record_debug(&mut self, field: &field::Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format!("{value:?}"));
    }
    fn record_str(&mut self, field: &field::Field, value: &str) {
        self.put(field.name(), value);
    }
    fn record_u64(&mut self, field: &field::Field, value: u64) {
        self.put(field.name(), value);
    }
    fn record_i64(&mut self, field: &field::Field, value: i64) {
        self.put(field.name(), value);
    }
    fn record_f64(&mut self, field: &field::Field, value: f64) {
        self.put(field.name(), value);
    }
    fn record_bool(&mut self, field: &field::Field, value: bool) {
        self.put(field.name(), value);
    }
}

/// Line of the log for an answered request.
#[derive(Debug)]
pub(crate) struct RequestLine<'a> {
    pub(crate) method: &'a Method,
    /// The route's template, because a path may hold confidential data.
    pub(crate) route: &'a str,
    pub(crate) status: u16,
    pub(crate) elapsed: Duration,
}

impl RequestLine<'_> {
    pub(crate) fn write(&self, problem: Option<&Problem>) {
        let Self { method, route, status, elapsed } = self;
        let (method, micros) = (method.as_str(), elapsed.as_micros() as u64);
        let code = problem.map(|p| p.code().as_str());
        let cause = problem.and_then(Problem::internal);
        macro_rules! line {
            ($level:ident, $message:literal) => {
                tracing::$level!(method, route, status, micros, code, cause, $message)
            };
        }
        match status {
            503 => line!(warn, "unavailable"),
            500.. => line!(error, "failed"),
            _ => line!(debug, "answered"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_collector_spans_are_nothing_and_what_is_not_logged_is_not_looked_at() {
        let log =
            Log { function: "test", format: Format::Json, filter: filter("info").unwrap(), project: None, aside: true };
        log.start();
        assert!(crate::span!("request").is_disabled());
        assert_eq!(LevelFilter::current(), LevelFilter::INFO);
    }
}
