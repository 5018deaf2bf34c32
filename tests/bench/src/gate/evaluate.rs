//! Judging over seven days: after a thousand uploads, and after a hundred million.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use contracts::gate as pb;
use contracts::gate::gate_service_client::GateServiceClient;
use gate_core::{Field, Outcome, Path};
use service_kit::clock::real_now;
use store::{Batch, BatchId, Bucket, Change, Hash, Location, Scope, Store};
use tonic::transport::Channel;
use vocab::Timestamp;

use super::ingest::apply;
use super::upload::Numbers;
use super::{PIPELINE, ROLLOUT};
use crate::Error;
use crate::measure::{self, Samples};
use crate::process::Server;

const TURNS: usize = 301; // Of less than a millisecond each.
const FEW: u64 = 1_000;
const MANY: u64 = 100_000_000;
const HOURS: u64 = 7 * 24;
const HOUR: Duration = Duration::from_secs(3_600);

/// One evaluation of the gate of general availability, whose windows reach seven days back.
pub(crate) async fn beside_a_thousand_outcomes() -> Result<(), Error> {
    println!("evaluate: {TURNS} turns over 7 days of {FEW} and of {MANY} uploads, embedded store");
    let (few, many) = (Judge::of(FEW).await?, Judge::of(MANY).await?);
    let (mut of_few, mut of_many) = (Samples::default(), Samples::default());
    for _turn in 0..TURNS {
        of_few.push(few.evaluate(FEW).await?);
        of_many.push(many.evaluate(MANY).await?);
    }
    measure::report("evaluation of a gate", of_many.median(), of_few.median(), 1.5);
    let kib = |judge: &Judge| judge.server.resident_kib();
    println!("server memory: {} MiB and {} MiB", kib(&few)? / 1_024, kib(&many)? / 1_024);
    Ok(())
}

struct Judge {
    server: Server,
    gates: GateServiceClient<Channel>,
    _directory: tempfile::TempDir,
}

impl Judge {
    async fn of(uploads: u64) -> Result<Self, Error> {
        let directory = tempfile::tempdir()?;
        seed(&directory, uploads).await?;
        let path = directory.path().to_str().ok_or("a directory without a name")?;
        let server = Server::start(&["gate", path]).await?;
        let channel = Channel::from_shared(server.address.clone())?.connect().await?;
        apply(channel.clone(), real_now().minus(30 * 24 * HOUR)).await?;
        let gates = GateServiceClient::new(channel);
        Ok(Self { server, gates, _directory: directory })
    }

    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    async fn evaluate(&self, uploads: u64) -> Result<Duration, Error> {
        let name = format!("{ROLLOUT}/gates/ga");
        let request = pb::EvaluateGateRequest { name, validate_only: true };
        let begun = std::time::Instant::now();
        let report = self.gates.clone().evaluate_gate(request).await?.into_inner();
        let took = begun.elapsed();
        let latency = report.criteria.iter().find(|one| one.criterion_id == "ga-latency");
        let judged = latency.map_or(0, |one| one.sample_count);
        // Rounding leaves out a few, and the oldest hour is on its way out.
        if judged.unsigned_abs() * 10 < uploads * 9 {
            return Err(format!("{judged} uploads were judged of {uploads}").into());
        }
        Ok(took)
    }
}

/// Writes what so many uploads leave behind, spread over seven days, without uploading them.
async fn seed(directory: &tempfile::TempDir, uploads: u64) -> Result<(), Error> {
    let location = Location::Embedded(directory.path().to_owned());
    let store = Store::open(&location, Arc::new(real_now)).await?;
    let scope = Scope::new(PIPELINE)?;
    let mut numbers = Numbers(7);
    let hour_ms = i64::try_from(HOUR.as_millis())?;
    let this_hour = real_now().as_millis().div_euclid(hour_ms) * hour_ms;
    for hour in 0..HOURS {
        let start = Timestamp::from_millis(this_hour).minus(HOUR * u32::try_from(hour)?);
        let own = uploads / HOURS + u64::from(hour < uploads % HOURS);
        let drawn = own.min(20_000);
        let (mut counts, mut admitted) = (BTreeMap::new(), BTreeMap::new());
        for draw in 0..drawn {
            // Each draw stands for as many uploads as there are more of them than draws.
            let by = own / drawn + u64::from(draw < own % drawn);
            let failed = numbers.next().is_multiple_of(200);
            let outcome = if failed { Outcome::Failed } else { Outcome::Succeeded };
            for field in Field::of(Path::New, outcome, numbers.latency_ms(), &[600_000]) {
                *counts.entry(field.name()).or_insert(0) += by;
            }
            *admitted.entry(if failed { "failed" } else { "succeeded" }).or_insert(0) += by;
        }
        let keep = Duration::from_secs(9 * 24 * 3_600);
        let add = |series: &str, fields: Vec<(String, u64)>| Change::Add {
            buckets: vec![Bucket { series: series.to_owned(), start, keep }],
            fields,
        };
        let admitted = admitted.into_iter().map(|(field, by)| (field.to_owned(), by)).collect();
        let mut changes = vec![add("h", counts.into_iter().collect()), add("admitted:h", admitted)];
        let now = real_now();
        for gauge in ["reports.heard", "outcomes.newest"] {
            let (gauge, value) = (gauge.to_owned(), now.as_millis());
            changes.push(Change::Set { gauge, value, at: now });
        }
        let batch = Batch { id: BatchId::new(&format!("seed-{hour}"))?, contents: Hash::default() };
        store.counters.add(&scope, &batch, keep, changes).await?;
    }
    Ok(())
}
