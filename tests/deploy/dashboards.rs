//! The dashboards: every expression parses, and asks for what is there.

use std::fs;

use serde_json::Value;
use softlaunch_tests::Tree;

use crate::documented::{file, unknown_metrics};
use crate::rules::promtool;

/// All expressions of a dashboard, with the title of their panel.
fn expressions(value: &Value, title: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            let title = fields.get("title").and_then(Value::as_str).unwrap_or(title);
            if let Some(expression) = fields.get("expr").and_then(Value::as_str) {
                found.push((title.to_owned(), expression.replace("$rollout", "rollouts/.*")));
            }
            fields.values().for_each(|one| expressions(one, title, found));
        }
        Value::Array(all) => all.iter().for_each(|one| expressions(one, title, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn all() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in Tree::find().files("deploy/grafana/dashboards", &[".json"]) {
        let text = fs::read_to_string(path).unwrap();
        expressions(&serde_json::from_str(&text).unwrap(), "", &mut found);
    }
    assert!(found.len() > 20, "the dashboards were read: {found:?}");
    found
}

#[test]
fn every_expression_parses() {
    let rule = |(place, (_, expression)): (usize, &(String, String))| {
        let quoted = serde_json::to_string(expression).unwrap();
        format!("      - record: panel:{place}\n        expr: {quoted}\n")
    };
    let rules: String = all().iter().enumerate().map(rule).collect();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("panels.yml");
    let check = |rules: &str| {
        fs::write(&file, format!("groups:\n  - name: panels\n    rules:\n{rules}")).unwrap();
        promtool(&["check", "rules", file.to_str().unwrap()])
    };
    let (good, said) = check(&rules);
    assert!(good, "{said}");
    let (good, _) = check(&format!("{rules}      - record: broken\n        expr: \"sum(\"\n"));
    assert!(!good, "a broken expression is noticed");
}

#[test]
fn every_expression_asks_for_metrics_that_are_documented() {
    for (title, expression) in all() {
        if expression.contains("softlaunch_") {
            let unknown = unknown_metrics(&expression);
            assert!(unknown.is_empty(), "{title}: {unknown:?}");
        }
    }
}

#[test]
fn the_dashboard_of_p0_shows_what_d7_wants_watched() {
    let dashboard = file("deploy/grafana/dashboards/rollout.json");
    for wanted in [
        "softlaunch_rollout_exposure",
        "metric=\\\"error_rate\\\"",
        "metric=\\\"latency_p99\\\"",
        "metric=\\\"staging_backlog\\\"",
        "softlaunch_gate_criterion_verdict",
        "softlaunch_gate_trigger_state",
        "softlaunch_killswitch_epoch",
        "softlaunch_killswitch_unacknowledged_workers",
        "softlaunch_comms_messages",
        "softlaunch_rpc_duration_seconds_bucket",
    ] {
        assert!(dashboard.contains(wanted), "no panel asks for {wanted}");
    }
}

#[test]
fn what_is_provisioned_names_the_source_that_panels_ask() {
    let source = file("deploy/grafana/provisioning/datasources/prometheus.yaml");
    assert!(source.contains("uid: softlaunch\n"), "{source}");
    let dashboard: Value =
        serde_json::from_str(&file("deploy/grafana/dashboards/rollout.json")).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        let uid = &panel["datasource"]["uid"];
        assert!(panel["type"] == "row" || uid == "softlaunch", "{}: {uid}", panel["title"]);
    }
}
