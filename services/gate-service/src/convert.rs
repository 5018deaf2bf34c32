//! Between the wire, the journal and the core.

use contracts::gate as pb;
use gate_core::{CriterionResult, Interval, Kind, Verdict};
use plan::Criterion;
use prost::Message as _;
use prost_types::Timestamp as WireTime;
use service_kit::fault::Fault;
use service_kit::wire::{signed, time_of, wire_time};
use store::Hash;
use vocab::Timestamp;

use crate::error::DOMAIN;
use crate::state::Watched;

/// Reads an instant that must be there and well-formed.
pub(crate) fn required_time(path: &str, wire: Option<&WireTime>) -> Result<Timestamp, Fault> {
    let wire = wire.ok_or_else(|| Fault::field(DOMAIN, path, "is required"))?;
    if !(0..1_000_000_000).contains(&wire.nanos) {
        return Err(Fault::field(DOMAIN, path, "has nanoseconds outside 0..1000000000"));
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
        ..pb::CriterionResult::default()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a share of a million fits")]
fn ppm(rate: f64) -> i64 {
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
        pipeline: watched.plan.pipeline.to_string(),
        generation: signed(watched.generation),
        phase_id: watched.phase_id.clone(),
        start_time: Some(wire_time(watched.start_time)),
        plan_digest: Hash::of(&watched.plan_source).to_string(),
        phase_generation: signed(watched.phase_generation),
        passed_gates: watched.passed_gates.iter().cloned().collect(),
    }
}
