//! What a refusal is to a caller: code and reason, in one place.

use service_kit::fault::Fault;
use tonic::Code;
use vocab::Role;

/// Error domain of this service.
pub(crate) const DOMAIN: &str = "gate.softlaunch.dev";

/// Why a command is refused.
#[derive(Debug)]
pub(crate) enum Refusal {
    RolloutNotFound(String),
    PipelineNotFound(String),
    GateNotFound { gate: String, known: Vec<String> },
    ReportNotFound(String),
    CriterionNotFound(String),
    NotAttested { criterion: String, judged: &'static str },
    NothingToWithdraw(String),
    RoleNotAsked { criterion: String, role: Role, roles: Vec<Role> },
    RoleMissing { actor: String, role: Role },
    StaleGeneration { offered: u64, applied: u64 },
    WrongPhase { gate: String, phase: String, current: String },
}

fn join(roles: &[Role]) -> String {
    roles.iter().map(Role::as_str).collect::<Vec<_>>().join(", ")
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let missing = |reason, kind, name: &str, why| {
            Self::not_found(DOMAIN, reason, &format!("softlaunch.gate.v1.{kind}"), name, why)
        };
        let held = |reason, why: String| {
            Self::new(Code::FailedPrecondition, DOMAIN, reason, why.clone())
                .precondition(reason, "gate", why)
        };
        match refusal {
            Refusal::RolloutNotFound(name) => {
                let why = format!("nothing is known of {name}: create the rollout first");
                missing("ROLLOUT_NOT_FOUND", "GatePlan", &name, why)
            }
            Refusal::PipelineNotFound(name) => {
                let why = format!("no rollout is under way on pipeline {name}: start one first");
                missing("PIPELINE_NOT_FOUND", "GatePlan", &name, why)
            }
            Refusal::GateNotFound { gate, known } => {
                let why = format!("the plan has no gate {gate}: it has {}", known.join(", "));
                missing("GATE_NOT_FOUND", "Gate", &gate, why)
            }
            Refusal::ReportNotFound(name) => {
                let why = format!("there is no report {name}: evaluate the gate for a new one");
                missing("REPORT_NOT_FOUND", "GateReport", &name, why)
            }
            Refusal::CriterionNotFound(name) => {
                let why = format!("the plan has no criterion {name}: see the gate report for ids");
                missing("CRITERION_NOT_FOUND", "Criterion", &name, why)
            }
            Refusal::NotAttested { criterion, judged } => held(
                "NOT_ATTESTED",
                format!("{criterion} is judged by {judged}, not by a person's statement"),
            )
            .with("criterion", criterion),
            Refusal::NothingToWithdraw(criterion) => {
                held("NOTHING_TO_WITHDRAW", format!("no attestation of {criterion} is in force"))
                    .with("criterion", criterion)
            }
            Refusal::RoleNotAsked { criterion, role, roles } => held(
                "ROLE_NOT_ASKED",
                format!("{criterion} is not attested by {role}: it needs {}", join(&roles)),
            )
            .with("role", role),
            Refusal::RoleMissing { actor, role } => {
                let why =
                    format!("{actor} does not hold the role {role}: act as somebody who does");
                Self::new(Code::PermissionDenied, DOMAIN, "ROLE_MISSING", why)
                    .with("actor", actor)
                    .with("role", role)
            }
            Refusal::StaleGeneration { offered, applied } => {
                let why = format!("generation {offered} is older than {applied}, which is applied");
                Self::new(Code::Aborted, DOMAIN, "STALE_GENERATION", why)
                    .with("offered", offered)
                    .with("applied", applied)
            }
            Refusal::WrongPhase { gate, phase, current } => held(
                "WRONG_PHASE",
                format!("{gate} ends {phase}, and evidence is being collected for {current}"),
            )
            .with("gate", gate)
            .with("phase", phase)
            .with("current", current),
        }
    }
}
