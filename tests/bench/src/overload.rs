//! From an engagement to the last worker that holds it, while others ask for all they can.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use contracts::killswitch as pb;
use contracts::killswitch::kill_switch_service_client::KillSwitchServiceClient;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::Code;
use tonic::transport::Endpoint;

use crate::Error;
use crate::fleet::Fleet;
use crate::measure::{Samples, report};
use crate::operator::Operator;
use crate::process::Server;

const WORKERS: usize = 500;
const ROUNDS: usize = 15;
const REST: Duration = Duration::from_millis(300);
/// Questions on their way at once: ten times as many as the services are measured with.
const IN_FLIGHT: usize = 640;
const CONNECTIONS: usize = 8;
const REACHED_MAX: f64 = 3.0;
const MEMORY_MAX_MIB: u64 = 256; // What its container is given.
const REASON: &str = "the numbers of yesterday are wrong";

/// Engages and releases again and again, and tells how long it took until every worker held it.
async fn rounds(operator: &mut Operator, fleet: &mut Fleet) -> Result<Samples, Error> {
    let mut samples = Samples::default();
    for round in 0..=ROUNDS {
        let started = Instant::now();
        let engaged = operator.engage(REASON).await?;
        let (instants, _size) = fleet.hold(engaged.epoch).await?;
        if let Some(last) = instants.iter().max().filter(|_| round > 0) {
            samples.push(last.saturating_duration_since(started));
        }
        tokio::time::sleep(REST).await;
        let released = operator.release(engaged.epoch).await?;
        fleet.hold(released.epoch).await?;
        tokio::time::sleep(REST).await;
    }
    Ok(samples)
}

/// Prints how much later a kill reaches its workers under a flood of questions, what became of
/// these, and the memory of the server. Whoever floods is a process of its own that leaves the
/// processors to others: it stands for machines that this one does not have.
pub(crate) async fn beside_nobody_else() -> Result<(), Error> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().to_str().ok_or("a directory with a strange name")?;
    let server = Server::start(&["product", path]).await?;
    let mut operator = Operator::connect(&server.address).await?;
    let mut fleet = Fleet::connect(&server.address, WORKERS).await?;
    fleet.hold(0).await?;
    let alone = rounds(&mut operator, &mut fleet).await?;
    let before = server.resident_kib()? / 1_024;
    let flood = Server::start_idle(&["flood", &server.address]).await?;
    let crowded = rounds(&mut operator, &mut fleet).await?;
    let after = server.resident_kib()? / 1_024;
    println!("{WORKERS} workers, and {IN_FLIGHT} questions at once: {}", flood.ask().await?);
    report("  engaged to the last worker", crowded.median(), alone.median(), REACHED_MAX);
    let verdict = if after <= MEMORY_MAX_MIB { "met" } else { "MISSED" };
    println!(
        "  memory of the server: {before} MiB alone, {after} MiB (<= {MEMORY_MAX_MIB}: {verdict})"
    );
    Ok(())
}

/// Asks for all it can, until its standard input ends. Tells then how it was answered.
pub(crate) async fn flood(address: &str) -> Result<(), Error> {
    let (answered, shed, failed) = <(Arc<AtomicU64>, Arc<AtomicU64>, Arc<AtomicU64>)>::default();
    let mut asking = JoinSet::new();
    let mut channels = Vec::new();
    for _connection in 0..CONNECTIONS {
        channels.push(Endpoint::from_shared(address.to_owned())?.connect().await?);
    }
    println!("flooding");
    for number in 0..IN_FLIGHT {
        let mut client = KillSwitchServiceClient::new(channels[number % CONNECTIONS].clone());
        let counts = (Arc::clone(&answered), Arc::clone(&shed), Arc::clone(&failed));
        asking.spawn(async move {
            loop {
                let request = pb::ListKillSwitchesRequest::default();
                let count = match client.list_kill_switches(request).await {
                    Ok(_) => &counts.0,
                    Err(status) if status.code() == Code::ResourceExhausted => &counts.1,
                    Err(_) => &counts.2,
                };
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let mut end = String::new();
    let waited = tokio::task::spawn_blocking(move || std::io::stdin().read_line(&mut end));
    waited.await??;
    asking.shutdown().await;
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    println!(
        "{} answered, {} shed, {} failed otherwise",
        read(&answered),
        read(&shed),
        read(&failed)
    );
    Ok(())
}
