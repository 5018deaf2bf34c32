//! Logs to standard error, spans to OpenTelemetry over OTLP/gRPC where an endpoint is set.

use std::io::IsTerminal as _;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry};

use crate::settings::{LogFormat, TelemetrySettings};

/// Keeps telemetry running; flushes spans when it ends.
#[derive(Debug)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
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
            LogFormat::Json => logs.json().boxed(),
            LogFormat::Pretty => {
                logs.with_target(false).with_ansi(std::io::stderr().is_terminal()).boxed()
            }
        };
        let logs = logs.with_filter(filter);
        if settings.otlp_endpoint.is_empty() {
            let spans = tracing_opentelemetry::layer().with_filter(own_spans());
            let registry = Registry::default().with(logs).with(spans);
            registry.try_init().map_err(|_e| TelemetryError::Twice)?;
            return Ok(Self { provider: None });
        }
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(&settings.otlp_endpoint)
            .build()
            .map_err(|error| TelemetryError::Exporter(error.to_string()))?;
        let resource = Resource::builder().with_service_name(service.to_owned()).build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .build();
        let spans = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("softlaunch"))
            .with_filter(own_spans());
        let registry = Registry::default().with(logs).with(spans);
        registry.try_init().map_err(|_e| TelemetryError::Twice)?;
        Ok(Self { provider: Some(provider) })
    }

    /// Sends what is left. Best effort: ending never waits long for a collector.
    pub async fn flush(self) {
        if let Some(provider) = self.provider {
            let ended = tokio::task::spawn_blocking(move || provider.shutdown()).await;
            if let Ok(Err(error)) = ended {
                tracing::debug!(%error, "some spans were not sent");
            }
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
