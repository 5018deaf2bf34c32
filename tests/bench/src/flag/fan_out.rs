//! From a change acknowledged to the last watcher that has it.

use std::time::Duration;

use contracts::flag as pb;
use contracts::flag::evaluation_service_client::EvaluationServiceClient;
use contracts::flag::flag_service_client::FlagServiceClient;
use contracts::flag::watch_ruleset_response::Update;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::transport::Endpoint;

use super::serving::{FLAG, asked, prepare};
use crate::Error;
use crate::measure::{Samples, report};
use crate::process::Server;

const ROUNDS: usize = 15;
const STREAMS_PER_CONNECTION: usize = 800; // A server takes 1,024.
const PATIENCE: Duration = Duration::from_secs(60);
const REST: Duration = Duration::from_millis(500); // What is still on its way is not measured.
const LAST_MAX: f64 = 1.5;
const MEMORY_MAX: f64 = 1.2;

/// A server and its watchers.
struct Side {
    server: Server,
    watchers: usize,
    /// When each change arrived, and its size.
    changes: mpsc::UnboundedReceiver<(Instant, usize)>,
    memory_kib: u64,
    last: Samples,
    spread: Samples,
    _tasks: JoinSet<()>,
}

impl Side {
    async fn start(server: Server, watchers: usize) -> Result<Self, Error> {
        let before = server.resident_kib()?;
        let (tx, changes) = mpsc::unbounded_channel();
        let (mut tasks, mut opening) = (JoinSet::new(), JoinSet::new());
        for first in (0..watchers).step_by(STREAMS_PER_CONNECTION) {
            let channel = Endpoint::from_shared(server.address.clone())?.connect().await?;
            let count = STREAMS_PER_CONNECTION.min(watchers - first);
            opening.spawn(async move {
                let mut streams = Vec::with_capacity(count);
                for _ in 0..count {
                    let mut client = EvaluationServiceClient::new(channel.clone());
                    let request = pb::WatchRulesetRequest { after_revision: 0 };
                    let mut stream = client.watch_ruleset(request).await?.into_inner();
                    stream.message().await?.ok_or("a stream without a snapshot")?;
                    streams.push(stream);
                }
                Ok::<_, Error>(streams)
            });
        }
        while let Some(opened) = opening.join_next().await {
            for mut stream in opened?? {
                let tx = tx.clone();
                tasks.spawn(async move {
                    while let Ok(Some(said)) = stream.message().await {
                        if matches!(said.update, Some(Update::Change(_))) {
                            // Whoever measures may have gone.
                            tx.send((Instant::now(), said.encoded_len())).ok();
                        }
                    }
                });
            }
        }
        tokio::time::sleep(REST).await;
        let memory_kib = server.resident_kib()?.saturating_sub(before);
        let (last, spread) = Default::default();
        Ok(Self { server, watchers, changes, memory_kib, last, spread, _tasks: tasks })
    }

    /// Waits until every watcher has the change acknowledged at `at`; returns its size.
    async fn arrived(&mut self, at: Instant) -> Result<usize, Error> {
        let (mut instants, mut size) = (Vec::with_capacity(self.watchers), 0);
        let all = async {
            while instants.len() < self.watchers {
                let (at, bytes) = self.changes.recv().await.ok_or("every watcher has gone")?;
                instants.push(at);
                size = bytes;
            }
            Ok::<_, Error>(())
        };
        tokio::time::timeout(PATIENCE, all).await.map_err(|_e| "not all watchers were told")??;
        let (first, last) = (instants.iter().min(), instants.iter().max());
        if let (Some(first), Some(last)) = (first, last) {
            self.last.push(last.saturating_duration_since(at));
            self.spread.push(last.saturating_duration_since(*first));
        }
        tokio::time::sleep(REST).await;
        Ok(size)
    }

    fn forget(&mut self) {
        (self.last, self.spread) = Default::default();
    }

    /// Memory of the server per watcher, in bytes.
    fn each(&self) -> u64 {
        self.memory_kib * 1_024 / u64::try_from(self.watchers).unwrap_or(1)
    }
}

/// As many watchers of the flag service as of a bare broadcast of as many bytes.
pub(crate) async fn beside_a_bare_broadcast(watchers: usize) -> Result<(), Error> {
    let dir = tempfile::tempdir()?;
    let server = Server::start(&["flag", &format!("embedded:{}", dir.path().display())]).await?;
    prepare(&server.address, None).await?;
    let mut flags = FlagServiceClient::connect(server.address.clone()).await?;
    let mut ours = Side::start(server, watchers).await?;
    let server = Server::start(&["broadcast"]).await?;
    let mut asking = EvaluationServiceClient::connect(server.address.clone()).await?;
    let mut bare = Side::start(server, watchers).await?;
    let (mut size, mut bare_size) = (0, 0);
    for round in 0..=ROUNDS {
        let definition = pb::FlagDefinition {
            enabled: true,
            percentage_basis_points: if round % 2 == 0 { 500 } else { 1_000 },
            ..pb::FlagDefinition::default()
        };
        let flag =
            pb::Flag { name: FLAG.to_owned(), definition: Some(definition), ..pb::Flag::default() };
        let request = pb::UpdateFlagRequest {
            flag: Some(flag),
            reason: "the next round".to_owned(),
            ..pb::UpdateFlagRequest::default()
        };
        flags.update_flag(asked(request)?).await?;
        size = ours.arrived(Instant::now()).await?;
        let name = "x".repeat(size.saturating_sub(6)); // Tags and lengths around it.
        asking.evaluate_flag(pb::EvaluateFlagRequest { name, ..Default::default() }).await?;
        bare_size = bare.arrived(Instant::now()).await?;
        if round == 0 {
            ours.forget();
            bare.forget();
        }
    }
    println!("{watchers} watchers of flags, {size} bytes each, bare {bare_size} bytes:");
    report("  acknowledged to the last", ours.last.median(), bare.last.median(), LAST_MAX);
    report("  the first to the last", ours.spread.median(), bare.spread.median(), LAST_MAX);
    let share = ours.each() as f64 / bare.each().max(1) as f64;
    let verdict = if share <= MEMORY_MAX { "met" } else { "MISSED" };
    println!(
        "  memory of the server per watcher: {share:.2} ({} / {} bytes, target <= {MEMORY_MAX}: \
         {verdict})",
        ours.each(),
        bare.each()
    );
    println!("  memory of the server: {} KiB", ours.server.resident_kib()?);
    Ok(())
}
