//! A real Prometheus on a real installation: the rules load, and an alert fires.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;
use softlaunch_tests::Tree;
use test_kit::eventually;
use tokio::net::TcpListener;

use crate::installation::{Installation, get};
use crate::processes::Running;

fn asked(address: &str, path: &str) -> Option<Value> {
    serde_json::from_str(&get(address, path)?).ok()
}

fn firing(address: &str, alert: &str) -> Option<Value> {
    let answer = asked(address, "/api/v1/alerts")?;
    let mut alerts = answer["data"]["alerts"].as_array()?.iter();
    alerts.find(|one| one["labels"]["alertname"] == alert && one["state"] == "firing").cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_reads_the_page_loads_the_rules_and_fires() {
    // Given an installation in P0, and a Prometheus with our rules that reads its page
    let installation = Installation::start().await;
    installation.enter_p0();
    let directory = tempfile::tempdir().unwrap();
    let rules = Tree::find().root.join("deploy/prometheus/rules.yml");
    let settings = format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [{rules:?}]\n\
         scrape_configs:\n  - job_name: softlaunch\n    static_configs: [{{ targets: [\"{}\"] }}]\n",
        installation.page
    );
    let file = directory.path().join("prometheus.yml");
    fs::write(&file, settings).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _prometheus = Running::start(&mut command);

    // Then every rule is loaded, and evaluates
    eventually("every rule to be evaluated", async || {
        let answer = asked(&address, "/api/v1/rules")?;
        let groups = answer["data"]["groups"].as_array()?;
        let rules: Vec<_> =
            groups.iter().flat_map(|one| one["rules"].as_array()).flatten().collect();
        (rules.len() >= 28 && rules.iter().all(|rule| rule["health"] == "ok")).then_some(())
    })
    .await;
    assert!(firing(&address, "P1Incident").is_none(), "nothing has happened yet");

    // When somebody declares a P1 incident and stops everything
    installation.cli.ok(&["gate", "incident", "INC-1", "--kind", "p1", "--as", "bob"]);
    installation.cli.ok(&["kill", "engage", "--reason", "P1", "--as", "bob"]);

    // Then both alerts fire, with the rollout by name and the page that says what to do
    let incident =
        eventually("the alert on the incident to fire", async || firing(&address, "P1Incident"))
            .await;
    assert_eq!(incident["labels"]["rollout"], "rollouts/ingestion-v2", "{incident}");
    assert_eq!(incident["annotations"]["runbook_url"], "deploy/runbook.md#p1incident");
    let killed = eventually("the alert on the kill switch to fire", async || {
        firing(&address, "KillSwitchEngaged")
    })
    .await;
    assert_eq!(killed["annotations"]["summary"], "1 kill switches are engaged");
}
