//! Values from a real Prometheus, and every way in which it can fail to give one.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use contracts::gate as pb;
use service_kit::clock::Clock;
use tempfile::TempDir;
use test_kit::eventually;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::site::{Site, plan};

const EXPORTED: &str = "uploads_failed 3\nuploads_all 200\nlatency_p99_seconds 12.5\n\
                        backlog{shard=\"a\"} 10\nbacklog{shard=\"b\"} 20\nnothing 0\n";

/// A Prometheus, and something that it scrapes.
struct Platform {
    address: String,
    exporting: Arc<AtomicBool>,
    process: Child,
    _directory: TempDir,
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    listener.local_addr().expect("a bound listener is somewhere").port()
}

impl Platform {
    async fn start() -> Self {
        let exporting = Arc::new(AtomicBool::new(true));
        let shown = Arc::clone(&exporting);
        let page = get(move || async move {
            if shown.load(Ordering::SeqCst) {
                (StatusCode::OK, EXPORTED)
            } else {
                (StatusCode::SERVICE_UNAVAILABLE, "")
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let target = listener.local_addr().expect("a bound listener is somewhere");
        let router: Router = Router::new().route("/metrics", page);
        tokio::spawn(async move { axum::serve(listener, router).await });

        let directory = tempfile::tempdir().expect("the temporary directory is writable");
        let settings = directory.path().join("prometheus.yml");
        let text = format!(
            "global: {{ scrape_interval: 200ms }}\nscrape_configs:\n  - job_name: uploads\n    \
             static_configs: [{{ targets: [\"{target}\"] }}]\n"
        );
        std::fs::write(&settings, text).expect("the directory is writable");
        let port = free_port().await;
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", settings.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("prometheus is installed (tests/run does it)");
        let address = format!("http://127.0.0.1:{port}");
        Self { address, exporting, process, _directory: directory }
    }
}

/// A site whose first gate asks Prometheus, under P0.
async fn site(address: &str, metric: &str) -> Site {
    let address = address.to_owned();
    let site = Site::on(Clock::system(), move |settings| {
        settings.prometheus.address = address;
        settings.prometheus.timeout = "1s".to_owned();
        settings.prometheus.attempts = 2;
    })
    .await;
    let asked =
        r#"metric: { name: uploads_succeeded, requirement: ">= 100", window: since_phase_start }"#;
    site.enter("P0", 1, 0, &plan(&[(asked, &format!("metric: {{ {metric} }}"))])).await;
    site
}

async fn judged(site: &Site) -> pb::CriterionResult {
    site.judged("gate-0", "gate-0-uploads").await
}

fn rate(query: &str) -> String {
    format!(
        r#"name: error_rate, requirement: "< 5%", window: 15m, minimum_samples: 100, prometheus: {{ query: "{query}", samples_query: uploads_all, age_max: 3s }}"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_from_prometheus_is_judged_like_any_other() {
    let platform = Platform::start().await;
    let site = site(&platform.address, &rate("uploads_failed / uploads_all")).await;
    let found = eventually("prometheus has scraped", async || {
        let found = judged(&site).await;
        (found.reason_code() != pb::Reason::SourceUnavailable).then_some(found)
    })
    .await;
    assert_eq!((found.verdict(), found.value.as_str()), (pb::Verdict::Pass, "1.5% (3 of 200)"));
    assert_eq!(found.source, "prometheus: uploads_failed / uploads_all");
    assert!(found.interval_high_ppm.is_some(), "{found:?}");
    assert_eq!(found.assurance(), pb::Assurance::NotDisproved, "{found:?}");

    for (metric, expected) in [
        (rate("nothing / nothing"), "NaN"),
        (rate("uploads_failed / nothing"), "+Inf"),
        (rate("no_such_series"), "no series"),
        (rate("backlog"), "2 series: expected one"),
        (rate("uploads_failed"), "no share"),
        (rate("-uploads_failed"), "negative"),
        (rate("sum("), "answered 400"),
        (rate("'text'"), "answered with a string"),
    ] {
        let site = self::site(&platform.address, &metric).await;
        let found = judged(&site).await;
        assert_eq!(found.verdict(), pb::Verdict::Inconclusive, "{metric}");
        assert_eq!(found.reason_code(), pb::Reason::SourceUnavailable, "{metric}: {found:?}");
        assert!(found.reason.contains(expected), "{metric}: {}", found.reason);
    }
    let latency = r#"name: latency_p99, requirement: "< 5m", window: 15m, prometheus: { query: latency_p99_seconds }"#;
    let found = judged(&self::site(&platform.address, latency).await).await;
    assert_eq!((found.verdict(), found.value.as_str()), (pb::Verdict::Pass, "12s500ms"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_stale_down_or_not_set_is_inconclusive_and_says_so() {
    let mut platform = Platform::start().await;
    let bare = r#"name: staging_backlog, requirement: "< 1K", window: 15m, prometheus: { query: uploads_all, age_max: 2s }"#;
    let site = site(&platform.address, bare).await;
    eventually("it passes", async || judged(&site).await.verdict() == pb::Verdict::Pass).await;
    platform.exporting.store(false, Ordering::SeqCst);
    let stale = eventually("it is stale", async || {
        let found = judged(&site).await;
        (found.verdict() != pb::Verdict::Pass).then_some(found)
    })
    .await;
    let codes = [pb::Reason::Stale, pb::Reason::SourceUnavailable];
    assert!(codes.contains(&stale.reason_code()), "{stale:?}");
    platform.process.kill().await.expect("it is ours to end");
    let begun = tokio::time::Instant::now();
    let down = judged(&site).await;
    assert!(down.reason.contains("cannot be reached"), "{down:?}");
    assert!(down.reason.contains("2 attempts"), "{down:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "it does not hang");
    let unset = judged(&self::site("", bare).await).await;
    assert!(unset.reason.contains("no address is set"), "{unset:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_hangs_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = format!("http://{}", listener.local_addr().expect("it is somewhere"));
    let site = site(&address, &rate("uploads_failed / uploads_all")).await;
    let found = judged(&site).await;
    assert!(found.reason.contains("did not answer within 1s"), "{found:?}");
    drop(listener);
}
