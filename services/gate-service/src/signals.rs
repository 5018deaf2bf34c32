//! Taking in gauges, counts, transitions, incidents and interventions: checked whole, then
//! recorded once.

use std::collections::BTreeSet;

use contracts::gate as pb;
use contracts::gate::breaker_transition::State as BreakerState;
use contracts::gate::gate_event::Kind;
use contracts::gate::incident::{Kind as IncidentKind, State as IncidentState};
use contracts::gate::occurrences::Kind as OccurrenceKind;
use contracts::gate::sighting::Kind as Sight;
use contracts::gate::signal::Kind as SignalKind;
use gate_core::{Field, Happening, reading};
use plan::Metric;
use service_kit::fault::{Fault, check_text, checked};
use service_kit::journaled::refused;
use service_kit::wire::wire_time;
use store::{Batch, BatchId, Change, Command, Draft, Hash, RequestKey};
use vocab::{PipelineId, Timestamp};

use crate::app::App;
use crate::convert::transition_name;
use crate::counting::{REMEMBERED, Sums};
use crate::error::{DOMAIN, Refusal};
use crate::evidence::scope;
use crate::outcomes::{check_label, check_size, counted, digest, heard, invalid, read_time};
use crate::state::draft;
use crate::watched::Watched;

const AMOUNT_MAX: i64 = 1_000_000_000_000; // Of a gauge: sums of them stay exact.
const COUNT_MAX: i64 = 1_000_000; // Of things that happened between two reports.
const BREAKERS_MAX: usize = 100; // Per rollout.
const INCIDENTS_MAX: usize = 1_000; // Per phase.

impl App {
    /// Records signals. `true`: the batch had been counted before.
    pub(crate) async fn record(
        &self,
        request: &pb::ReportSignalsRequest,
        command: Command,
    ) -> Result<bool, Fault> {
        let done = self.record_checked(request, command).await;
        self.meters.taken("signals", request.signals.len(), &done);
        done
    }

    async fn record_checked(
        &self,
        request: &pb::ReportSignalsRequest,
        command: Command,
    ) -> Result<bool, Fault> {
        let scope = scope(&request.pipeline)?;
        checked(DOMAIN, "batch_id", BatchId::new(&request.batch_id))?;
        check_size("signals", request.signals.len())?;
        let watched = self.of_pipeline(&request.pipeline)?;
        let now = self.clock.now();
        let mut sums = Sums::of(&watched);
        let (mut gauges, mut sightings) = (Vec::new(), Vec::new());
        for (index, signal) in request.signals.iter().enumerate() {
            let path = format!("signals[{index}]");
            let at = read_time(|| path.clone(), signal.occur_time.as_ref(), now)?;
            match read_signal(&path, signal, &watched)? {
                Read::Gauge { name, amount, reading } => {
                    gauges.push(Change::Set { gauge: name, value: amount, at });
                    if let Some(field) = reading {
                        sums.count(at, field, 1);
                    }
                }
                Read::Counts(fields) => {
                    fields.into_iter().for_each(|(field, by)| sums.count(at, field, by));
                }
                Read::Sight(sight) => sightings.push((at, sight)),
            }
        }
        // Sightings first: the batch id marks the whole batch as done, and comes last.
        if !sightings.is_empty() {
            self.see(request, command, sightings).await?;
        }
        let mut changes = sums.into_changes(now);
        changes.extend(gauges);
        changes.push(heard(now));
        let id = checked(DOMAIN, "batch_id", signals_batch(&request.batch_id))?;
        let batch = Batch { id, contents: digest(request) };
        let added = self.counters.add(&scope, &batch, REMEMBERED, changes).await;
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

enum Read {
    Gauge { name: String, amount: i64, reading: Option<Field> },
    Counts(Vec<(Field, u64)>),
    Sight(Sight),
}

fn read_signal(path: &str, wire: &pb::Signal, watched: &Watched) -> Result<Read, Fault> {
    match &wire.kind {
        Some(SignalKind::Gauge(gauge)) => read_gauge(path, gauge),
        Some(SignalKind::BreakerTransition(transition)) => {
            read_breaker(&format!("{path}.breaker_transition"), transition, watched)
        }
        Some(SignalKind::StateTransition(transition)) => {
            let name = transition_name(transition);
            let expected = &watched.plan().state_transitions;
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
        Some(SignalKind::ProbeResults(probes)) => {
            let path = format!("{path}.probe_results");
            let good = count(&format!("{path}.good_count"), probes.good_count)?;
            let bad = count(&format!("{path}.bad_count"), probes.bad_count)?;
            if good + bad == 0 {
                return Err(invalid(path, "has no probe: expected a positive count"));
            }
            let counts =
                vec![(Field::Probe { good: true }, good), (Field::Probe { good: false }, bad)];
            Ok(Read::Counts(counts))
        }
        Some(SignalKind::Occurrences(occurrences)) => {
            read_occurrences(&format!("{path}.occurrences"), occurrences)
        }
        Some(SignalKind::Incident(incident)) => {
            read_incident(&format!("{path}.incident"), incident, watched)
        }
        None => Err(invalid(format!("{path}.kind"), "is required")),
    }
}

fn count(path: &str, count: i64) -> Result<u64, Fault> {
    u64::try_from(count)
        .ok()
        .filter(|count| *count <= COUNT_MAX.unsigned_abs())
        .ok_or_else(|| invalid(path, format!("{count} is out of range: expected 0 to {COUNT_MAX}")))
}

fn read_gauge(path: &str, gauge: &pb::Gauge) -> Result<Read, Fault> {
    let path = format!("{path}.gauge");
    let metric = checked(DOMAIN, &format!("{path}.metric"), Metric::named(&gauge.metric))?;
    check_label(|| format!("{path}.label"), &gauge.label)?;
    if gauge.amount < 0 {
        return Err(invalid(format!("{path}.amount"), format!("{} is negative", gauge.amount)));
    }
    if gauge.amount > AMOUNT_MAX {
        let why = format!("{} is enormous: expected at most {AMOUNT_MAX}", gauge.amount);
        return Err(invalid(format!("{path}.amount"), why));
    }
    let name = if gauge.label.is_empty() {
        metric.name().to_owned()
    } else {
        format!("{}/{}", metric.name(), gauge.label)
    };
    let amount = gauge.amount;
    let kept = metric.is_gauge() && gauge.label.is_empty();
    let reading = kept.then(|| reading(metric, amount.unsigned_abs()));
    Ok(Read::Gauge { name, amount, reading })
}

fn read_breaker(
    path: &str,
    transition: &pb::BreakerTransition,
    watched: &Watched,
) -> Result<Read, Fault> {
    let id = format!("{path}.breaker_id");
    checked(DOMAIN, &id, BatchId::new(&transition.breaker_id))?;
    if transition.state() == BreakerState::Unspecified {
        return Err(invalid(format!("{path}.state"), "expected CLOSED, OPEN or HALF_OPEN"));
    }
    let known = &watched.sighted.breakers;
    if known.len() >= BREAKERS_MAX && !known.contains_key(&transition.breaker_id) {
        return Err(invalid(id, format!("is one more than the {BREAKERS_MAX} breakers kept")));
    }
    Ok(Read::Sight(Sight::BreakerTransition(transition.clone())))
}

fn read_occurrences(path: &str, occurrences: &pb::Occurrences) -> Result<Read, Fault> {
    let what = match occurrences.kind() {
        OccurrenceKind::SupportTicket => Happening::SupportTicket,
        OccurrenceKind::Complaint => Happening::Complaint,
        OccurrenceKind::OnCallPage => Happening::OnCallPage,
        OccurrenceKind::ConcurrencyBreach => Happening::ConcurrencyBreach,
        OccurrenceKind::Unspecified => {
            let why = "expected SUPPORT_TICKET, COMPLAINT, ON_CALL_PAGE or CONCURRENCY_BREACH";
            return Err(invalid(format!("{path}.kind"), why));
        }
    };
    let happened = count(&format!("{path}.count"), occurrences.count)?;
    Ok(Read::Counts(vec![(Field::Happened(what), happened), (Field::Looked(what), 1)]))
}

fn read_incident(path: &str, incident: &pb::Incident, watched: &Watched) -> Result<Read, Fault> {
    let id = format!("{path}.incident_id");
    checked(DOMAIN, &id, PipelineId::new(&incident.incident_id))?;
    check_text(DOMAIN, &format!("{path}.title"), &incident.title, false)?;
    match incident.state() {
        IncidentState::Unspecified => {
            return Err(invalid(format!("{path}.state"), "expected DECLARED or RESOLVED"));
        }
        IncidentState::Declared if incident.kind() == IncidentKind::Unspecified => {
            let why = "expected P1, P2, DATA_INTEGRITY, DATA_CORRUPTION or \
                       CLIENT_REPORTED_DATA_LOSS";
            return Err(invalid(format!("{path}.kind"), why));
        }
        IncidentState::Declared | IncidentState::Resolved => {}
    }
    let known = &watched.sighted.incidents;
    if known.len() >= INCIDENTS_MAX && !known.contains_key(&incident.incident_id) {
        return Err(invalid(id, format!("is one more than the {INCIDENTS_MAX} incidents kept")));
    }
    Ok(Read::Sight(Sight::Incident(incident.clone())))
}
