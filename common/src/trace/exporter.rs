//! Export of spans to a collector, by OTLP over HTTP.

use std::time::Duration;

use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceContextExt as _, TraceId, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SamplingResult, SdkTracerProvider, ShouldSample};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

use super::SPANS;
use crate::config::{self, Setup};

/// Time limit of one attempt to send.
const SEND_TIMEOUT: Duration = Duration::from_secs(3);
/// Time limit of the last send at shutdown, out of what the running requests leave of Cloud Run's 10 seconds.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(1500);

/// Sends spans until the process ends.
pub(crate) struct Exporter {
    provider: SdkTracerProvider,
    function: &'static str,
}

impl Exporter {
    /// Makes the exporter from the configuration; `None` where there is no collector, or a mistake was noted.
    pub(crate) fn from_setup(setup: &mut Setup, function: &'static str) -> Option<Self> {
        let endpoint = setup.optional(&config::OTEL_EXPORTER_OTLP_ENDPOINT, config::url);
        let ratio = setup.defaulted(&config::OTEL_TRACES_SAMPLER_ARG, ratio);
        let (endpoint, ratio) = (endpoint??, ratio?);
        let provider =
            setup.required(&config::OTEL_EXPORTER_OTLP_ENDPOINT, |_| provider(&endpoint, ratio, function))?;
        Some(Self { provider, function })
    }

    /// Returns the layer that exports our own spans, and none of other crates.
    pub(crate) fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        let tracer = self.provider.tracer(self.function);
        let layer = tracing_opentelemetry::layer().with_tracer(tracer);
        let layer = layer.with_location(false).with_threads(false).with_target(false).with_tracked_inactivity(false);
        layer.with_filter(Targets::new().with_target(SPANS, LevelFilter::INFO))
    }

    /// Sends the remaining spans. It waits on a blocking thread, so that no other task waits.
    pub(crate) async fn flush(self) {
        let flushed = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(FLUSH_TIMEOUT)).await;
        if let Ok(Err(e)) = flushed {
            tracing::warn!("the last spans may not have been sent: {e}");
        }
    }
}

fn provider(endpoint: &str, ratio: f64, function: &'static str) -> Result<SdkTracerProvider, String> {
    // Its own client, whose waiting is done on the thread that sends.
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{endpoint}/v1/traces"))
        .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
        .with_timeout(SEND_TIMEOUT)
        .build()
        .map_err(|e| format!("can't be used: {e}"))?;
    let resource = Resource::builder().with_service_name(function).build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(ByCallerOrRatio(ratio))
        .with_resource(resource)
        .build())
}

/// Samples every request that its caller records, and a part of the rest. A caller that doesn't record its trace prevents
/// nothing: the command line begins a trace with each request, for the log, and has nowhere to send spans.
#[derive(Debug, Clone)]
struct ByCallerOrRatio(f64);

impl ShouldSample for ByCallerOrRatio {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let sampler = match parent.map(|parent| parent.span().span_context().clone()).filter(SpanContext::is_valid) {
            Some(parent) if parent.is_sampled() => Sampler::AlwaysOn,
            Some(parent) if !parent.is_remote() => Sampler::AlwaysOff,
            _ => Sampler::TraceIdRatioBased(self.0),
        };
        sampler.should_sample(parent, trace, name, kind, attributes, links)
    }
}

fn ratio(value: &str) -> Result<f64, String> {
    let ratio = value.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| "must be a number from 0 to 1".to_owned())
}
