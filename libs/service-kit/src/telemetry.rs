//! Logs to standard error, spans and metrics to OpenTelemetry over OTLP/gRPC where an endpoint is set,
//! metrics to a page for Prometheus where an address is.

use std::io::IsTerminal as _;
use std::net::SocketAddr;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry};
use uuid::Uuid;

use crate::logs::Traced;
use crate::metrics::Metrics;
use crate::settings::{LogFormat, TelemetrySettings};

/// Keeps telemetry running; flushes spans and metrics when it ends.
#[derive(Debug)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
    metrics: Option<Metrics>,
}

/// What telemetry could not be set up with.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter does not parse.
    #[error("telemetry.log_filter `{filter}` is not a filter such as `info` or `info,tonic=warn`")]
    Filter {
        /// The filter.
        filter: String,
    },
    /// The exporter cannot be built.
    #[error("telemetry.otlp_endpoint: {0}")]
    Exporter(String),
    /// The page of metrics cannot be shown.
    #[error("telemetry.metrics_address: {0}")]
    Page(String),
    /// A subscriber is set already.
    #[error("telemetry is set up already")]
    Twice,
}

impl Telemetry {
    /// Starts logging and, where an endpoint is set, exporting. Must be called inside a runtime.
    ///
    /// # Errors
    /// Names the setting that is wrong.
    pub fn start(service: &str, settings: &TelemetrySettings) -> Result<Self, TelemetryError> {
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        let filter = EnvFilter::try_new(&settings.log_filter)
            .map_err(|_e| TelemetryError::Filter { filter: settings.log_filter.clone() })?;
        let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let logs = match settings.log_format {
            LogFormat::Json => {
                let (format, fields) = Traced::json();
                logs.fmt_fields(fields).event_format(format).boxed()
            }
            LogFormat::Pretty => {
                let ansi = std::io::stderr().is_terminal();
                logs.with_ansi(ansi).event_format(Traced::pretty(ansi)).boxed()
            }
        };
        let logs = logs.with_filter(filter);
        // Replicas of a service are told apart by whoever gathers what they send.
        let instance = KeyValue::new("service.instance.id", Uuid::new_v4().to_string());
        let resource = Resource::builder()
            .with_service_name(service.to_owned())
            .with_attribute(instance)
            .build();
        let metrics = Metrics::start(&resource, settings)?;
        if settings.otlp_endpoint.is_empty() {
            let spans = tracing_opentelemetry::layer().with_filter(own_spans());
            let registry = Registry::default().with(logs).with(spans);
            registry.try_init().map_err(|_e| TelemetryError::Twice)?;
            return Ok(Self { provider: None, metrics });
        }
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(&settings.otlp_endpoint)
            .build()
            .map_err(|error| TelemetryError::Exporter(error.to_string()))?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .build();
        let spans = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("softlaunch"))
            .with_filter(own_spans());
        let registry = Registry::default().with(logs).with(spans);
        registry.try_init().map_err(|_e| TelemetryError::Twice)?;
        Ok(Self { provider: Some(provider), metrics })
    }

    /// Where metrics are shown, if anywhere.
    #[must_use]
    pub fn metrics_page(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().and_then(Metrics::page)
    }

    /// Sends what is left. Best effort: ending never waits long for a collector.
    pub async fn flush(self) {
        let flushing = tokio::task::spawn_blocking(move || {
            if let Some(provider) = self.provider
                && let Err(error) = provider.shutdown()
            {
                tracing::debug!(%error, "some spans were not sent");
            }
            if let Some(metrics) = self.metrics {
                metrics.shut_down();
            }
        });
        if flushing.await.is_err() {
            tracing::debug!("telemetry ended early");
        }
    }
}

/// Spans of ours only: the exporter's own calls must not be traced.
fn own_spans() -> tracing_subscriber::filter::FilterFn {
    tracing_subscriber::filter::filter_fn(|metadata| {
        !["h2", "hyper", "tonic", "tower", "opentelemetry", "reqwest"]
            .iter()
            .any(|target| metadata.target().starts_with(target))
    })
}
