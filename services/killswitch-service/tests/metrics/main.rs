//! The figures of the service, read where Prometheus reads them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

#[expect(dead_code, reason = "shared with the tests of the service, which use more of it")]
#[path = "../service/site.rs"]
mod site;

use std::net::SocketAddr;

use contracts::killswitch as pb;
use service_kit::settings::{LogFormat, TelemetrySettings};
use service_kit::telemetry::Telemetry;
use test_kit::eventually;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::site::{PIPELINE, Service, by};

/// The page, as HTTP answers it.
async fn page(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// The value of a metric whose line has all of these labels.
fn value(page: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let named = page
        .lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    let mut labelled = named.filter(|line| labels.iter().all(|label| line.contains(label)));
    labelled.next()?.rsplit(' ').next()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_force_who_has_applied_it_and_the_last_drill_are_on_the_page() {
    // Given a service whose process shows its metrics, and a worker that obeys
    let settings = TelemetrySettings {
        log_format: LogFormat::Json,
        log_filter: "off".to_owned(),
        otlp_endpoint: String::new(),
        metrics_address: "127.0.0.1:0".to_owned(),
        metrics_exposed: false,
    };
    let telemetry = Telemetry::start("killswitch-service", &settings).unwrap();
    let address = telemetry.metrics_page().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let service = Service::over(&format!("embedded:{}", dir.path().display())).await;
    let mut worker = service.worker("worker-1").await;
    worker.hear().await;

    // When a drill runs
    let request = pb::RunDrillRequest { pipeline: PIPELINE.to_owned(), ..Default::default() };
    let mut client = service.client.clone();
    let drilling = tokio::spawn(async move { client.run_drill(by("ada", request)).await });
    let drilled = worker.hears_of_kill().await;
    worker.acknowledge(drilled.epoch).await;
    assert!(drilling.await.unwrap().unwrap().into_inner().passed);

    // Then its figures are there
    let shown = page(address).await;
    assert!(shown.starts_with("HTTP/1.1 200 OK"), "{shown}");
    let labels = ["pipeline=\"ingestion_v2\""];
    let of = |name: &str| value(&shown, name, &labels);
    assert_eq!(of("softlaunch_killswitch_drill_workers"), Some(1.0), "{shown}");
    assert_eq!(of("softlaunch_killswitch_drill_applied_workers"), Some(1.0), "{shown}");
    assert!(of("softlaunch_killswitch_drill_apply_duration_max_seconds").is_some(), "{shown}");
    assert!(of("softlaunch_killswitch_drill_last_time_seconds") > Some(1.7e9), "{shown}");
    let passed = ["pipeline=\"ingestion_v2\"", "passed=\"true\""];
    assert_eq!(value(&shown, "softlaunch_killswitch_drills_total", &passed), Some(1.0), "{shown}");
    let applied = "softlaunch_killswitch_apply_duration_seconds_count";
    assert!(value(&shown, applied, &[]) >= Some(1.0), "{shown}");

    // When a kill is in force that nobody has acknowledged, then that is there, until it is
    let kill = service.engage("bob").await;
    let page_says = async |name: &str, wanted: i64| {
        eventually("the page to say so", async || {
            let shown = value(&page(address).await, name, &[])?;
            (shown.total_cmp(&f64::from(i32::try_from(wanted).ok()?)).is_eq()).then_some(())
        })
        .await;
    };
    page_says("softlaunch_killswitch_epoch", kill.epoch).await;
    page_says("softlaunch_killswitch_engaged", 1).await;
    page_says("softlaunch_killswitch_unstored", 0).await;
    page_says("softlaunch_killswitch_workers", 1).await;
    page_says("softlaunch_killswitch_unacknowledged_workers", 1).await;
    worker.acknowledge(kill.epoch).await;
    page_says("softlaunch_killswitch_unacknowledged_workers", 0).await;
}

#[tokio::test]
async fn a_page_is_refused_where_others_could_read_it() {
    for address in ["0.0.0.0:0", "nowhere", "127.0.0.1"] {
        let settings = TelemetrySettings {
            log_format: LogFormat::Json,
            log_filter: "off".to_owned(),
            otlp_endpoint: String::new(),
            metrics_address: address.to_owned(),
            metrics_exposed: false,
        };
        let refused = Telemetry::start("killswitch-service", &settings).unwrap_err().to_string();
        let wanted = "expected a loopback address with a port, e.g. 127.0.0.1:9464";
        assert!(refused.starts_with("telemetry.metrics_address: "), "{refused}");
        assert!(refused.contains(address) && refused.contains(wanted), "{refused}");
    }
}
