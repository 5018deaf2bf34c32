//! Taking in what happened: checked whole, then counted once.

use std::collections::BTreeSet;
use std::time::Duration;

use contracts::gate as pb;
use contracts::gate::breaker_transition::State as BreakerState;
use contracts::gate::gate_event::Kind;
use contracts::gate::sighting::Kind as Sight;
use contracts::gate::signal::Kind as SignalKind;
use contracts::gate::upload_outcome::{Path as WirePath, Result as WireResult};
use gate_core::{Field, Outcome, Path};
use plan::Metric;
use service_kit::fault::{Fault, check_text, checked};
use service_kit::journaled::{refused, store_failed};
use service_kit::wire::wire_time;
use store::{Added, Batch, BatchId, Change, Command, Draft, Hash, RequestKey, StoreError};
use tonic::Code;
use vocab::{Timestamp, UploadId, WorkspaceId};

use crate::app::App;
use crate::convert::{required_time, transition_name};
use crate::counting::{FUTURE_MAX, PAST_MAX, REMEMBERED, Sums};
use crate::error::{DOMAIN, Refusal};
use crate::evidence::scope;
use crate::state::{Watched, draft};

const BATCH_MAX: usize = 1_000;
const LATENCY_MAX: Duration = Duration::from_secs(24 * 3_600);
const LABEL_LENGTH_MAX: usize = 32;

fn invalid(path: impl Into<String>, why: impl Into<String>) -> Fault {
    Fault::field(DOMAIN, path, why)
}

fn check_size(path: &str, size: usize) -> Result<(), Fault> {
    if (1..=BATCH_MAX).contains(&size) {
        return Ok(());
    }
    Err(invalid(path, format!("{size} in a batch: expected 1 to {BATCH_MAX}")))
}

fn digest(request: &impl prost::Message) -> Hash {
    Hash::of(&request.encode_to_vec())
}

/// Whether the batch had been counted before.
fn counted(added: Result<Added, StoreError>, batch_id: &str) -> Result<bool, Fault> {
    match added.map_err(|error| store_failed(DOMAIN, &error))? {
        Added::Counted => Ok(false),
        Added::Duplicate => Ok(true),
        Added::Reused => Err(Fault::new(
            Code::AlreadyExists,
            DOMAIN,
            "BATCH_ID_REUSED",
            format!("batch id {batch_id} was used before with other contents: choose a new one"),
        )
        .with("batch_id", batch_id)),
    }
}

impl App {
    fn of_pipeline(&self, pipeline: &str) -> Result<Watched, Refusal> {
        let snapshot = self.replica.snapshot();
        let watched = snapshot.state.of_pipeline(pipeline).cloned();
        watched.ok_or_else(|| Refusal::PipelineNotFound(pipeline.to_owned()))
    }

    /// Counts outcomes. `true`: the batch had been counted before.
    pub(crate) async fn count(&self, request: &pb::ReportOutcomesRequest) -> Result<bool, Fault> {
        let scope = scope(&request.pipeline)?;
        let id = checked(DOMAIN, "batch_id", BatchId::new(&request.batch_id))?;
        check_size("outcomes", request.outcomes.len())?;
        let watched = self.of_pipeline(&request.pipeline)?;
        let now = self.clock.now();
        let mut sums = Sums::default();
        for (index, outcome) in request.outcomes.iter().enumerate() {
            let (at, fields) = read_outcome(&format!("outcomes[{index}]"), outcome, now)?;
            for field in fields {
                sums.count(&watched, at, &field.name());
            }
        }
        let batch = Batch { id, contents: digest(request) };
        let added = self.counters.add(&scope, &batch, REMEMBERED, &sums.into_changes()).await;
        counted(added, &request.batch_id)
    }

    /// Records signals. `true`: the batch had been counted before.
    pub(crate) async fn record(
        &self,
        request: &pb::ReportSignalsRequest,
        command: Command,
    ) -> Result<bool, Fault> {
        let scope = scope(&request.pipeline)?;
        checked(DOMAIN, "batch_id", BatchId::new(&request.batch_id))?;
        check_size("signals", request.signals.len())?;
        let watched = self.of_pipeline(&request.pipeline)?;
        let now = self.clock.now();
        let mut gauges = Vec::new();
        let mut sightings = Vec::new();
        for (index, signal) in request.signals.iter().enumerate() {
            let path = format!("signals[{index}]");
            let at = read_time(&path, signal.occur_time.as_ref(), now)?;
            match read_signal(&path, signal, &watched)? {
                Read::Gauge(gauge, value) => gauges.push(Change::Set { gauge, value, at }),
                Read::Sight(sight) => sightings.push((at, sight)),
            }
        }
        // Sightings first: the batch id marks the whole batch as done, and comes last.
        if !sightings.is_empty() {
            self.see(request, command, sightings).await?;
        }
        let id = checked(DOMAIN, "batch_id", signals_batch(&request.batch_id))?;
        let batch = Batch { id, contents: digest(request) };
        let added = self.counters.add(&scope, &batch, REMEMBERED, &gauges).await;
        counted(added, &request.batch_id)
    }

    async fn see(
        &self,
        request: &pb::ReportSignalsRequest,
        mut command: Command,
        sightings: Vec<(Timestamp, Sight)>,
    ) -> Result<(), Fault> {
        let pipeline = request.pipeline.clone();
        command.request = Some(RequestKey {
            id: format!("signals-{pipeline}-{}", request.batch_id),
            digest: digest(request),
        });
        self.replica
            .execute(&command, |state, _| {
                let seen = state.of_pipeline(&pipeline).map(|watched| &watched.sighted.transitions);
                let mut known = seen.cloned().unwrap_or_default();
                let drafts = sightings.iter().filter(|(_, sight)| is_news(sight, &mut known));
                let drafts: Vec<Draft> = drafts
                    .map(|(at, sight)| {
                        draft(Kind::Sighting(pb::Sighting {
                            pipeline: pipeline.clone(),
                            occur_time: Some(wire_time(*at)),
                            kind: Some(sight.clone()),
                        }))
                    })
                    .collect();
                Ok::<_, Refusal>(drafts)
            })
            .await
            .map_err(|error| refused(DOMAIN, error))?;
        Ok(())
    }
}

/// The id under which a batch of signals is remembered: a batch of outcomes may have the same.
fn signals_batch(id: &str) -> Result<BatchId, vocab::Invalid> {
    BatchId::new(&format!("signals-{}", Hash::of(id.as_bytes())))
}

/// A state transition is journaled once a phase; everything else every time.
fn is_news(sight: &Sight, known: &mut BTreeSet<String>) -> bool {
    match sight {
        Sight::StateTransition(transition) => known.insert(transition_name(transition)),
        Sight::BreakerTransition(_)
        | Sight::ManualIntervention(_)
        | Sight::DrillPassed(_)
        | Sight::Incident(_) => true,
    }
}

fn read_time(
    path: &str,
    wire: Option<&prost_types::Timestamp>,
    now: Timestamp,
) -> Result<Timestamp, Fault> {
    let path = format!("{path}.occur_time");
    let at = required_time(&path, wire)?;
    if at > now.plus(FUTURE_MAX) {
        let why = format!("{at} is in the future: it is {now}, and clocks may differ by 60 s");
        return Err(invalid(path, why));
    }
    if at < now.minus(PAST_MAX) {
        let why = format!("{at} is too late: it is {now}, and no window reaches back over 7 days");
        return Err(invalid(path, why));
    }
    Ok(at)
}

fn read_outcome(
    path: &str,
    wire: &pb::UploadOutcome,
    now: Timestamp,
) -> Result<(Timestamp, Vec<Field>), Fault> {
    let at = read_time(path, wire.occur_time.as_ref(), now)?;
    checked(DOMAIN, &format!("{path}.upload_id"), UploadId::new(&wire.upload_id))?;
    checked(DOMAIN, &format!("{path}.workspace_id"), WorkspaceId::new(&wire.workspace_id))?;
    let outcome = match wire.result() {
        WireResult::Succeeded => Outcome::Succeeded,
        WireResult::Failed => Outcome::Failed,
        WireResult::Invalid => Outcome::Invalid,
        WireResult::Unspecified | WireResult::Started => {
            return Err(invalid(format!("{path}.result"), "expected SUCCEEDED, FAILED or INVALID"));
        }
    };
    let route = match wire.path() {
        WirePath::New => Path::New,
        WirePath::Legacy => Path::Legacy,
        WirePath::Unspecified => {
            return Err(invalid(format!("{path}.path"), "expected NEW or LEGACY"));
        }
    };
    if wire.platform.len() > LABEL_LENGTH_MAX {
        return Err(invalid(format!("{path}.platform"), "is longer than 32 characters"));
    }
    let latency = wire.latency_duration.map(Duration::try_from);
    let Some(Ok(latency)) = latency.filter(|one| one.as_ref().is_ok_and(|it| *it <= LATENCY_MAX))
    else {
        return Err(invalid(format!("{path}.latency_duration"), "is required, 0 s to 24 h"));
    };
    let latency_ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
    Ok((at, Field::of(route, outcome, latency_ms)))
}

enum Read {
    Gauge(String, i64),
    Sight(Sight),
}

fn read_signal(path: &str, wire: &pb::Signal, watched: &Watched) -> Result<Read, Fault> {
    match &wire.kind {
        Some(SignalKind::Gauge(gauge)) => read_gauge(path, gauge),
        Some(SignalKind::BreakerTransition(transition)) => {
            let path = format!("{path}.breaker_transition");
            checked(DOMAIN, &format!("{path}.breaker_id"), BatchId::new(&transition.breaker_id))?;
            if transition.state() == BreakerState::Unspecified {
                return Err(invalid(format!("{path}.state"), "expected CLOSED, OPEN or HALF_OPEN"));
            }
            Ok(Read::Sight(Sight::BreakerTransition(transition.clone())))
        }
        Some(SignalKind::StateTransition(transition)) => {
            let name = transition_name(transition);
            let expected = &watched.plan.state_transitions;
            if !expected.contains(&name) {
                let why = format!(
                    "`{}` is not a transition of the plan: {}",
                    vocab::excerpt(&name),
                    expected.join(", ")
                );
                return Err(invalid(format!("{path}.state_transition"), why));
            }
            Ok(Read::Sight(Sight::StateTransition(transition.clone())))
        }
        Some(SignalKind::ManualIntervention(intervention)) => {
            let path = format!("{path}.manual_intervention.reason");
            check_text(DOMAIN, &path, &intervention.reason, true)?;
            Ok(Read::Sight(Sight::ManualIntervention(intervention.clone())))
        }
        Some(
            SignalKind::ProbeResults(_) | SignalKind::Incident(_) | SignalKind::Occurrences(_),
        ) => Err(invalid(format!("{path}.kind"), "is not taken by this version")),
        None => Err(invalid(format!("{path}.kind"), "is required")),
    }
}

fn read_gauge(path: &str, gauge: &pb::Gauge) -> Result<Read, Fault> {
    let path = format!("{path}.gauge");
    let metric = checked(DOMAIN, &format!("{path}.metric"), Metric::named(&gauge.metric))?;
    let good = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if gauge.label.len() > LABEL_LENGTH_MAX || !gauge.label.chars().all(good) {
        let why = "expected at most 32 ASCII letters, digits, `_`, `-` or `.`";
        return Err(invalid(format!("{path}.label"), why));
    }
    if gauge.amount < 0 {
        return Err(invalid(format!("{path}.amount"), format!("{} is negative", gauge.amount)));
    }
    let name = if gauge.label.is_empty() {
        metric.name().to_owned()
    } else {
        format!("{}/{}", metric.name(), gauge.label)
    };
    Ok(Read::Gauge(name, gauge.amount))
}
