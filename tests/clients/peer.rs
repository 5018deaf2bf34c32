//! A published provider in a process of its own, asked line by line.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value as Json, json};
use softlaunch_tests::{House, Tree};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::answers::Answer;

const PATIENCE: Duration = Duration::from_secs(300);

/// Both ways of a provider of flagd to evaluate.
pub(crate) const MODES: [&str; 2] = ["rpc", "in-process"];

/// What is asked of a provider.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) flag: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) default: Json,
    /// With the targeting key under `targetingKey`, where there is one.
    pub(crate) context: Json,
}

impl Question {
    fn line(&self) -> String {
        let Self { flag, kind, default, context } = self;
        json!({"flag": flag, "type": kind, "default": default, "context": context}).to_string()
    }
}

/// The program of a provider.
#[derive(Debug)]
pub(crate) struct Program {
    path: OsString,
    arguments: Vec<OsString>,
}

impl Program {
    /// The Python provider; `None`, and said so, where a test was started by hand without it.
    pub(crate) fn python() -> Option<Self> {
        let script = Tree::find().root.join("tests/clients/provider.py");
        let path = named("SOFTLAUNCH_PYTHON", "the Python provider")?;
        Some(Self { path, arguments: vec![script.into()] })
    }

    /// The Rust provider; likewise.
    pub(crate) fn rust() -> Option<Self> {
        let path = named("SOFTLAUNCH_PEERS", "the Rust provider")?;
        Some(Self { path, arguments: Vec::new() })
    }

    /// Connects to the flag service of the house, and waits until it may be asked.
    pub(crate) async fn connect(&self, house: &House, mode: &'static str) -> Peer {
        let port = house.addresses["flag"].port().to_string();
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).args([mode, &port]).kill_on_drop(true);
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child =
            spawned.unwrap_or_else(|error| panic!("{:?} does not start: {error}", self.path));
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            panic!("both were piped")
        };
        let output = BufReader::new(output).lines();
        let mut peer = Peer { input, output, mode, _child: child };
        assert_eq!(peer.next().await, "ready");
        peer
    }
}

/// The Python with the published libraries; `None`, and said so, where there is none.
pub(crate) fn python() -> Option<OsString> {
    named("SOFTLAUNCH_PYTHON", "the libraries for Python")
}

#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
fn named(variable: &str, what: &str) -> Option<OsString> {
    let path = std::env::var_os(variable).filter(|path| !path.is_empty());
    if path.is_none() {
        eprintln!("skipped: {variable} is not set. tests/run installs {what} and sets it.");
    }
    path
}

/// A provider that is connected. It ends with this.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) mode: &'static str,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Peer {
    /// Asks all of them, and returns the answers in their order.
    pub(crate) async fn ask(&mut self, questions: &[Question]) -> Vec<Answer> {
        let lines: String = questions.iter().map(|one| one.line() + "\n").collect();
        let Self { input, output, mode, .. } = self;
        // Both at once: neither pipe holds everything.
        let writing = async {
            let written = input.write_all(lines.as_bytes()).await;
            written.unwrap_or_else(|error| panic!("the provider ({mode}) hung up: {error}"));
        };
        let reading = async {
            let mut answers = Vec::with_capacity(questions.len());
            for _question in questions {
                answers.push(Answer::read(&line(output, mode).await));
            }
            answers
        };
        let both = async { tokio::join!(writing, reading).1 };
        let answers = tokio::time::timeout(PATIENCE, both).await;
        answers.unwrap_or_else(|_| panic!("the provider ({mode}) took over {PATIENCE:?}"))
    }

    /// Waits until the provider says that this flag has changed.
    pub(crate) async fn hears_of(&mut self, flag: &str) {
        let written = self.input.write_all(format!("wait {flag}\n").as_bytes()).await;
        written.unwrap_or_else(|error| panic!("the provider ({}) hung up: {error}", self.mode));
        assert_eq!(self.next().await, "changed");
    }

    async fn next(&mut self) -> String {
        let Self { output, mode, .. } = self;
        let said = tokio::time::timeout(PATIENCE, line(output, mode)).await;
        said.unwrap_or_else(|_| panic!("the provider ({mode}) said nothing for {PATIENCE:?}"))
    }
}

async fn line(output: &mut Lines<BufReader<ChildStdout>>, mode: &str) -> String {
    match output.next_line().await {
        Ok(Some(line)) => line,
        ended => panic!("the provider ({mode}) ended, its complaint is above: {ended:?}"),
    }
}
