//! Clients that others wrote, on a running installation: grpcurl, and a worker in Python.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use softlaunch_tests::Tree;
use test_kit::eventually;

use crate::documented::file;
use crate::installation::Installation;
use crate::processes::text;

const PATIENCE: Duration = Duration::from_secs(60);
const PORTS: [(&str, &str); 5] = [
    ("flag", "7101"),
    ("gate", "7102"),
    ("killswitch", "7103"),
    ("comms", "7104"),
    ("rollout", "7105"),
];

/// What `tests/run` put where `variable` says; `None`, and said so, where a test was started by hand
/// without it.
#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
fn tool(variable: &str) -> Option<OsString> {
    let path = std::env::var_os(variable).filter(|path| !path.is_empty());
    if path.is_none() {
        eprintln!("skipped: {variable} is not set. tests/run installs it.");
    }
    path
}

/// The grpcurl commands of the README, one a line.
fn shown() -> Vec<Vec<String>> {
    let readme = file("README.md").replace("\\\n", " ");
    let lines = readme.lines().filter(|line| line.starts_with("grpcurl "));
    lines.map(|line| shlex::split(line).expect("quotes are closed")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn grpcurl_operates_everything_that_the_readme_shows() {
    let Some(grpcurl) = tool("SOFTLAUNCH_GRPCURL") else { return };
    // Given an installation in P0
    let installation = Installation::start().await;
    installation.enter_p0();

    // When the commands of the README are run one after the other, on its ports
    let commands = shown();
    assert!(commands.len() >= 10, "{commands:?}");
    for words in commands {
        let placed = words[1..].iter().map(|word| {
            let known = PORTS.iter().find(|(_, port)| *word == format!("127.0.0.1:{port}"));
            known.map_or_else(|| word.clone(), |(noun, _)| installation.host(noun))
        });
        let output = Command::new(&grpcurl).args(placed).output().expect("grpcurl can be run");
        let (out, err) = (text(&output.stdout), text(&output.stderr));

        // Then each is answered
        assert!(output.status.success() && !out.is_empty(), "{}: {out}{err}", words.join(" "));
    }

    // And what they did is so
    eventually("the rollback to be under way, by whom grpcurl said", async || {
        let timeline = installation.cli.ok(&["rollout", "timeline"]);
        timeline.contains("uploads vanish") && timeline.contains("bob")
    })
    .await;
    let kills = installation.cli.json(&["kill", "status"]);
    assert!(kills.to_string().contains("STATE_ENGAGED"), "{kills}");
}

/// The worker, and what it says.
struct Worker {
    child: Child,
    input: ChildStdin,
    said: Receiver<Value>,
}

impl Worker {
    fn start(python: OsString, installation: &Installation) -> Self {
        let program = Tree::find().root.join("libs/client/examples/python-worker/worker.py");
        let mut command = Command::new(python);
        command.arg(program);
        for noun in ["flag", "gate", "killswitch"] {
            command.arg(format!("--{noun}")).arg(installation.host(noun));
        }
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.expect("python can be run");
        let input = child.stdin.take().expect("it is piped");
        let output = child.stdout.take().expect("it is piped");
        let (tx, said) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).expect("it says JSON");
                if tx.send(value).is_err() {}
            }
        });
        Self { child, input, said }
    }

    /// What it says next that has this key.
    fn says(&self, key: &str) -> Value {
        loop {
            let value = self.said.recv_timeout(PATIENCE).expect("it says something");
            if let Some(found) = value.get(key) {
                return found.clone();
            }
        }
    }

    fn uploads(&mut self) -> Value {
        self.input.write_all(b"\n").expect("it reads");
        self.says("upload")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.child.kill()); // It may have ended by itself.
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_in_python_asks_obeys_and_reports_each_upload_once() {
    let Some(python) = tool("SOFTLAUNCH_PYTHON") else { return };
    // Given an installation in P0, and the worker
    let installation = Installation::start().await;
    installation.enter_p0();
    let mut worker = Worker::start(python, &installation);
    eventually("it to hold a lease", async || worker.uploads() == "ADMIT").await;

    // Then what it reports counts once, though it sends every report twice
    let reported = worker.says("reported");
    assert!(reported.as_u64() >= Some(1), "{reported}");
    eventually("its upload to be counted", async || {
        let metrics = installation.cli.json(&["gate", "metrics"]);
        let mut all = metrics["metrics"].as_array().expect("a list").iter();
        all.any(|one| {
            one["metric"] == "uploads_succeeded"
                && one["window"] == "since phase start"
                && one["amount"] == "1"
        })
    })
    .await;

    // When everything is stopped, then it has applied that, and defers
    installation.cli.ok(&["kill", "engage", "--reason", "bad data", "--as", "bob"]);
    assert_eq!(worker.says("applied"), 1);
    assert_eq!(worker.uploads(), "DEFERRED");
    eventually("the kill-switch service to know", async || {
        installation.metrics().contains(
            "softlaunch_killswitch_unacknowledged_workers{otel_scope_name=\"softlaunch\"} 0",
        )
    })
    .await;
}
