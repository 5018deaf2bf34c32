//! A primary with replicas, and three sentinels that watch it.

use std::path::Path;

use super::{RedisServer, free_port};
use crate::{Certificates, eventually};

const SENTINELS: usize = 3;
const QUORUM: usize = 2;

/// A primary called `softlaunch`, its replicas, and three sentinels of which two agree that it is
/// gone after a second.
#[derive(Debug)]
pub struct Sentinels {
    /// The primary at the beginning.
    pub primary: RedisServer,
    /// The replicas at the beginning.
    pub replicas: Vec<RedisServer>,
    /// The sentinels.
    pub sentinels: Vec<RedisServer>,
    tls_ports: Vec<u16>,
}

impl Sentinels {
    /// Starts all of them, each data server with `more` arguments, and waits until every sentinel
    /// knows of all others.
    ///
    /// # Panics
    /// Where they do not come up.
    pub async fn start(program: &Path, replicas: usize, more: &[&str]) -> Self {
        let primary = RedisServer::start_program(program, more).await;
        let mut following = Vec::new();
        for _replica in 0..replicas {
            let replica = RedisServer::start_program(program, more).await;
            replica.replicate(&primary).await;
            following.push(replica);
        }
        let lines = monitoring(primary.port());
        let mut sentinels = Vec::new();
        for _sentinel in 0..SENTINELS {
            sentinels.push(RedisServer::start_sentinel(program, &lines).await);
        }
        let group = Self { primary, replicas: following, sentinels, tls_ports: Vec::new() };
        group.acquainted().await;
        group
    }

    /// As [`start`](Self::start), of Redis without replicas; all of them speak TLS too, also with
    /// each other.
    ///
    /// # Panics
    /// Where they do not come up.
    pub async fn start_tls(certificates: &Certificates) -> Self {
        let own = ["--tls-replication", "yes", "--tls-auth-clients", "no"];
        let (primary, port) = RedisServer::start_tls(certificates, &own).await;
        let file = |name| certificates.file(name).display().to_string();
        let (mut sentinels, mut tls_ports) = (Vec::new(), Vec::new());
        for _sentinel in 0..SENTINELS {
            let own = free_port(); // A sentinel tells no settings.
            let lines = format!(
                "tls-port {own}\ntls-replication yes\ntls-auth-clients no\n\
                 tls-ca-cert-file {}\ntls-cert-file {}\ntls-key-file {}\n{}",
                file("ca.pem"),
                file("server.pem"),
                file("server.key"),
                monitoring(port)
            );
            let program = Path::new("redis-server");
            sentinels.push(RedisServer::start_sentinel(program, &lines).await);
            tls_ports.push(own);
        }
        let group = Self { primary, replicas: Vec::new(), sentinels, tls_ports };
        group.acquainted().await;
        group
    }

    /// `rediss+sentinel://HOST:PORT,HOST:PORT,HOST:PORT/softlaunch`, where they speak TLS.
    #[must_use]
    pub fn tls_url(&self) -> String {
        let hosts: Vec<String> =
            self.tls_ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        format!("rediss+sentinel://{}/softlaunch", hosts.join(","))
    }

    /// `redis+sentinel://HOST:PORT,HOST:PORT,HOST:PORT/softlaunch`.
    #[must_use]
    pub fn url(&self) -> String {
        let host = |sentinel: &RedisServer| format!("127.0.0.1:{}", sentinel.port());
        let hosts: Vec<String> = self.sentinels.iter().map(host).collect();
        format!("redis+sentinel://{}/softlaunch", hosts.join(","))
    }

    /// The port of the primary, as the first sentinel sees it.
    ///
    /// # Panics
    /// Where the sentinel does not answer.
    pub async fn primary_port(&self) -> u16 {
        let asking = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "softlaunch"];
        let answer = self.sentinels[0].ask(&asking).await;
        let port = answer.lines().last().and_then(|line| line.parse().ok());
        port.unwrap_or_else(|| panic!("the sentinel knows no primary: {answer}"))
    }

    async fn acquainted(&self) {
        let others = format!("num-other-sentinels\r\n$1\r\n{}\r\n", SENTINELS - 1);
        let replicas = format!("num-slaves\r\n$1\r\n{}\r\n", self.replicas.len());
        for sentinel in &self.sentinels {
            eventually("the sentinels know of each other", async || {
                let answer = sentinel.ask(&["SENTINEL", "MASTER", "softlaunch"]).await;
                answer.contains(&others) && answer.contains(&replicas)
            })
            .await;
        }
    }
}

/// What a sentinel is told of the primary at `port`.
fn monitoring(port: u16) -> String {
    format!(
        "sentinel monitor softlaunch 127.0.0.1 {port} {QUORUM}\n\
         sentinel down-after-milliseconds softlaunch 1000\n\
         sentinel failover-timeout softlaunch 5000\n"
    )
}
