//! The page of metrics is what docs/telemetry.md says it is.

use std::collections::{BTreeMap, BTreeSet};

use test_kit::eventually;

use crate::documented::{Metric, metrics};
use crate::installation::Installation;

/// Labels that the exporter adds to everything.
const ADDED: [&str; 2] = ["otel_scope_name", "le"];

/// Of guarded services and crowded ones: this installation is neither.
const ELSEWHERE: [&str; 3] = [
    "softlaunch_identity_refused_total",
    "softlaunch_server_shed_total",
    "softlaunch_tls_certificate_expires_seconds",
];

/// Every metric of ours on a page, with the labels that any of its lines has.
fn shown(page: &str) -> BTreeMap<String, Metric> {
    let mut found = BTreeMap::new();
    for line in page.lines().filter_map(|line| line.strip_prefix("# TYPE softlaunch_")) {
        let (name, kind) = line.split_once(' ').expect("a type line has a name and a type");
        let metric = Metric { kind: kind.to_owned(), labels: BTreeSet::new() };
        found.insert(format!("softlaunch_{name}"), metric);
    }
    for line in page.lines().filter(|line| line.starts_with("softlaunch_")) {
        let (name, labels) = line.split_once('{').expect("every line has a label");
        let whole = ["_bucket", "_count", "_sum"]
            .iter()
            .find_map(|part| name.strip_suffix(part).filter(|whole| found.contains_key(*whole)));
        let metric = found.get_mut(whole.unwrap_or(name)).expect("a line has a type");
        for pair in labels.split("\",").filter_map(|pair| pair.split_once("=\"")) {
            let label = pair.0.trim_start_matches(',');
            if !ADDED.contains(&label) {
                metric.labels.insert(label.to_owned());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_the_documentation_says_and_no_more() {
    // Given an installation in P0 that has seen uploads, a drill, a kill, a worker go, and mail that waits
    let installation = Installation::start().await;
    installation.enter_p0();
    let worker = installation.worker();
    eventually("the worker to upload, and a message to be overdue", async || {
        let page = installation.metrics();
        page.contains("softlaunch_flag_admissions_total")
            && page.contains("softlaunch_comms_delivery_lag_seconds{")
    })
    .await;
    installation.cli.ok(&["kill", "drill", "--as", "ada"]);
    installation.cli.ok(&["kill", "engage", "--reason", "to be seen", "--as", "ada"]);
    drop(worker); // Its streams end with it.

    // When the gate service has evaluated, then the page and the table agree
    let wanted = metrics();
    eventually("every documented metric to be shown", async || {
        let found = shown(&installation.metrics());
        wanted.keys().all(|name| found.contains_key(name) || ELSEWHERE.contains(&name.as_str()))
    })
    .await;
    let found = shown(&installation.metrics());
    for (name, metric) in &found {
        let documented = wanted.get(name);
        assert_eq!(Some(metric), documented, "{name} on the page (left) and in docs/telemetry.md");
    }
}
