//! `softlaunch gate backtest` needs no service: a plan on what was recorded.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use test_kit::eventually;

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

/// A quarter of a day as Prometheus would have scraped it each minute; in the third hour half of
/// what is uploaded fails.
fn scraped() -> String {
    let (mut all, mut failed) = (0_u32, 0_u32);
    let mut lines = [String::new(), String::new()];
    for minute in 0..=360_u32 {
        let at = 1_767_225_600 + minute * 60; // 2026-01-01T00:00:00Z.
        writeln!(lines[0], "uploads_total {all} {at}").expect("a string takes everything");
        writeln!(lines[1], "uploads_failed_total {failed} {at}")
            .expect("a string takes everything");
        all += 10;
        failed += if (120..180).contains(&minute) { 5 } else { 0 };
    }
    let [all, failed] = lines;
    format!("# TYPE uploads counter\n{all}# TYPE uploads_failed counter\n{failed}# EOF\n")
}

/// A real Prometheus that holds what was scraped long ago.
fn prometheus(directory: &std::path::Path) -> (Killed, String) {
    let (file, data) = (directory.join("scraped.txt"), directory.join("data"));
    std::fs::write(&file, scraped()).expect("the directory is writable");
    let made = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&file, &data])
        .output()
        .expect("promtool comes with prometheus (tests/run installs it)");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let settings = directory.join("prometheus.yml");
    std::fs::write(&settings, "global: {}\n").expect("the directory is writable");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("a bound listener is somewhere");
    drop(listener);
    let process = Command::new("prometheus")
        .arg(format!("--config.file={}", settings.display()))
        .arg(format!("--storage.tsdb.path={}", data.display()))
        .arg("--storage.tsdb.retention.time=100y")
        .arg(format!("--web.listen-address={address}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("prometheus is installed (tests/run does it)");
    (Killed(process), format!("http://{address}"))
}

/// Ends with the test.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().ok(); // It may have ended by itself.
        self.0.wait().ok();
    }
}

#[tokio::test]
async fn a_backtest_asks_prometheus_over_a_range_for_what_the_plan_takes_from_there() {
    // Given a plan that takes its error rate from Prometheus, and a Prometheus that remembers
    let directory = tempfile::tempdir().expect("the temporary directory is writable");
    let (_prometheus, address) = prometheus(directory.path());
    let rate = "      name: error_rate\n      fires_when: \"> 10%\"\n";
    let asked = "      prometheus: { query: \"increase(uploads_failed_total[15m]) / \
                 increase(uploads_total[15m])\", samples_query: \
                 \"increase(uploads_total[15m])\", age_max: 5m }\n";
    assert!(plan::SHIPPED.contains(rate), "the shipped plan has another trigger");
    let plan = plan::SHIPPED.replacen(rate, &format!("{rate}{asked}"), 1);
    let file = directory.path().join("plan.yaml");
    std::fs::write(&file, plan).expect("the directory is writable");
    let range = ["--from", "2026-01-01T00:00:00Z", "--to", "2026-01-01T06:00:00Z"];
    let run = || {
        Command::new(softlaunch())
            .args(["gate", "backtest", "--phase", "P1", "--output", "json", "--plan"])
            .arg(&file)
            .args(["--prometheus", &address])
            .args(range)
            .output()
            .expect("it runs")
    };

    // When it is asked
    let output = eventually("prometheus answers", async || {
        let output = run();
        output.status.success().then_some(output)
    })
    .await;

    // Then the trigger fires in the hour that went wrong, and ends behind it
    let text = String::from_utf8_lossy(&output.stdout);
    let changes: Vec<(String, String)> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a line is JSON"))
        .filter(|line| line["trigger"] == "error-rate-over-10")
        .filter_map(|line| {
            Some((line["to"].as_str()?.to_owned(), line["time"].as_str()?.to_owned()))
        })
        .collect();
    let hour_of = |state: &str| {
        let found = changes.iter().find(|(to, _)| to == state);
        found.map(|(_, time)| time["2026-01-01T".len()..][..2].to_owned())
    };
    assert_eq!(hour_of("FIRED").as_deref(), Some("02"), "{changes:?}");
    assert_eq!(hour_of("CLEAR").as_deref(), Some("03"), "{changes:?}");
}
