//! Processes of ours, started by the tests and ended with them.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

/// The binary everything is operated with.
pub(crate) fn softlaunch() -> PathBuf {
    test_kit::binary("softlaunch", "softlaunch")
}

/// A process that ends with the test.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    logged: Arc<Mutex<Vec<Value>>>,
}

impl Running {
    /// Starts a process; its standard input stays open as long as it runs.
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::piped()).spawn();
        let child = child.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self { child, logged: Arc::default() }
    }

    /// The lines that a [`service`] has logged.
    pub(crate) fn logged(&self) -> Vec<Value> {
        self.logged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("a process of ours can be killed");
        self.child.wait().expect("a killed process can be waited for");
    }

    /// Lets it end by itself: closes its input and waits.
    pub(crate) fn finish(&mut self) -> bool {
        drop(self.child.stdin.take());
        self.child.wait().expect("a process of ours can be waited for").success()
    }

    /// Asks it to end, as an orchestrator does, and waits until it has.
    pub(crate) fn terminate(&mut self) -> bool {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(asked.is_ok_and(|status| status.success()), "kill is part of every system");
        self.child.wait().expect("a process of ours can be waited for").success()
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill()); // It may have ended by itself.
        drop(self.child.wait());
    }
}

/// Starts one service on a free port and returns where it listens.
#[expect(clippy::print_stderr, reason = "an error of a service explains a failing test")]
pub(crate) fn service(
    name: &str,
    settings: &[(&str, String)],
    file: Option<&Path>,
) -> (Running, String) {
    let mut command = Command::new(test_kit::binary(name, name));
    command.env("SOFTLAUNCH__SERVER__LISTEN_ADDRESS", "127.0.0.1:0");
    command.env("SOFTLAUNCH__TELEMETRY__LOG_FORMAT", "json");
    command.envs(settings.iter().map(|(key, value)| (*key, value)));
    if let Some(file) = file {
        command.arg("--settings").arg(file);
    }
    command.stderr(Stdio::piped());
    let mut running = Running::start(&mut command);
    let stderr = running.child.stderr.take().expect("standard error is piped");
    let (tx, rx) = mpsc::channel();
    let (shown, logged) = (name.to_owned(), Arc::clone(&running.logged));
    // Reads to the end, so that the service never waits for a full pipe.
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let value: Value = serde_json::from_str(&line).unwrap_or_default();
            let fields = &value["fields"];
            if fields["message"] == "listening"
                && let Some(address) = fields["address"].as_str()
                && tx.send(format!("http://{address}")).is_err()
            {}
            if value["level"] == "ERROR" {
                eprintln!("{shown}: {line}");
            }
            logged.lock().unwrap_or_else(PoisonError::into_inner).push(value);
        }
    });
    let address = rx.recv_timeout(PATIENCE);
    (running, address.unwrap_or_else(|_e| panic!("{name} did not say where it listens")))
}

/// Calls `softlaunch` as an operator does.
#[derive(Debug, Clone)]
pub(crate) struct Cli {
    pub(crate) endpoints: PathBuf,
    pub(crate) otlp: Option<String>,
}

impl Cli {
    /// Runs a command to its end.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(softlaunch());
        command.arg("--endpoints").arg(&self.endpoints).args(arguments);
        if let Some(otlp) = &self.otlp {
            command.args(["--otlp-endpoint", otlp]);
        }
        command.output().expect("softlaunch can be run")
    }

    /// Runs a command that must succeed, and returns what it printed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments:?} failed:\n{out}\n{err}");
        out
    }

    /// Runs a command that must succeed, and reads the JSON it printed.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.extend(["--output", "json"]);
        serde_json::from_str(&self.ok(&all)).expect("--output json prints JSON")
    }

    /// Runs a command that must be refused with exit code 1, and returns what it said.
    pub(crate) fn refused(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}{err}", text(&output.stdout));
        err
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
