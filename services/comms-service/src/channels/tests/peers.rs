//! Programs of others, in processes of their own.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value as Json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

const PATIENCE: Duration = Duration::from_secs(60);

/// The Python that tests/run installs libraries for; `None`, and said so, where a test was started by
/// hand without it.
#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
fn python() -> Option<OsString> {
    let path = std::env::var_os("SOFTLAUNCH_PYTHON").filter(|path| !path.is_empty());
    if path.is_none() {
        eprintln!(
            "skipped: SOFTLAUNCH_PYTHON is not set. tests/run installs the peers and sets it."
        );
    }
    path
}

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(name)
}

/// Has a published library read `text`; `None` where there is no Python.
pub(super) async fn read_by(library: &str, text: &str) -> Option<Json> {
    let mut command = Command::new(python()?);
    command.arg(script("check.py")).arg(library).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(text.as_bytes()).await.unwrap();
    drop(input);
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let output = ended.expect("the library answers").unwrap();
    assert!(output.status.success(), "{library} cannot read it: {text}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// A mail server made of aiosmtpd. It ends with this.
#[derive(Debug)]
pub(super) struct MailServer {
    pub(super) port: u16,
    output: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl MailServer {
    /// Starts one: see `smtpd.py`. `None` where there is no Python.
    pub(super) async fn start(arguments: &[&str]) -> Option<Self> {
        let mut command = Command::new(python()?);
        command.arg(script("smtpd.py")).args(arguments).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = line(&mut output).await;
        let port = first.strip_prefix("ready ").expect("it says where it is").parse().unwrap();
        Some(Self { port, output, _child: child })
    }

    /// The next mail it has taken.
    pub(super) async fn taken(&mut self) -> Json {
        serde_json::from_str(&line(&mut self.output).await).unwrap()
    }
}

async fn line(output: &mut Lines<BufReader<ChildStdout>>) -> String {
    let read = tokio::time::timeout(PATIENCE, output.next_line()).await;
    read.expect("the server says something").unwrap().expect("the server goes on")
}
