//! The laptop: one process on the embedded store.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use vocab::Timestamp;

use crate::journey::{FACTOR, Journey};
use crate::processes::{Cli, Running, softlaunch, text};

pub(crate) fn up(data: &Path) -> Running {
    // What an earlier process wrote must not be mistaken for this one's.
    drop(fs::remove_file(data.join("endpoints.toml")));
    let mut command = Command::new(softlaunch());
    command.args(["up", "--free-ports", "--log-filter", "error", "--demo-factor"]);
    command.arg(FACTOR.to_string()).arg("--data-dir").arg(data).stdout(Stdio::null());
    Running::start(&mut command)
}

fn read_toml(path: &Path) -> Option<Value> {
    let text = fs::read_to_string(path).ok()?;
    let pairs = text.lines().filter_map(|line| line.split_once(" = "));
    let value = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    Some(pairs.map(|(key, text)| (key.to_owned(), value(text))).collect::<serde_json::Map<_, _>>())
        .filter(|map| !map.is_empty())
        .map(Value::Object)
}

pub(crate) async fn journey(data: &Path) -> Journey {
    let file = data.join("endpoints.toml");
    let cli = Cli { endpoints: file.clone(), otlp: None };
    test_kit::eventually("softlaunch to be up", async || {
        file.exists() && cli.output(&["kill", "status"]).status.success()
    })
    .await;
    let endpoints = read_toml(&file).expect("endpoints are written");
    let clock = read_toml(&data.join("demo-clock.toml")).expect("the clock is kept");
    let origin = Timestamp::from_millis(clock["origin_ms"].as_i64().expect("an instant"));
    Journey { cli, origin, endpoints }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_of_the_process_in_the_middle_of_uploads_loses_nothing_acknowledged() {
    // Given a rollout in P0 with uploads under way
    let data = tempfile::tempdir().unwrap();
    let mut process = up(data.path());
    let before = journey(data.path()).await;
    before.start();
    let mut workers = before.workers(4_000);
    test_kit::eventually("uploads to be counted", async || before.all() >= 40).await;
    let counted = before.all();
    let flag = before.cli.json(&["flag", "get"]);
    let rollout = before.cli.json(&["rollout", "status"]);

    // When the process dies as in a power cut, and is started again
    process.kill();
    workers.iter_mut().for_each(Running::kill);
    let _again = up(data.path());
    let after = journey(data.path()).await;

    // Then everything that had been answered is there
    assert!(after.all() >= counted, "{} counted, {counted} before", after.all());
    assert_eq!(after.cli.json(&["flag", "get"]), flag);
    let found = after.cli.json(&["rollout", "status"]);
    for kept in ["phaseId", "phaseStartTime", "planVersion"] {
        assert_eq!(found[kept], rollout[kept], "{kept}");
    }
    // It may have noted more by itself between the answer and its death, never less.
    let revision = |status: &Value| {
        let etag = status["etag"].as_str().expect("a quoted revision").trim_matches('"').to_owned();
        etag.parse::<u64>().expect("a number")
    };
    assert!(revision(&found) >= revision(&rollout), "{found} after {rollout}");
}

fn demo(data: &Path) -> Command {
    let mut command = Command::new(softlaunch());
    command.args(["demo", "--exit", "--free-ports", "--large-file-bytes", "200000"]);
    command.arg("--demo-factor").arg(FACTOR.to_string()).arg("--data-dir").arg(data);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_that_was_killed_goes_on_and_reaches_p1() {
    // Given a demo killed while its workers were uploading
    let data = tempfile::tempdir().unwrap();
    let mut first = Running::start(demo(data.path()).stdout(Stdio::null()).stderr(Stdio::null()));
    let cli = Cli { endpoints: data.path().join("endpoints.toml"), otlp: None };
    test_kit::eventually("some uploads to be counted", async || {
        let metrics = cli.output(&["gate", "metrics", "--output", "json"]);
        let metrics: Value = serde_json::from_slice(&metrics.stdout).unwrap_or_default();
        let counted = metrics["metrics"].as_array().is_some_and(|all| {
            all.iter().any(|one| one["metric"] == "uploads_succeeded" && one["sampleCount"] != "0")
        });
        counted || !first.runs()
    })
    .await;
    assert!(first.runs(), "the demo ended before it could be killed");
    first.kill();

    // When it is started again
    let output = demo(data.path()).output().expect("softlaunch can be run");

    // Then it ends well, in P1, with every criterion of Gate 0 passed
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("was cut off: going on where it was"), "{out}");
    for line in [
        "P1 Canary",
        "100 synthetic uploads processed successfully",
        "4 of 4 workers applied it",
        "approved by demo-product-manager as product_manager",
        "ingestion_v2: P1 Canary has started",
    ] {
        assert!(out.contains(line), "no `{line}` in:\n{out}");
    }
    assert!(!out.contains("FAIL"), "{out}");
}
