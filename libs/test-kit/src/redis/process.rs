//! The process of a server, and talking to it without a client library.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::eventually;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Where `tests/run` put `valkey-server`; `None`, and said so, where a test was started by hand
/// without it.
#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
pub fn valkey() -> Option<PathBuf> {
    let program = std::env::var_os("SOFTLAUNCH_VALKEY").filter(|path| !path.is_empty());
    if program.is_none() {
        eprintln!("skipped: SOFTLAUNCH_VALKEY is not set. tests/run installs Valkey and sets it.");
    }
    program.map(PathBuf::from)
}

/// A running server. Killed when dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Process {
    pub(super) fn start(program: &Path, arguments: Vec<OsString>) -> Self {
        let child = spawn(program, &arguments, &[]);
        Self { child, program: program.to_owned(), arguments }
    }

    pub(super) fn start_again(&mut self, more: &[&str]) {
        self.kill();
        self.child = spawn(&self.program, &self.arguments, more);
    }

    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    pub(super) fn kill(&mut self) {
        self.child.kill().expect("a child of ours can be killed");
        self.child.wait().expect("a child of ours can be waited for");
    }

    pub(super) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.is_ok_and(|status| status.success()), "process {id} gets no SIG{name}");
    }

    /// Waits until this very process answers on `port` (true) or has ended (false).
    pub(super) async fn came_up(&mut self, port: u16) -> bool {
        let child = &mut self.child;
        eventually("the server answers", async || {
            if child.try_wait().expect("a child of ours can be asked").is_some() {
                return Some(false);
            }
            answers(port, child.id()).await.unwrap_or(false).then_some(true)
        })
        .await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok(); // Best effort because it may have ended already.
        self.child.wait().ok(); // Best effort for the same reason.
    }
}

pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("a bound listener has an address").port()
}

fn spawn(program: &Path, arguments: &[OsString], more: &[&str]) -> Child {
    let spawned = Command::new(program)
        .args(arguments)
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("{} is not installed: install it, or run tests/run", program.display())
        }
        Err(error) => panic!("{} does not start: {error}", program.display()),
    }
}

/// Whether the server on `port` has finished loading and is process `id`, not a stranger that
/// took the port first.
async fn answers(port: u16, id: u32) -> std::io::Result<bool> {
    let is_up = ask(port, &["PING"]).await?.starts_with("+PONG");
    let info = ask(port, &["INFO", "server"]).await?;
    Ok(is_up && info.contains(&format!("\r\nprocess_id:{id}\r\n")))
}

/// Sends one command and returns the answer as it is on the wire.
pub(super) async fn ask(port: u16, command: &[&str]) -> std::io::Result<String> {
    let asking = async {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        let mut wire = format!("*{}\r\n", command.len());
        for argument in command {
            wire.push_str(&format!("${}\r\n{argument}\r\n", argument.len()));
        }
        connection.write_all(wire.as_bytes()).await?;
        let mut answer = Vec::new();
        while end_of_answer(&answer, 0).is_none() {
            if connection.read_buf(&mut answer).await? == 0 {
                return Err(std::io::Error::from(ErrorKind::UnexpectedEof));
            }
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    match tokio::time::timeout(ANSWER_TIMEOUT, asking).await {
        Ok(answer) => answer,
        Err(_) => Err(std::io::Error::from(ErrorKind::TimedOut)),
    }
}

/// Where the RESP value that begins at `at` ends; `None` where it is not all there.
fn end_of_answer(wire: &[u8], at: usize) -> Option<usize> {
    let line = wire.get(at..)?.windows(2).position(|pair| pair == b"\r\n")?;
    let end = at + line + 2;
    let length = || std::str::from_utf8(&wire[at + 1..at + line]).ok()?.parse::<usize>().ok();
    match wire[at] {
        b'$' => match length() {
            Some(length) => Some(end + length + 2).filter(|end| *end <= wire.len()),
            None => Some(end), // Nothing: its length is -1.
        },
        b'*' => (0..length().unwrap_or(0)).try_fold(end, |at, _| end_of_answer(wire, at)),
        _ => Some(end),
    }
}
