//! What a refusal is to a caller: code and reason, in one place.

use rollout_core::{Missing, Refusal};
use service_kit::fault::Fault;
use tonic::Code;

/// Error domain of this service.
pub(crate) const DOMAIN: &str = "rollout.softlaunch.dev";

/// A refusal of the core.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl From<Refused> for Fault {
    fn from(Refused(refusal): Refused) -> Self {
        let message = refusal.to_string();
        let missing = |reason, kind, name: &str| {
            Self::not_found(
                DOMAIN,
                reason,
                &format!("softlaunch.rollout.v1.{kind}"),
                name,
                message.clone(),
            )
        };
        let fault = |code, reason| Self::new(code, DOMAIN, reason, message.clone());
        let exists = |reason| fault(Code::AlreadyExists, reason);
        let held = |reason| {
            fault(Code::FailedPrecondition, reason).precondition(reason, "rollout", message.clone())
        };
        match &refusal {
            Refusal::PlanNotFound(name) => missing("PLAN_NOT_FOUND", "PlanVersion", name),
            Refusal::RolloutNotFound(name) => missing("ROLLOUT_NOT_FOUND", "Rollout", name),
            Refusal::PlanExists(name) => exists("PLAN_EXISTS").with("name", name),
            Refusal::RolloutExists(name) => exists("ROLLOUT_EXISTS").with("name", name),
            Refusal::FlagBusy { flag, owner } => {
                held("FLAG_BUSY").with("flag", flag).with("rollout", owner)
            }
            Refusal::EtagMismatch { current, .. } => {
                fault(Code::Aborted, "ETAG_MISMATCH").with("etag", current)
            }
            Refusal::WrongState { state, .. } => held("WRONG_STATE").with("state", state),
            Refusal::UnknownPhase { phase, .. } => missing("PHASE_NOT_FOUND", "Phase", phase),
            Refusal::NotNext { next, .. } => held("NOT_NEXT_PHASE").with("next", next),
            Refusal::NotNextStep { next, .. } => held("NOT_NEXT_STEP").with("next", next),
            Refusal::RampRule { from, to, largest } => held("RAMP_RULE")
                .with("from_basis_points", from.get())
                .with("to_basis_points", to.get())
                .with("largest_basis_points", largest.get()),
            Refusal::StillHeld { left, .. } => held("STILL_BAKING").retry_after(*left),
            Refusal::PlanRewritesHistory { plan, changed } => {
                held("PLAN_REWRITES_HISTORY").with("plan", plan).with("changed", changed.join(","))
            }
            Refusal::WorkerMayNot { actor, .. } => {
                fault(Code::PermissionDenied, "WORKER_MAY_NOT").with("actor", actor)
            }
            Refusal::EvidenceMissing(_) => Self::field(DOMAIN, "evidence", message.clone()),
            Refusal::NotResumable { missing } | Refusal::NotArchivable { missing } => {
                not_ready(fault(Code::FailedPrecondition, first_reason(missing)), missing)
            }
            Refusal::NoRollback(name) => held("NO_ROLLBACK").with("name", name),
            Refusal::UnknownStep { step, .. } => missing("STEP_NOT_FOUND", "RollbackStep", step),
            Refusal::UnknownTask { task, .. } => missing("TASK_NOT_FOUND", "PostGaTask", task),
            Refusal::NotLastPhase { phase, .. } => held("NOT_LAST_PHASE").with("phase", phase),
            Refusal::NoGate(phase) => held("NO_GATE").with("phase", phase),
            Refusal::RoleMissing { actor, role } => fault(Code::PermissionDenied, "ROLE_MISSING")
                .with("actor", actor)
                .with("role", role),
            Refusal::RoleNotAsked { role, .. } => held("ROLE_NOT_ASKED").with("role", role),
            Refusal::SamePersonTwice { actor, role, .. } => {
                held("SAME_PERSON_TWICE").with("actor", actor).with("role", role)
            }
            Refusal::WrongGate { found, .. } => held("WRONG_GATE").with("gate", found),
            Refusal::StaleReport { found, current, .. } => {
                held("STALE_REPORT").with("generation", found).with("current", current)
            }
            Refusal::EvidenceWorsened { gate, .. } => held("EVIDENCE_WORSENED").with("gate", gate),
            Refusal::GateNotMet { gate, .. } => held("GATE_NOT_MET").with("gate", gate),
            Refusal::NotReady { phase, missing } => {
                not_ready(fault(Code::FailedPrecondition, first_reason(missing)), missing)
                    .with("phase", phase)
            }
        }
    }
}

/// The most telling reason: what people or evidence must bring, before what time brings.
fn first_reason(missing: &[Missing]) -> &'static str {
    missing.first().map_or("NOT_READY", reason)
}

const fn reason(missing: &Missing) -> &'static str {
    match missing {
        Missing::Time(_) => "STILL_BAKING",
        Missing::Approvals { .. } => "APPROVAL_MISSING",
        Missing::Criteria { .. } => "GATE_NOT_MET",
        Missing::Ramp { .. } => "RAMP_INCOMPLETE",
        Missing::AnotherPerson { .. } => "ANOTHER_PERSON_REQUIRED",
        Missing::StillFiring { .. } => "TRIGGER_STILL_FIRING",
        Missing::RollbackSteps(_) => "ROLLBACK_INCOMPLETE",
        Missing::ResumeCriterion(_) => "EVIDENCE_MISSING",
        Missing::PostGaTasks(_) => "TASKS_OPEN",
        Missing::NobodyExposed(_) => "STILL_EXPOSED",
    }
}

fn not_ready(mut fault: Fault, missing: &[Missing]) -> Fault {
    for one in missing {
        let subject = match one {
            Missing::Time(left) => {
                fault = fault.retry_after(*left);
                "clock"
            }
            Missing::Approvals { .. } | Missing::AnotherPerson { .. } => "approvals",
            Missing::Criteria { .. } => "gate",
            Missing::Ramp { .. } | Missing::NobodyExposed(_) => "ramp",
            Missing::StillFiring { .. } => "triggers",
            Missing::RollbackSteps(_) | Missing::ResumeCriterion(_) => "rollback",
            Missing::PostGaTasks(_) => "tasks",
        };
        fault = fault.precondition(reason(one), subject, one.to_string());
    }
    fault
}
