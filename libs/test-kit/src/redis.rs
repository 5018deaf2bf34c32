//! A real Redis server per test, that can be killed, paused and started again.

mod cluster;
mod process;
mod sentinels;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{Certificates, eventually};

pub use cluster::Cluster;
pub use process::valkey;
pub use sentinels::Sentinels;

use process::{Process, free_port};

const ATTEMPTS_MAX: usize = 5; // Another process may take the free port first.
const FREE_PORT: &str = "FREE_PORT"; // As an argument: another one with every attempt.

/// A Redis server on a port of its own, with everything acknowledged on disk (`appendfsync
/// always`) unless told otherwise. Killed when dropped.
#[derive(Debug)]
pub struct RedisServer {
    process: Process,
    port: u16,
    dir: TempDir,
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
    pub async fn start_with(more: &[&str]) -> Self {
        Self::start_program(Path::new("redis-server"), more).await
    }

    /// As [`start_with`](Self::start_with), of another program, e.g. [`valkey`].
    ///
    /// # Panics
    /// Where the program is not there or does not come up.
    pub async fn start_program(program: &Path, more: &[&str]) -> Self {
        let more: Vec<String> = more.iter().map(|one| (*one).to_owned()).collect();
        Self::attempt(program, |port, dir| data_arguments(port, dir, &more)).await
    }

    /// As [`start_with`](Self::start_with), of a server that speaks TLS too, on the port returned.
    ///
    /// # Panics
    /// Where `redis-server` is not installed or does not come up.
    pub async fn start_tls(certificates: &Certificates, more: &[&str]) -> (Self, u16) {
        let file = |name| certificates.file(name).display().to_string();
        let (ca, certificate, key) = (file("ca.pem"), file("server.pem"), file("server.key"));
        let mut arguments = vec!["--tls-port", FREE_PORT, "--tls-ca-cert-file", &ca];
        arguments.extend(["--tls-cert-file", &certificate, "--tls-key-file", &key]);
        arguments.extend(more);
        let server = Self::start_with(&arguments).await;
        let port = server.setting("tls-port").await;
        (server, port.parse().expect("a port is a number"))
    }

    /// A sentinel, by the `lines` of its configuration besides port and directory.
    async fn start_sentinel(program: &Path, lines: &str) -> Self {
        Self::attempt(program, |port, dir| {
            let file = dir.join("sentinel.conf");
            let text = format!(
                "port {port}\nbind 127.0.0.1\ndir {}\nlogfile redis.log\n{lines}",
                dir.display()
            );
            std::fs::write(&file, text).expect("the temporary directory is writable");
            vec![file.into(), "--sentinel".into()]
        })
        .await
    }

    async fn attempt(program: &Path, arguments: impl Fn(u16, &Path) -> Vec<OsString>) -> Self {
        for _attempt in 0..ATTEMPTS_MAX {
            let dir = tempfile::tempdir().expect("the temporary directory is writable");
            let port = free_port();
            let process = Process::start(program, arguments(port, dir.path()));
            let mut server = Self { process, port, dir };
            if server.process.came_up(port).await {
                return server;
            }
        }
        panic!("{} ended {ATTEMPTS_MAX} times before it answered", program.display());
    }

    /// The server's address, `redis://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The server's port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's directory: its append-only file is in `appendonlydir`.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// Kills the server with SIGKILL and keeps its directory.
    ///
    /// # Panics
    /// Where the process cannot be killed.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Stops the process with SIGSTOP: it keeps its connections and answers nothing.
    ///
    /// # Panics
    /// Where the process has ended.
    pub fn pause(&self) {
        self.process.signal("STOP");
    }

    /// Lets a paused process go on.
    ///
    /// # Panics
    /// Where the process has ended.
    pub fn resume(&self) {
        self.process.signal("CONT");
    }

    /// Starts the server again, on the same port and directory, and waits until it answers.
    ///
    /// # Panics
    /// Where it does not come up.
    pub async fn restart(&mut self) {
        self.start_again(&[]);
        let came_up = self.process.came_up(self.port).await;
        assert!(
            came_up,
            "{} did not come up again:\n{}",
            self.process.program().display(),
            std::fs::read_to_string(self.dir.path().join("redis.log")).unwrap_or_default()
        );
    }

    /// Starts the server again as [`restart`](Self::restart) does, with `more` arguments, and
    /// does not wait until it answers.
    pub fn start_again(&mut self, more: &[&str]) {
        self.process.start_again(more);
    }

    /// Forgets everything the server has on disk. Call it while the server is down.
    ///
    /// # Panics
    /// Where the directory cannot be emptied.
    pub fn erase(&self) {
        let kept = self.dir.path().join("appendonlydir");
        std::fs::remove_dir_all(&kept).expect("the server's directory is ours");
    }

    /// Sends a command over a connection of its own and returns the answer as it is on the wire.
    ///
    /// # Panics
    /// Where the server does not answer.
    pub async fn ask(&self, command: &[&str]) -> String {
        let asked = process::ask(self.port, command).await;
        asked.unwrap_or_else(|error| panic!("{command:?} is not answered: {error}"))
    }

    /// As [`ask`](Self::ask), of a command that must succeed.
    ///
    /// # Panics
    /// Where the server does not answer, or with an error.
    pub async fn command(&self, command: &[&str]) -> String {
        let answer = self.ask(command).await;
        assert!(!answer.starts_with('-'), "{command:?}: {answer}");
        answer
    }

    async fn setting(&self, name: &str) -> String {
        let answer = self.command(&["CONFIG", "GET", name]).await;
        answer.lines().last().expect("a server knows its settings").to_owned()
    }

    /// Makes this server a replica of `primary`, and waits until it has caught up.
    ///
    /// # Panics
    /// Where it does not catch up.
    pub async fn replicate(&self, primary: &Self) {
        let port = primary.port.to_string();
        self.command(&["REPLICAOF", "127.0.0.1", &port]).await;
        self.caught_up(primary).await;
    }

    async fn caught_up(&self, primary: &Self) {
        eventually("the replica has caught up", async || {
            self.ask(&["INFO", "replication"]).await.contains("master_link_status:up")
        })
        .await;
        let online = format!("port={},state=online", self.port);
        eventually("the primary knows its replica", async || {
            primary.ask(&["INFO", "replication"]).await.contains(&online)
        })
        .await;
    }
}

fn data_arguments(port: u16, dir: &Path, more: &[String]) -> Vec<OsString> {
    let port = port.to_string();
    let mut arguments: Vec<OsString> = ["--bind", "127.0.0.1", "--port", &port]
        .into_iter()
        .chain(["--appendonly", "yes", "--appendfsync", "always", "--save", ""])
        .chain(["--repl-diskless-sync-delay", "0", "--logfile", "redis.log", "--dir"])
        .map(OsString::from)
        .collect();
    arguments.push(dir.into());
    arguments.extend(more.iter().map(|argument| match argument.as_str() {
        FREE_PORT => free_port().to_string().into(),
        argument => argument.into(),
    }));
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_killed_server_is_gone_and_a_restarted_one_answers_at_the_same_address() {
        let mut server = RedisServer::start().await;
        let url = server.url();
        server.kill();
        assert!(process::ask(server.port, &["PING"]).await.is_err());
        server.restart().await;
        assert_eq!(server.url(), url);
        assert_eq!(server.ask(&["PING"]).await, "+PONG\r\n");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_replica_has_what_its_primary_has() {
        let (primary, replica) = (RedisServer::start().await, RedisServer::start().await);
        primary.command(&["SET", "k", "v"]).await;
        replica.replicate(&primary).await;
        assert_eq!(replica.ask(&["GET", "k"]).await, "$1\r\nv\r\n");
    }
}
