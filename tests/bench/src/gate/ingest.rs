//! Counting a report, over gRPC into the embedded store, beside decoding it and adding to counters
//! in memory.

use std::collections::HashMap;
use std::time::Duration;

use contracts::gate as pb;
use contracts::gate::gate_service_client::GateServiceClient;
use contracts::gate::signal_service_client::SignalServiceClient;
use prost::Message as _;
use service_kit::clock::real_now;
use service_kit::wire::wire_time;
use tonic::transport::Channel;

use super::upload::{Numbers, report};
use super::{PIPELINE, ROLLOUT};
use crate::Error;
use crate::measure::{self, Samples};
use crate::process::Server;

const TURNS: usize = 21;
const BATCHES: usize = 40; // In a turn.
const SIZE: usize = 1_000;

/// Processor time for an outcome: the server's, and that of the least that could be done.
pub(crate) async fn beside_plain_counters() -> Result<(), Error> {
    println!("ingest: {TURNS} turns of {BATCHES} batches of {SIZE}, embedded store, over gRPC");
    let directory = tempfile::tempdir()?;
    let path = directory.path().to_str().ok_or("a directory without a name")?;
    let server = Server::start(&["gate", path]).await?;
    let channel = Channel::from_shared(server.address.clone())?.connect().await?;
    apply(channel.clone(), real_now().minus(Duration::from_secs(3_600))).await?;
    let mut signals = SignalServiceClient::new(channel);
    let mut numbers = Numbers(1);
    let (mut ours, mut bare) = (Samples::default(), Samples::default());
    let (mut first, mut last) = (Duration::ZERO, Duration::ZERO);
    for turn in 0..TURNS {
        let reports: Vec<_> = (0..BATCHES)
            .map(|n| report(&format!("turn-{turn}-{n}"), SIZE, real_now(), &mut numbers))
            .collect();
        let bytes: Vec<_> = reports.iter().map(pb::ReportOutcomesRequest::encode_to_vec).collect();
        let before = own_processor_time().await?;
        let mut counters = Counters::default();
        for report in &bytes {
            counters.add(&pb::ReportOutcomesRequest::decode(report.as_slice())?);
        }
        bare.push(per_outcome(own_processor_time().await? - before));
        if counters.total() != u64::try_from(BATCHES * SIZE)? {
            return Err("the plain counters lost something".into());
        }
        let before = server.processor_time()?;
        for report in reports {
            signals.report_outcomes(report).await?;
        }
        let took = per_outcome(server.processor_time()? - before);
        ours.push(took);
        if turn == 0 {
            first = took;
        }
        last = took;
    }
    measure::report_turns("processor time for an outcome", &ours, &bare, 2.0);
    measure::report("the last turn beside the first", last, first, 1.5);
    println!("server memory: {} MiB", server.resident_kib()? / 1_024);
    Ok(())
}

fn per_outcome(turn: Duration) -> Duration {
    turn / u32::try_from(BATCHES * SIZE).unwrap_or(u32::MAX)
}

/// The kernel accounts for a thread when it stops: while it runs, its time is up to a tick of 4 ms
/// behind, a quarter of a turn.
async fn own_processor_time() -> Result<Duration, Error> {
    tokio::time::sleep(Duration::from_millis(1)).await;
    crate::process::processor_time(std::process::id())
}

/// Enters a phase of the shipped plan.
pub(crate) async fn apply(channel: Channel, start: vocab::Timestamp) -> Result<(), Error> {
    let request = pb::ApplyGatePlanRequest {
        rollout: ROLLOUT.to_owned(),
        plan_source: plan::SHIPPED.as_bytes().to_vec(),
        generation: 1,
        phase_id: "P4".to_owned(),
        start_time: Some(wire_time(start)),
        phase_generation: 1,
        percentage_basis_points: 10_000,
        ..Default::default()
    };
    let applied = GateServiceClient::new(channel).apply_gate_plan(request).await?.into_inner();
    if applied.pipeline == PIPELINE { Ok(()) } else { Err("another pipeline".into()) }
}

/// Counters as anybody would write them down first.
#[derive(Debug, Default)]
struct Counters {
    by_result: HashMap<(i64, i32), u64>,
    by_label: HashMap<String, [u64; 5]>,
    latencies: HashMap<u16, u64>,
}

impl Counters {
    fn add(&mut self, report: &pb::ReportOutcomesRequest) {
        for outcome in &report.outcomes {
            let minute = outcome.occur_time.map_or(0, |at| at.seconds / 60);
            *self.by_result.entry((minute, outcome.result)).or_default() += 1;
            let latency = outcome.latency_duration.unwrap_or_default();
            let millis = latency.seconds * 1_000 + i64::from(latency.nanos) / 1_000_000;
            let bucket = gate_core::latency_bucket(u64::try_from(millis).unwrap_or(0));
            *self.latencies.entry(bucket).or_default() += 1;
            let place = usize::try_from(outcome.result).unwrap_or(0).min(4);
            for label in [&outcome.platform, &outcome.workspace_id] {
                match self.by_label.get_mut(label) {
                    Some(counts) => counts[place] += 1,
                    None => {
                        let mut counts = [0; 5];
                        counts[place] = 1;
                        self.by_label.insert(label.clone(), counts);
                    }
                }
            }
        }
    }

    fn total(&self) -> u64 {
        self.by_result.values().sum()
    }
}
