//! Why a command is refused: what is missing, and who can supply it. Nothing changes.

use std::time::Duration;

use vocab::{BasisPoints, Role, format_duration};

use crate::report::Item;

/// A reason to refuse a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such plan version.
    #[error("there is no plan version {0}: store it first with CreatePlanVersion")]
    PlanNotFound(String),
    /// The plan version exists with other contents.
    #[error(
        "{0} exists with other contents: a plan is immutable, give the changed file a new version"
    )]
    PlanExists(String),
    /// No such rollout.
    #[error("there is no {0}: ListRollouts lists what there is")]
    RolloutNotFound(String),
    /// The name is taken.
    #[error("{0} exists: rollout names are never reused")]
    RolloutExists(String),
    /// Another rollout moves the flag.
    #[error("flag {flag} is moved by {owner}: one flag has one active rollout")]
    FlagBusy {
        /// The flag.
        flag: String,
        /// The rollout that moves it.
        owner: String,
    },
    /// The rollout has changed since the caller looked.
    #[error("the rollout is at etag {current}, not {seen}: look again and decide again")]
    EtagMismatch {
        /// What the caller saw.
        seen: String,
        /// What it is.
        current: String,
    },
    /// The command does not fit the state.
    #[error("the rollout is {state}, and {command} needs {needed}")]
    WrongState {
        /// The state it is in.
        state: &'static str,
        /// The command.
        command: &'static str,
        /// The state it would need.
        needed: &'static str,
    },
    /// No such phase in the plan.
    #[error("the plan has no phase {phase}: it has {}", known.join(", "))]
    UnknownPhase {
        /// The phase asked for.
        phase: String,
        /// The phases there are.
        known: Vec<String>,
    },
    /// The phase is not the next one.
    #[error("phase {phase} does not follow {current}: next is {next}")]
    NotNext {
        /// The phase asked for.
        phase: String,
        /// The phase it is in.
        current: String,
        /// The phase that follows.
        next: String,
    },
    /// The share is not the next step of the plan.
    #[error("{to} is not the next step of the ramp: from {from} it is {next}")]
    NotNextStep {
        /// The share asked for.
        to: BasisPoints,
        /// The share now.
        from: BasisPoints,
        /// The next step, or that there is none.
        next: String,
    },
    /// The share would rise by more than the ramp rule allows.
    #[error(
        "from {from} the percentage may rise to at most {largest} in one step, not to {to} \
         (D7 §3.2: at most 2x, the first step at most 10%)"
    )]
    RampRule {
        /// The share now.
        from: BasisPoints,
        /// The share asked for.
        to: BasisPoints,
        /// The largest share allowed.
        largest: BasisPoints,
    },
    /// The step has not been held for long enough.
    #[error(
        "{share} is held for another {}, of active time, before the next step{}",
        format_duration(*left),
        while_broken(broken)
    )]
    StillHeld {
        /// The share now.
        share: BasisPoints,
        /// Active time left.
        left: Duration,
        /// Thresholds that are not met: meanwhile no time counts.
        broken: Vec<String>,
    },
    /// The plan would change what has been decided.
    #[error("{plan} would change what has been decided: {}", changed.join(", "))]
    PlanRewritesHistory {
        /// The plan version.
        plan: String,
        /// The paths at which it differs.
        changed: Vec<String>,
    },
    /// A worker gives a command that is for people.
    #[error("{actor} is a worker: only people {command}")]
    WorkerMayNot {
        /// The worker.
        actor: String,
        /// What it wanted.
        command: &'static str,
    },
    /// The evidence is no link.
    #[error("`{0}` is no evidence: expected an http or https address of at most 2,000 characters")]
    EvidenceMissing(String),
    /// More than one thing is missing before the rollout can be resumed.
    #[error("the rollout cannot be resumed yet: {}", list(missing))]
    NotResumable {
        /// Everything that is missing.
        missing: Vec<Missing>,
    },
    /// There is nothing to tick off.
    #[error("{0} was never rolled back: there is no checklist")]
    NoRollback(String),
    /// No such step for people.
    #[error("`{step}` is no step that people do: they do {}", known.join(", "))]
    UnknownStep {
        /// The step asked for.
        step: String,
        /// The steps there are.
        known: Vec<String>,
    },
    /// No such task.
    #[error("`{task}` is no task of the plan: there are {}", known.join(", "))]
    UnknownTask {
        /// The task asked for.
        task: String,
        /// The tasks there are.
        known: Vec<String>,
    },
    /// The rollout is not in its last phase.
    #[error("{command} belongs to the end of the last phase: {phase} is followed by {next}")]
    NotLastPhase {
        /// The phase it is in.
        phase: String,
        /// The phase that follows.
        next: String,
        /// The command.
        command: &'static str,
    },
    /// The rollout is not over.
    #[error("the rollout is not over yet: {}", list(missing))]
    NotArchivable {
        /// Everything that is missing.
        missing: Vec<Missing>,
    },
    /// The current phase ends without a gate.
    #[error("phase {0} has no gate to approve")]
    NoGate(String),
    /// The caller does not hold the role.
    #[error("{actor} does not hold the role {role}: act as somebody who does")]
    RoleMissing {
        /// The caller.
        actor: String,
        /// The role.
        role: Role,
    },
    /// The gate does not ask for this role.
    #[error("{gate} is not approved by {role}: it needs {}", join(roles))]
    RoleNotAsked {
        /// The gate.
        gate: String,
        /// The role offered.
        role: Role,
        /// The roles it needs.
        roles: Vec<Role>,
    },
    /// The same person has approved in another role.
    #[error("{actor} has approved {gate} as {role} already: every role needs another person")]
    SamePersonTwice {
        /// The person.
        actor: String,
        /// The gate.
        gate: String,
        /// The role approved in.
        role: Role,
    },
    /// The report is of another gate.
    #[error("the report is of {found}, and the phase ends at {gate}: approve a report of {gate}")]
    WrongGate {
        /// The gate of the phase.
        gate: String,
        /// The gate of the report.
        found: String,
    },
    /// The report judged an earlier stay in a phase.
    #[error(
        "the report judged generation {found}, and the phase was entered in {current}: evaluate {gate} again"
    )]
    StaleReport {
        /// The gate.
        gate: String,
        /// The generation judged.
        found: u64,
        /// The generation of the phase.
        current: u64,
    },
    /// The evidence is worse than in the report approved.
    #[error(
        "since that report the evidence has become worse: {}; evaluate {gate} again",
        describe(items)
    )]
    EvidenceWorsened {
        /// The gate.
        gate: String,
        /// What became worse.
        items: Vec<Item>,
    },
    /// The gate is not met.
    #[error("{gate} is not met: {}", describe(items))]
    GateNotMet {
        /// The gate.
        gate: String,
        /// What is not met.
        items: Vec<Item>,
    },
    /// More than one thing is missing before a phase can be entered.
    #[error("phase {phase} cannot be entered yet: {}", list(missing))]
    NotReady {
        /// The phase.
        phase: String,
        /// Everything that is missing.
        missing: Vec<Missing>,
    },
}

/// One thing missing before a phase can be entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// Active time.
    Time(Duration),
    /// Approvals by these roles.
    Approvals {
        /// The gate.
        gate: String,
        /// The roles.
        roles: Vec<Role>,
    },
    /// Criteria of a gate or of the entry.
    Criteria {
        /// The gate.
        gate: String,
        /// What is not met.
        items: Vec<Item>,
    },
    /// Steps of the ramp.
    Ramp {
        /// The share now.
        from: BasisPoints,
        /// The share the phase ends with.
        to: BasisPoints,
    },
    /// An approval by somebody else than whoever acts on it.
    AnotherPerson {
        /// The gate.
        gate: String,
        /// Whoever acts.
        actor: String,
    },
    /// A trigger whose condition holds on.
    StillFiring {
        /// The trigger.
        trigger_id: String,
        /// Who may go on all the same.
        roles: Vec<Role>,
    },
    /// Steps of the rollback checklist.
    RollbackSteps(Vec<String>),
    /// The evidence that the resume criterion, in the words of the plan, is met.
    ResumeCriterion(String),
    /// Tasks of the time after the declaration.
    PostGaTasks(Vec<String>),
    /// So many are on by percentage.
    NobodyExposed(BasisPoints),
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Time(left) => {
                write!(f, "the minimum duration has {} of active time left", format_duration(*left))
            }
            Self::Approvals { gate, roles } => {
                write!(f, "{gate} waits for approval by {}", join(roles))
            }
            Self::Criteria { gate, items } => write!(f, "{gate} is not met: {}", describe(items)),
            Self::Ramp { from, to } => write!(f, "the ramp is at {from} and ends at {to}"),
            Self::AnotherPerson { gate, actor } => {
                write!(f, "{gate} was approved by {actor} alone: somebody else must as well")
            }
            Self::StillFiring { trigger_id, roles } if roles.is_empty() => {
                write!(f, "{trigger_id} fires on, and nobody may override it")
            }
            Self::StillFiring { trigger_id, roles } => {
                write!(f, "{trigger_id} fires on: only {} may override it", join(roles))
            }
            Self::RollbackSteps(steps) => {
                write!(f, "the rollback checklist has open steps: {}", steps.join(", "))
            }
            Self::ResumeCriterion(criterion) => {
                write!(f, "evidence, a link, that the resume criterion is met: {criterion}")
            }
            Self::PostGaTasks(tasks) => write!(f, "tasks are open: {}", tasks.join(", ")),
            Self::NobodyExposed(share) => {
                write!(f, "{share} are on: roll it back, or declare general availability")
            }
        }
    }
}

fn join(roles: &[Role]) -> String {
    roles.iter().map(Role::as_str).collect::<Vec<_>>().join(", ")
}

fn while_broken(broken: &[String]) -> String {
    if broken.is_empty() {
        return String::new();
    }
    format!("; no time counts while {} is not met", broken.join(", "))
}

fn list(missing: &[Missing]) -> String {
    missing.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn describe(items: &[Item]) -> String {
    let described = items.iter().map(|item| format!("{} ({})", item.criterion_id, item.reason));
    described.collect::<Vec<_>>().join(", ")
}
