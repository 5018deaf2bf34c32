//! A real Redis server per test, that can be killed and started again.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::eventually;

const ATTEMPTS_MAX: usize = 5; // Another process may take the free port first.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// A Redis server on a port of its own, with everything acknowledged on disk (`appendfsync
/// always`) unless told otherwise. Killed when dropped.
#[derive(Debug)]
pub struct RedisServer {
    process: Child,
    port: u16,
    dir: TempDir,
    more: &'static [&'static str],
}

impl RedisServer {
    /// Starts a server with an empty directory and waits until it answers.
    ///
    /// # Panics
    /// Where `redis-server` is not installed or does not come up.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// As [`start`](Self::start), with `more` arguments, e.g. `--appendfsync everysec`: they win.
    ///
    /// # Panics
    /// Where `redis-server` is not installed or does not come up.
    pub async fn start_with(more: &'static [&'static str]) -> Self {
        for _attempt in 0..ATTEMPTS_MAX {
            let dir = tempfile::tempdir().expect("the temporary directory is writable");
            let port = free_port();
            let mut server = Self { process: spawn(port, dir.path(), more), port, dir, more };
            if server.came_up().await {
                return server;
            }
        }
        panic!("redis-server ended {ATTEMPTS_MAX} times before it answered");
    }

    /// The server's address, `redis://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills the server with SIGKILL and keeps its directory.
    ///
    /// # Panics
    /// Where the process cannot be killed.
    pub fn kill(&mut self) {
        self.process.kill().expect("a child of ours can be killed");
        self.process.wait().expect("a child of ours can be waited for");
    }

    /// Starts the server again, on the same port and directory, and waits until it answers.
    ///
    /// # Panics
    /// Where it does not come up.
    pub async fn restart(&mut self) {
        self.kill();
        self.process = spawn(self.port, self.dir.path(), self.more);
        let log = self.dir.path().join("redis.log");
        assert!(
            self.came_up().await,
            "redis-server did not come up again:\n{}",
            std::fs::read_to_string(log).unwrap_or_default()
        );
    }

    /// Waits until this very process answers (true) or has ended (false).
    async fn came_up(&mut self) -> bool {
        let (port, process) = (self.port, &mut self.process);
        eventually("redis-server answers", async || {
            if process.try_wait().expect("a child of ours can be asked").is_some() {
                return Some(false);
            }
            let answering = answers(port, process.id());
            let answered = tokio::time::timeout(ANSWER_TIMEOUT, answering).await;
            matches!(answered, Ok(Ok(true))).then_some(true)
        })
        .await
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.process.kill().ok(); // Best effort because it may have ended already.
        self.process.wait().ok(); // Best effort for the same reason.
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("a bound listener has an address").port()
}

fn spawn(port: u16, dir: &Path, more: &[&str]) -> Child {
    let spawned = Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
        .args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""])
        .args(["--logfile", "redis.log", "--dir"])
        .arg(dir)
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("redis-server is not installed: install redis-server, or run tests/run")
        }
        Err(error) => panic!("redis-server does not start: {error}"),
    }
}

/// Whether the server on `port` has finished loading and is process `id`, not a stranger that
/// took the port first.
async fn answers(port: u16, id: u32) -> std::io::Result<bool> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    connection.write_all(b"PING\r\nINFO server\r\nQUIT\r\n").await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    Ok(answer.starts_with("+PONG") && answer.contains(&format!("\r\nprocess_id:{id}\r\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_killed_server_is_gone_and_a_restarted_one_answers_at_the_same_address() {
        let mut server = RedisServer::start().await;
        let url = server.url();
        server.kill();
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).await.is_err());
        server.restart().await;
        assert_eq!(server.url(), url);
        assert!(answers(server.port, server.process.id()).await.unwrap());
    }
}
