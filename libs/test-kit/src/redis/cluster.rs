//! A Redis Cluster: primaries that share the slots, each with as many replicas as asked for.

use super::{FREE_PORT, RedisServer};
use crate::{Certificates, eventually};

const SLOTS: usize = 16_384;
/// The default bus port, 10000 above the other, may be none.
const NODE: [&str; 6] =
    ["--cluster-enabled", "yes", "--cluster-port", FREE_PORT, "--cluster-node-timeout", "2000"];

/// A cluster whose slots are all served.
#[derive(Debug)]
pub struct Cluster {
    /// The primaries at the beginning, in the order of their slots.
    pub primaries: Vec<RedisServer>,
    /// The replicas at the beginning: of the first primary, of the second, and so on.
    pub replicas: Vec<RedisServer>,
    tls_ports: Vec<u16>,
}

impl Cluster {
    /// Starts `primaries` nodes (3 or more) with `replicas` replicas each, and waits until all
    /// agree that the cluster is whole.
    ///
    /// # Panics
    /// Where they do not come up or do not agree.
    pub async fn start(primaries: usize, replicas: usize, more: &[&str]) -> Self {
        let mut nodes = Vec::new();
        for _node in 0..primaries * (1 + replicas) {
            nodes.push(RedisServer::start_with(&[&NODE[..], more].concat()).await);
        }
        Self::of(nodes, primaries, replicas).await
    }

    /// As [`start`](Self::start), without replicas, of nodes that speak TLS too, also among
    /// themselves.
    ///
    /// # Panics
    /// Where they do not come up or do not agree.
    pub async fn start_tls(primaries: usize, certificates: &Certificates) -> Self {
        let (mut nodes, mut tls_ports) = (Vec::new(), Vec::new());
        for _node in 0..primaries {
            let more = [&NODE[..], &["--tls-cluster", "yes", "--tls-auth-clients", "no"]].concat();
            let (node, port) = RedisServer::start_tls(certificates, &more).await;
            nodes.push(node);
            tls_ports.push(port);
        }
        Self { tls_ports, ..Self::of(nodes, primaries, 0).await }
    }

    async fn of(mut nodes: Vec<RedisServer>, primaries: usize, replicas: usize) -> Self {
        let (first, first_bus) =
            (nodes[0].port().to_string(), nodes[0].setting("cluster-port").await);
        for (at, node) in nodes.iter().enumerate() {
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(at + 1).to_string()]).await;
            if at < primaries {
                let from = (SLOTS * at / primaries).to_string();
                let to = (SLOTS * (at + 1) / primaries - 1).to_string();
                node.command(&["CLUSTER", "ADDSLOTSRANGE", &from, &to]).await;
            }
            if at > 0 {
                node.command(&["CLUSTER", "MEET", "127.0.0.1", &first, &first_bus]).await;
            }
        }
        whole(&nodes).await;
        let following = nodes.split_off(primaries);
        for (at, replica) in following.iter().enumerate() {
            let id = id(&nodes[at / replicas]).await;
            replica.command(&["CLUSTER", "REPLICATE", &id]).await;
            replica.caught_up(&nodes[at / replicas]).await;
        }
        Self { primaries: nodes, replicas: following, tls_ports: Vec::new() }
    }

    /// `redis+cluster://HOST:PORT,...`, naming every primary.
    #[must_use]
    pub fn url(&self) -> String {
        let host = |node: &RedisServer| format!("127.0.0.1:{}", node.port());
        let hosts: Vec<String> = self.primaries.iter().map(host).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// `rediss+cluster://HOST:PORT`, naming the first primary of a cluster that speaks TLS.
    ///
    /// # Panics
    /// Where the cluster does not.
    #[must_use]
    pub fn tls_url(&self) -> String {
        let port = self.tls_ports.first().expect("the cluster speaks TLS");
        format!("rediss+cluster://127.0.0.1:{port}")
    }

    /// Moves `slot` with all its keys from primary `from` to primary `to`, key by key.
    ///
    /// # Panics
    /// Where a node does not take part.
    pub async fn move_slot(&self, slot: u16, from: usize, to: usize) {
        let (source, target) = (&self.primaries[from], &self.primaries[to]);
        let (source_id, target_id) = (id(source).await, id(target).await);
        let (slot, port) = (slot.to_string(), target.port().to_string());
        target.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source_id]).await;
        source.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target_id]).await;
        loop {
            let found = source.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]).await;
            let keys: Vec<&str> =
                found.lines().filter(|line| !line.starts_with(['*', '$'])).collect();
            if keys.is_empty() {
                break;
            }
            let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            migrate.extend(keys);
            source.command(&migrate).await;
        }
        for node in [target, source] {
            node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &target_id]).await;
        }
    }
}

async fn id(node: &RedisServer) -> String {
    let answer = node.command(&["CLUSTER", "MYID"]).await;
    answer.lines().nth(1).expect("a node has an id").to_owned()
}

async fn whole(nodes: &[RedisServer]) {
    let known = format!("cluster_known_nodes:{}\r", nodes.len());
    for node in nodes {
        eventually("the cluster is whole", async || {
            let info = node.ask(&["CLUSTER", "INFO"]).await;
            info.contains("cluster_state:ok") && info.contains(&known)
        })
        .await;
    }
}
