//! Metrics: to OpenTelemetry over OTLP/gRPC where an endpoint is set, and as a page that Prometheus
//! reads where an address is.
//!
//! Instruments are made with [`meter`] once telemetry has started: made earlier they record nothing.
//! Names are those of OpenTelemetry (`softlaunch.killswitch.epoch`); on the page dots are underscores
//! and the unit is appended.

use std::net::{SocketAddr, TcpListener};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use opentelemetry::metrics::Meter;
use opentelemetry_otlp::{MetricExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use prometheus::{Registry, TextEncoder};

use crate::settings::TelemetrySettings;
use crate::telemetry::TelemetryError;

/// Makes the instruments of Softlaunch.
#[must_use]
pub fn meter() -> Meter {
    opentelemetry::global::meter("softlaunch")
}

/// Where metrics go.
#[derive(Debug)]
pub(crate) struct Metrics {
    provider: SdkMeterProvider,
    page: Option<SocketAddr>,
}

impl Metrics {
    /// Starts exporting; nothing where neither is set.
    pub(crate) fn start(
        resource: &Resource,
        settings: &TelemetrySettings,
    ) -> Result<Option<Self>, TelemetryError> {
        let TelemetrySettings { otlp_endpoint, metrics_address: page_address, .. } = settings;
        if otlp_endpoint.is_empty() && page_address.is_empty() {
            return Ok(None);
        }
        let mut provider = SdkMeterProvider::builder().with_resource(resource.clone());
        if !otlp_endpoint.is_empty() {
            let exporter = MetricExporter::builder()
                .with_tonic()
                .with_endpoint(otlp_endpoint)
                .build()
                .map_err(|error| TelemetryError::Exporter(error.to_string()))?;
            provider = provider.with_reader(PeriodicReader::builder(exporter).build());
        }
        let mut page = None;
        if !page_address.is_empty() {
            let registry = Registry::new();
            let reader = opentelemetry_prometheus::exporter()
                .with_registry(registry.clone())
                .build()
                .map_err(|error| TelemetryError::Page(error.to_string()))?;
            provider = provider.with_reader(reader);
            page = Some(
                show(page_address, settings.metrics_exposed, registry)
                    .map_err(TelemetryError::Page)?,
            );
        }
        let provider = provider.build();
        opentelemetry::global::set_meter_provider(provider.clone());
        Ok(Some(Self { provider, page }))
    }

    /// Where the page is.
    pub(crate) const fn page(&self) -> Option<SocketAddr> {
        self.page
    }

    /// Sends what is left; blocks meanwhile.
    pub(crate) fn shut_down(&self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::debug!(%error, "some metrics were not sent");
        }
    }
}

/// Shows the page for as long as the process lives.
fn show(address: &str, exposed: bool, registry: Registry) -> Result<SocketAddr, String> {
    let wanted = "expected a loopback address with a port, e.g. 127.0.0.1:9464";
    let address: SocketAddr =
        address.parse().map_err(|_e| format!("`{address}` is no address: {wanted}"))?;
    if !address.ip().is_loopback() && !exposed {
        return Err(format!(
            "{address} is not a loopback address: {wanted}, or set telemetry.metrics_exposed"
        ));
    }
    let listen = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(listener)
    };
    let listener = listen().map_err(|error| format!("cannot listen on {address}: {error}"))?;
    let bound = listener.local_addr().map_err(|error| error.to_string())?;
    let router = Router::new().route("/metrics", get(page)).with_state(registry);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "metrics are not shown any more");
        }
    });
    Ok(bound)
}

async fn page(State(registry): State<Registry>) -> impl IntoResponse {
    let text = TextEncoder::new().encode_to_string(&registry.gather());
    match text {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written down");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
