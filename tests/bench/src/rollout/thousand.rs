//! A thousand rollouts on one replica beside one alone: memory, and how soon a trigger pauses.

use std::time::Duration;

use contracts::gate as pb;
use contracts::gate::signal::Kind;
use contracts::rollout as rollout_pb;
use contracts::rollout::rollout_event::Kind as Happened;
use softlaunch_tests::{House, Person, ask};
use tokio_stream::StreamExt as _;

use tokio::time::Instant;

use crate::Error;
use crate::measure::{Samples, report};

const ROLLOUTS: usize = 1_000;
const ROUNDS: usize = 5;
const TARGET: f64 = 2.0; // Of the latency with a thousand to that with a few.
const PATIENCE: Duration = Duration::from_secs(60);
const EVE: Person =
    Person { name: "eve", roles: &["engineering_lead", "product_manager", "sre_lead"] };

/// Prints the memory of a rollout, and the time from an incident to its pause.
pub(crate) async fn beside_one() -> Result<(), Error> {
    let house = House::start().await;
    for number in 0..ROUNDS {
        begin(&house, number).await?;
    }
    let few = resident_kib()?;
    let alone = pauses(&house, 0).await?;
    for number in ROUNDS..ROLLOUTS {
        begin(&house, number).await?;
        if number.is_multiple_of(100) {
            println!("  {number} rollouts run");
        }
    }
    let many = resident_kib()?;
    let crowded = pauses(&house, ROLLOUTS - ROUNDS).await?;
    let each = (many.saturating_sub(few)) / (ROLLOUTS - ROUNDS) as u64;
    println!("{ROLLOUTS} rollouts: {each} KiB each in all five services together");
    let what = format!("incident to pause with {ROLLOUTS} rollouts / with {ROUNDS}");
    report(&what, crowded.median(), alone.median(), TARGET);
    Ok(())
}

fn pipeline(number: usize) -> String {
    format!("pipeline_{number}")
}

/// A rollout of a plan of its own, in its first phase.
async fn begin(house: &House, number: usize) -> Result<(), Error> {
    let source = plan::SHIPPED.replace("ingestion_v2", &pipeline(number)).into_bytes();
    let stored = rollout_pb::CreatePlanVersionRequest { source, ..Default::default() };
    let stored = house.rollouts().create_plan_version(ask(EVE, stored)).await?.into_inner();
    let name = format!("rollouts/r-{number}");
    let created = rollout_pb::CreateRolloutRequest {
        rollout_id: format!("r-{number}"),
        plan_version: stored.name,
        demo: true,
        ..Default::default()
    };
    house.rollouts().create_rollout(ask(EVE, created)).await?;
    for criterion in
        ["p0-workers-deployed", "p0-guardrails-configured", "p0-dashboard-live", "p0-alerts-active"]
    {
        let attested = pb::AttestCriterionRequest {
            name: format!("{name}/criteria/{criterion}"),
            role: "engineering_lead".to_owned(),
            evidence: "https://wiki.example.com/evidence".to_owned(),
            statement: "seen".to_owned(),
            ..Default::default()
        };
        house.gates().attest_criterion(ask(EVE, attested)).await?;
    }
    let started = rollout_pb::StartRolloutRequest { name, ..Default::default() };
    house.rollouts().start_rollout(ask(EVE, started)).await?;
    Ok(())
}

/// How long it takes from the report of an incident to the pause of its rollout.
async fn pauses(house: &House, from: usize) -> Result<Samples, Error> {
    let watch = rollout_pb::WatchRolloutEventsRequest { after_revision: 0 };
    let mut events = house.rollouts().watch_rollout_events(watch).await?.into_inner();
    let mut times = Samples::default();
    for number in from..from + ROUNDS {
        let (name, pipeline) = (format!("rollouts/r-{number}"), pipeline(number));
        let incident = pb::Incident {
            incident_id: format!("INC-{number}"),
            kind: pb::incident::Kind::P1.into(),
            state: pb::incident::State::Declared.into(),
            title: "uploads vanish".to_owned(),
            client_facing: true,
        };
        let now = house.clock.now();
        let occur_time = prost_types::Timestamp { seconds: now.as_seconds(), nanos: 0 };
        let signals =
            vec![pb::Signal { occur_time: Some(occur_time), kind: Some(Kind::Incident(incident)) }];
        let batch_id = format!("incident-{number}");
        let request = pb::ReportSignalsRequest { pipeline, batch_id, signals };
        let begun = Instant::now();
        house.signals().report_signals(ask(EVE, request)).await?;
        let paused = async {
            while let Some(response) = events.next().await {
                let event = response?.event.unwrap_or_default();
                if event.rollout == name && matches!(event.kind, Some(Happened::RolloutPaused(_))) {
                    return Ok::<_, Error>(());
                }
            }
            Err("the stream ended".into())
        };
        tokio::time::timeout(PATIENCE, paused).await??;
        times.push(begun.elapsed());
    }
    Ok(times)
}

/// Memory this process holds: the whole house.
fn resident_kib() -> Result<u64, Error> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let figure = line.and_then(|line| line.split_whitespace().next());
    Ok(figure.ok_or("a process without memory")?.parse()?)
}
