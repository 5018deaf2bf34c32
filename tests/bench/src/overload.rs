//! From an engagement to the last worker that holds it, while others ask for all they can.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use contracts::flag as flag_pb;
use contracts::flag::evaluation_service_client::EvaluationServiceClient;
use contracts::gate as gate_pb;
use contracts::gate::signal_service_client::SignalServiceClient;
use contracts::killswitch as pb;
use contracts::killswitch::kill_switch_service_client::KillSwitchServiceClient;
use service_kit::clock::real_now;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::Error;
use crate::fleet::Fleet;
use crate::gate::{Numbers, apply, report as uploads};
use crate::measure::{Samples, report};
use crate::operator::Operator;
use crate::process::Server;

const WORKERS: usize = 500;
const ROUNDS: usize = 15;
const REST: Duration = Duration::from_millis(300);
/// Questions on their way at once: ten times as many as the services are measured with.
const IN_FLIGHT: usize = 640;
/// More than a service works on at once, so that it has to turn some away.
const REPORTS_IN_FLIGHT: usize = 2_048;
const REPORTED: usize = 20;
const CONNECTIONS: usize = 8;
const REACHED_MAX: f64 = 3.0;
const MEMORY_MAX_MIB: u64 = 256; // What the container of a service is given.
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
/// these, and the memory of the server: of the kill-switch service by itself, and of one process
/// with flag and gate service beside it, each of which is flooded. Whoever floods is a process of
/// its own that leaves the processors to others: it stands for machines that this one does not have.
pub(crate) async fn beside_nobody_else() -> Result<(), Error> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().to_str().ok_or("a directory with a strange name")?;
    println!("{WORKERS} workers, and {IN_FLIGHT} questions at once");
    let server = Server::start(&["product", path]).await?;
    flooded(&server, &[server.address.as_str()], Some(REACHED_MAX)).await?;
    drop(server);

    let dir = tempfile::tempdir()?;
    let path = dir.path().to_str().ok_or("a directory with a strange name")?;
    println!("the same, with as many evaluations and {REPORTS_IN_FLIGHT} reports besides");
    let server = Server::start(&["together", path]).await?;
    let [flag, gate] = server.beside.as_slice() else { return Err("no services beside it".into()) };
    apply(Endpoint::from_shared(gate.clone())?.connect().await?, real_now()).await?;
    // Of processors that everything shares, no share is promised: memory and refusals are.
    flooded(&server, &[&server.address, flag, gate], None).await
}

async fn flooded(
    server: &Server,
    addresses: &[&str],
    reached_max: Option<f64>,
) -> Result<(), Error> {
    let mut operator = Operator::connect(&server.address).await?;
    let mut fleet = Fleet::connect(&server.address, WORKERS).await?;
    fleet.hold(0).await?;
    let alone = rounds(&mut operator, &mut fleet).await?;
    let before = server.resident_kib()? / 1_024;
    let flood = Server::start_idle(&[&["flood"], addresses].concat()).await?;
    let crowded = rounds(&mut operator, &mut fleet).await?;
    let after = server.resident_kib()? / 1_024;
    println!("  {}", flood.ask().await?);
    let what = "  engaged to the last worker";
    let (late, soon) = (crowded.median(), alone.median());
    match reached_max {
        Some(most) => report(what, late, soon, most),
        None => println!("{what}: {:.2}", late.as_secs_f64() / soon.as_secs_f64()),
    }
    let most = MEMORY_MAX_MIB * u64::try_from(addresses.len())?;
    let verdict = if after <= most { "met" } else { "MISSED" };
    println!("  memory of the server: {before} MiB alone, {after} MiB (<= {most}: {verdict})");
    Ok(())
}

/// What became of the calls to one service.
#[derive(Debug, Default)]
struct Counts {
    answered: AtomicU64,
    shed: AtomicU64,
    failed: AtomicU64,
    first: OnceLock<String>,
}

impl Counts {
    fn told(&self) -> String {
        let [answered, shed, failed] =
            [&self.answered, &self.shed, &self.failed].map(|count| count.load(Ordering::Relaxed));
        let first = self.first.get().map(|why| format!(" (the first: {why})")).unwrap_or_default();
        format!("{answered} answered, {shed} shed, {failed} failed otherwise{first}")
    }
}

/// Asks again as soon as it is answered, whatever the answer is.
async fn keep_asking<T, F>(counts: Arc<Counts>, mut ask: impl FnMut() -> F + Send)
where
    F: Future<Output = Result<T, Status>> + Send,
{
    loop {
        let count = match ask().await {
            Ok(_answer) => &counts.answered,
            Err(status) if status.code() == Code::ResourceExhausted => &counts.shed,
            Err(status) => {
                counts.first.get_or_init(|| format!("{}: {}", status.code(), status.message()));
                &counts.failed
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

async fn connections(address: &str) -> Result<Vec<Channel>, Error> {
    let mut channels = Vec::new();
    for _connection in 0..CONNECTIONS {
        channels.push(Endpoint::from_shared(address.to_owned())?.connect().await?);
    }
    Ok(channels)
}

/// Asks the kill-switch service, and those of flags and gates where they are given, for all it can,
/// until its standard input ends. Tells then how it was answered.
pub(crate) async fn flood(addresses: &[&str]) -> Result<(), Error> {
    let counts: [Arc<Counts>; 3] = Default::default();
    let mut asking = JoinSet::new();
    for (place, address) in addresses.iter().enumerate() {
        let channels = connections(address).await?;
        let in_flight = if place == 2 { REPORTS_IN_FLIGHT } else { IN_FLIGHT };
        for number in 0..in_flight {
            let channel = channels[number % CONNECTIONS].clone();
            let counts = Arc::clone(&counts[place]);
            match place {
                0 => asking.spawn(keep_asking(counts, move || list(channel.clone()))),
                1 => asking.spawn(keep_asking(counts, move || evaluate(channel.clone()))),
                _ => {
                    let mut sent = 0_usize;
                    let mut numbers = Numbers(1);
                    asking.spawn(keep_asking(counts, move || {
                        sent += 1;
                        let batch = format!("flood-{number}-{sent}");
                        send(channel.clone(), uploads(&batch, REPORTED, real_now(), &mut numbers))
                    }))
                }
            };
        }
    }
    println!("flooding");
    let mut end = String::new();
    let waited = tokio::task::spawn_blocking(move || std::io::stdin().read_line(&mut end));
    waited.await??;
    asking.shutdown().await;
    let told = ["questions", "evaluations", "reports"].iter().zip(&counts).take(addresses.len());
    let told: Vec<_> = told.map(|(what, counts)| format!("{what}: {}", counts.told())).collect();
    println!("{}", told.join("; "));
    Ok(())
}

async fn list(channel: Channel) -> Result<(), Status> {
    let request = pb::ListKillSwitchesRequest::default();
    KillSwitchServiceClient::new(channel).list_kill_switches(request).await.map(drop)
}

async fn evaluate(channel: Channel) -> Result<(), Status> {
    let request = flag_pb::EvaluateFlagRequest {
        name: "flags/nobody-made-it".to_owned(), // Looked up all the same.
        workspace_id: "ws-1".to_owned(),
        attributes: None,
    };
    match EvaluationServiceClient::new(channel).evaluate_flag(request).await {
        Err(status) if status.code() != Code::NotFound => Err(status),
        Ok(_) | Err(_) => Ok(()),
    }
}

async fn send(channel: Channel, request: gate_pb::ReportOutcomesRequest) -> Result<(), Status> {
    SignalServiceClient::new(channel).report_outcomes(request).await.map(drop)
}
