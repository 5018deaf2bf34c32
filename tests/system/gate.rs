//! `softlaunch gate backtest` needs no service: a plan on what was recorded.

use std::fmt::Write as _;
use std::process::Command;

use crate::processes::softlaunch;

/// A day of one upload every ten seconds; an hour of it goes wrong.
fn recorded() -> String {
    let mut text = "time,result,latency_ms\n".to_owned();
    for n in 0..8_640_u32 {
        let (hour, minute, second) = (n / 360, n / 6 % 60, n % 6 * 10);
        let result = if hour == 12 && n % 2 == 0 { "failed" } else { "succeeded" };
        let row = format!("2026-01-01T{hour:02}:{minute:02}:{second:02}Z,{result},900\n");
        text.write_str(&row).expect("a string takes everything");
    }
    text
}

fn backtest(file: &std::path::Path, more: &[&str]) -> (bool, String) {
    let output = Command::new(softlaunch())
        .args(["gate", "backtest", "--phase", "P1", "--data"])
        .arg(file)
        .args(more)
        .output()
        .expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_backtest_prints_when_each_gate_would_have_passed_and_each_trigger_fired() {
    let directory = tempfile::tempdir().expect("the temporary directory is writable");
    let file = directory.path().join("outcomes.csv");
    std::fs::write(&file, recorded()).expect("the directory is writable");
    let (good, text) = backtest(&file, &["--every", "5m", "--output", "json"]);
    assert!(good, "{text}");
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    let first = |key: &str, id: &str, state: &str, value: &str| {
        let is = |line: &&serde_json::Value| line[key] == id && line[state] == value;
        lines.iter().find(is).and_then(|line| line["time"].as_str()).map(str::to_owned)
    };
    let passed = first("criterion", "gate-1-uploads", "verdict", "PASS");
    assert_eq!(passed.as_deref(), Some("2026-01-01T00:10:00Z"), "the fiftieth upload");
    let fired = first("trigger", "error-rate-over-10", "to", "FIRED").expect("it fires");
    assert!(fired.starts_with("2026-01-01T12:"), "{fired}");
    let sustained = first("trigger", "error-rate-over-20", "to", "FIRED").expect("it fires");
    assert!(sustained > fired && sustained.starts_with("2026-01-01T12:"), "{sustained}");
    let (good, text) = backtest(&file, &["--every", "15m"]);
    assert!(good && text.contains("gate-1-error-rate"), "{text}");
}

#[test]
fn data_that_cannot_be_read_is_refused_with_its_line() {
    let directory = tempfile::tempdir().expect("the temporary directory is writable");
    let file = directory.path().join("outcomes.csv");
    let text = "time,result\n2026-01-01T00:00:00Z,perhaps\n";
    std::fs::write(&file, text).expect("the directory is writable");
    let (good, text) = backtest(&file, &[]);
    assert!(!good && text.contains("line 2") && text.contains("`perhaps`"), "{text}");
}
