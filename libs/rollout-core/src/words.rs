//! What happened, in words: for timelines, dossiers and whoever watches.

use plan::TriggerAction;

use crate::event::{Event, Sample};

/// An action in words.
#[must_use]
pub const fn action_name(action: TriggerAction) -> &'static str {
    match action {
        TriggerAction::PausePhase => "pause of the phase",
        TriggerAction::GlobalPause => "global pause",
        TriggerAction::RollbackToPrevious => "rollback to the previous phase",
        TriggerAction::RollbackToFirst => "rollback to the first phase",
    }
}

impl Event {
    /// What happened, as a line for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::PlanStored { name, .. } => format!("{name} was stored"),
            Self::PlanApproved { name, role } => format!("{name} was approved as {role}"),
            Self::Created { plan_version, demo, .. } => {
                let clock = if *demo { ", on a demo clock" } else { "" };
                format!("created by {plan_version}{clock}")
            }
            Self::PlanChanged { plan_version, .. } => format!("goes on by {plan_version}"),
            Self::PhaseEntered { phase_id, exposure, gate_id, .. } => {
                let passed =
                    if gate_id.is_empty() { String::new() } else { format!(", past {gate_id}") };
                format!("{phase_id} was entered at {exposure}{passed}")
            }
            Self::GateApproved { gate_id, role, .. } => format!("{gate_id} was approved as {role}"),
            Self::RampProposed { exposure, .. } => format!("a step to {exposure} was asked for"),
            Self::RampStepTaken { exposure, automatic, .. } => {
                let by = if *automatic { "by the plan" } else { "by hand" };
                format!("stepped to {exposure}, {by}")
            }
            Self::HoldBroken { threshold_id, .. } => {
                format!("holding stopped: {threshold_id} is not met")
            }
            Self::HoldMended { threshold_id, .. } => {
                format!("holding begins anew: {threshold_id} is met again")
            }
            Self::TriggerSeen { firing, outcome, .. } => {
                let state = if firing.firing { "fired" } else { "cleared" };
                let (title, evidence) = (&firing.title, &firing.evidence);
                format!("{title}: {state}, {} ({evidence})", outcome.name())
            }
            Self::KillSwitchEngaged { epoch, .. } => {
                format!("the kill switch is engaged, epoch {epoch}")
            }
            Self::Noted { text, .. } => text.clone(),
            Self::PhaseOverdue { phase_id, .. } => format!("{phase_id} takes longer than planned"),
            Self::GaAnnounced { .. } => "general availability was announced".to_owned(),
            Self::GaDeclared { .. } => "general availability was declared".to_owned(),
            Self::PostGaTaskDone { task_id, .. } => format!("{task_id} is done"),
            Self::Archived { reason, .. } => format!("archived: {reason}"),
            Self::MetricsSampled { sample, .. } => sampled(sample),
            Self::GenerationApplied { generation, .. } => {
                format!("flag, gate and kill switch know of generation {generation}")
            }
            Self::Paused { reason, global, .. } => paused(reason, *global),
            Self::Resumed { reason, overridden, .. } => resumed(reason, overridden),
            Self::RollbackStarted { action, from_phase_id, to_phase_id, reason, .. } => {
                let action = action_name(*action);
                format!("{action} began, from {from_phase_id} to {to_phase_id}: {reason}")
            }
            Self::RollbackStepDone { step_id, detail, .. } => {
                format!("rollback step {step_id} is done: {detail}")
            }
            Self::PhaseReentered { phase_id, exposure, .. } => {
                format!("the flag goes back to {phase_id}, at {exposure}")
            }
        }
    }
}

fn sampled(sample: &Sample) -> String {
    let or_nothing =
        |found: Option<u64>| found.map_or_else(|| "-".to_owned(), |one| one.to_string());
    let (errors, latency) = (or_nothing(sample.error_rate_ppm), or_nothing(sample.latency_p99_ms));
    format!("{} uploads in 24 hours, {errors} ppm failed, p99 {latency} ms", sample.uploads)
}

fn paused(reason: &str, global: bool) -> String {
    let how = if global { "paused globally" } else { "paused" };
    format!("{how}: {reason}")
}

fn resumed(reason: &str, overridden: &[String]) -> String {
    if overridden.is_empty() {
        return format!("resumed: {reason}");
    }
    format!("resumed: {reason}, overriding {}", overridden.join(", "))
}
