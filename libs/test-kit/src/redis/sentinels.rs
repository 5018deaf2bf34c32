//! A primary with replicas, and three sentinels that watch it.

use std::path::Path;

use super::RedisServer;
use crate::eventually;

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
        let lines = format!(
            "sentinel monitor softlaunch 127.0.0.1 {} {QUORUM}\n\
             sentinel down-after-milliseconds softlaunch 1000\n\
             sentinel failover-timeout softlaunch 5000\n",
            primary.port()
        );
        let mut sentinels = Vec::new();
        for _sentinel in 0..SENTINELS {
            sentinels.push(RedisServer::start_sentinel(program, &lines).await);
        }
        let group = Self { primary, replicas: following, sentinels };
        group.acquainted().await;
        group
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
