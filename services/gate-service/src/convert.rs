//! Between the wire, the journal and the core.

use contracts::gate as pb;
use contracts::gate::incident::{Kind as IncidentKind, State as IncidentState};
use gate_core::{
    Attested, CriterionResult, Incident, Interval, Kind, Reason, State as Stands, Verdict,
};
use plan::{Assurance, Criterion};
use prost::Message as _;
use prost_types::Timestamp as WireTime;
use service_kit::fault::Fault;
use service_kit::wire::{signed, time_of, wire_time};
use store::Hash;
use vocab::Timestamp;

use crate::error::DOMAIN;
use crate::watched::Watched;

/// Reads an instant that must be there and well-formed.
pub(crate) fn required_time(
    path: impl Fn() -> String,
    wire: Option<&WireTime>,
) -> Result<Timestamp, Fault> {
    let wire = wire.ok_or_else(|| Fault::field(DOMAIN, path(), "is required"))?;
    if !(0..1_000_000_000).contains(&wire.nanos) {
        return Err(Fault::field(DOMAIN, path(), "has nanoseconds outside 0..1000000000"));
    }
    Ok(time_of(Some(wire)))
}

pub(crate) fn transition_name(transition: &pb::StateTransition) -> String {
    format!("{}->{}", transition.from, transition.to)
}

pub(crate) const fn wire_verdict(verdict: Verdict) -> pb::Verdict {
    match verdict {
        Verdict::Fail => pb::Verdict::Fail,
        Verdict::Inconclusive => pb::Verdict::Inconclusive,
        Verdict::Pass => pb::Verdict::Pass,
    }
}

pub(crate) fn criterion_result(
    criterion: &Criterion,
    found: CriterionResult,
) -> pb::CriterionResult {
    let kind = match found.kind {
        Kind::Metric => pb::CriterionKind::Metric,
        Kind::Observed => pb::CriterionKind::Observed,
        Kind::Attestation => pb::CriterionKind::Attestation,
        Kind::SignOff => pb::CriterionKind::SignOff,
    };
    pb::CriterionResult {
        criterion_id: criterion.id.to_string(),
        title: criterion.title.clone(),
        section: criterion.section.clone(),
        kind: kind.into(),
        verdict: wire_verdict(found.verdict).into(),
        reason: found.reason,
        value: found.value,
        requirement: found.requirement,
        interval_low_ppm: found.interval.map(|Interval { low, .. }| ppm(low)),
        interval_high_ppm: found.interval.map(|Interval { high, .. }| ppm(high)),
        sample_count: signed(found.sample_count),
        window: found.window,
        source: found.source,
        roles: found.roles.iter().map(ToString::to_string).collect(),
        reason_code: wire_reason(found.code).into(),
        assurance: wire_assurance(found.assurance).into(),
        required_assurance: wire_assurance(found.required).into(),
        dry_run: found.dry_run,
        data_time: found.data_time.map(wire_time),
        resolution_duration: found.resolution.and_then(|length| length.try_into().ok()),
        certified_after_count: found.certified_after.map(signed),
        relative_error_ppm: signed(found.relative_error_ppm),
        attestations: found.statements.iter().map(wire_statement).collect(),
    }
}

/// A statement as a report keeps it: who, as what, with which evidence, and when.
fn wire_statement(statement: &Attested) -> pb::Attestation {
    pb::Attestation {
        actor: statement.actor.clone(),
        role: statement.role.to_string(),
        evidence: statement.evidence.clone(),
        create_time: Some(wire_time(statement.at)),
        ..pb::Attestation::default()
    }
}

pub(crate) const fn wire_assurance(assurance: Option<Assurance>) -> pb::Assurance {
    match assurance {
        None => pb::Assurance::Unspecified,
        Some(Assurance::Observed) => pb::Assurance::Observed,
        Some(Assurance::NotDisproved) => pb::Assurance::NotDisproved,
        Some(Assurance::Certified) => pb::Assurance::Certified,
    }
}

pub(crate) const fn wire_reason(reason: Reason) -> pb::Reason {
    match reason {
        Reason::Met => pb::Reason::Met,
        Reason::NotMet => pb::Reason::NotMet,
        Reason::Disproved => pb::Reason::Disproved,
        Reason::NotThereYet => pb::Reason::NotThereYet,
        Reason::NoTelemetry => pb::Reason::NoTelemetry,
        Reason::Idle => pb::Reason::Idle,
        Reason::Insufficient => pb::Reason::Insufficient,
        Reason::Uncertain => pb::Reason::Uncertain,
        Reason::Stale => pb::Reason::Stale,
        Reason::SourceUnavailable => pb::Reason::SourceUnavailable,
        Reason::NotStated => pb::Reason::NotStated,
        Reason::Expired => pb::Reason::Expired,
        Reason::NotObserved => pb::Reason::NotObserved,
    }
}

/// The name that plans and labels use of a kind of incident.
pub(crate) const fn incident_kind(kind: IncidentKind) -> &'static str {
    match kind {
        IncidentKind::P1 => "p1",
        IncidentKind::P2 => "p2",
        IncidentKind::DataIntegrity => "data_integrity",
        IncidentKind::DataCorruption => "data_corruption",
        IncidentKind::ClientReportedDataLoss => "client_reported_data_loss",
        IncidentKind::Unspecified => "",
    }
}

fn wire_incident_kind(name: &str) -> IncidentKind {
    let kinds = [
        IncidentKind::P1,
        IncidentKind::P2,
        IncidentKind::DataIntegrity,
        IncidentKind::DataCorruption,
        IncidentKind::ClientReportedDataLoss,
    ];
    let found = kinds.into_iter().find(|kind| incident_kind(*kind) == name);
    found.unwrap_or(IncidentKind::Unspecified)
}

pub(crate) fn wire_incident(id: &str, incident: &Incident) -> pb::Incident {
    let state = if incident.is_open() { IncidentState::Declared } else { IncidentState::Resolved };
    pb::Incident {
        incident_id: id.to_owned(),
        kind: wire_incident_kind(&incident.kind).into(),
        state: state.into(),
        title: incident.title.clone(),
        client_facing: incident.client_facing,
    }
}

/// Where a trigger stands, as its event says.
pub(crate) fn standing(event: &pb::TriggerEvent) -> Stands {
    match event.state() {
        pb::TriggerState::Fired => Stands::Fired,
        pb::TriggerState::Pending => Stands::Pending(time_of(event.deadline_time.as_ref())),
        pb::TriggerState::Warned => Stands::Warned,
        pb::TriggerState::Clear | pb::TriggerState::Unspecified => Stands::Clear,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a share of a million fits")]
pub(crate) fn ppm(rate: f64) -> i64 {
    (rate.clamp(0.0, 1.0) * 1e6).round() as i64
}

/// The digest approvals name: over the report without its name and digest.
pub(crate) fn report_digest(report: &pb::GateReport) -> String {
    let bare = pb::GateReport { name: String::new(), digest: String::new(), ..report.clone() };
    Hash::of(&bare.encode_to_vec()).to_string()
}

pub(crate) fn gate_plan(watched: &Watched) -> pb::GatePlan {
    pb::GatePlan {
        name: format!("{}/gatePlan", watched.rollout),
        pipeline: watched.plan().pipeline.to_string(),
        generation: signed(watched.generation),
        phase_id: watched.phase_id.clone(),
        start_time: Some(wire_time(watched.start_time)),
        plan_digest: Hash::of(&watched.reading.source).to_string(),
        phase_generation: signed(watched.phase_generation),
        passed_gates: watched.passed_gates.iter().cloned().collect(),
    }
}
