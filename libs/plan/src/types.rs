//! The parts of a plan.

use std::time::Duration;

use vocab::{BasisPoints, FlagKey, Pattern, PhaseId, PipelineId, ResourceId, Role};

use crate::criterion::Criterion;
use crate::quantity::{Metric, Requirement};

/// A whole plan, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The pipeline under rollout, e.g. `ingestion_v2`.
    pub pipeline: PipelineId,
    /// Version of the plan, e.g. `1.0`.
    pub version: String,
    /// Title, for people.
    pub title: String,
    /// The flag that decides who is on.
    pub flag: FlagKey,
    /// Roles the plan speaks of, with their titles.
    pub roles: Vec<RoleTitle>,
    /// The kill switch.
    pub kill_switch: KillSwitchRules,
    /// State transitions the pipeline can make (D6.6), as `from->to`.
    pub state_transitions: Vec<String>,
    /// Phases in order.
    pub phases: Vec<Phase>,
    /// Continuous alerts (D7 §4.1).
    pub thresholds: Vec<Threshold>,
    /// Signals to watch (D7 §4.3).
    pub signals: Vec<Signal>,
    /// Pause and rollback triggers (D7 §5.1, §5.2).
    pub triggers: Vec<Trigger>,
    /// The rollback checklist (D7 §5.3).
    pub rollback_steps: Vec<RollbackStep>,
    /// The decision matrix (D7 §5.4).
    pub decision_matrix: Vec<MatrixRow>,
    /// GA declaration (D7 §2.5, §6).
    pub ga: GaRules,
    /// Communication plan (D7 §7).
    pub communication: Communication,
    /// What is done after GA (D7 §8).
    pub post_ga: Vec<PostGaTask>,
    /// Enhancements planned for later (D7 §8.3).
    pub enhancements: Vec<Enhancement>,
    /// Reference documents (D7 §9).
    pub references: Vec<Reference>,
    /// Document control (D7 §10).
    pub document: DocumentControl,
}

/// A role and what people call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleTitle {
    /// The role.
    pub role: Role,
    /// Its title, e.g. `Engineering Lead`.
    pub title: String,
}

/// Rules of the kill switch (semantics §7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KillSwitchRules {
    /// Its name, e.g. `INGESTION_ENABLED`.
    pub name: String,
    /// How long a worker trusts its last known state without contact.
    pub stale_after: Duration,
    /// What it does then.
    pub on_stale: OnStale,
    /// Whether releasing takes a second person.
    pub release_needs_second_person: bool,
    /// How long a drill counts.
    pub drill_valid_for: Duration,
}

/// What a worker does when it has lost the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStale {
    /// Defers new uploads.
    FailClosed,
    /// Keeps the last known state.
    FailStatic,
}

/// One phase (D7 §2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// Id, e.g. `P0`.
    pub id: PhaseId,
    /// Name, e.g. `Internal Testing`.
    pub name: String,
    /// Section of the source document.
    pub section: String,
    /// What it is for.
    pub objective: String,
    /// Who is in it, in words.
    pub audience: String,
    /// What traffic it sees, in words.
    pub traffic: String,
    /// No advance before this much active time.
    pub minimum_duration: Duration,
    /// Passing this raises a notice.
    pub maximum_duration: Option<Duration>,
    /// What is done in it, in words.
    pub activities: Vec<Activity>,
    /// How workspaces are chosen, in words.
    pub selection: Vec<String>,
    /// Who is on.
    pub flag: FlagForm,
    /// Steps of the percentage within the phase, in order; the last is the flag's percentage.
    pub ramp: Vec<RampStep>,
    /// Limits on uploads.
    pub limits: Limits,
    /// Review cadence (D7 §4.2).
    pub review: Review,
    /// What must hold before the phase starts.
    pub entry: Vec<Criterion>,
    /// The gate at its end; the last phase has none but GA.
    pub gate: Option<Gate>,
}

/// Something done in a phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// Its name.
    pub name: String,
    /// What is done.
    pub description: String,
}

/// D7's four-field form of a flag (§3.3), with audience exclusions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlagForm {
    /// Whether the percentage applies.
    pub enabled: bool,
    /// On whatever else holds, but for a deny.
    pub allowlist: Vec<Pattern>,
    /// Off whatever else holds.
    pub denylist: Vec<Pattern>,
    /// The share that is on, when enabled.
    pub percentage: BasisPoints,
    /// Attribute rules that keep a workspace off the percentage.
    pub exclude: Vec<Exclusion>,
    /// The attribute by which the cohort's mix is reported.
    pub stratify: Option<String>,
}

/// A rule that keeps a workspace off: an attribute and what it must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusion {
    /// The attribute, e.g. `tier`.
    pub attribute: String,
    /// The test.
    pub test: ExclusionTest,
}

/// How an attribute excludes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExclusionTest {
    /// Equal to this text.
    Equals(String),
    /// A number above this.
    Above(i64),
}

/// One step of the ramp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RampStep {
    /// The share to reach.
    pub percentage: BasisPoints,
    /// How long it is held before the next.
    pub hold: Duration,
    /// Whether an operator takes it, rather than the system.
    pub manual: bool,
}

/// Limits on uploads in a phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Uploads a day and workspace; unlimited where absent.
    pub uploads_per_day: Option<u32>,
    /// Largest file, in bytes.
    pub file_size_max_bytes: u64,
}

/// Review cadence of a phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// The cadence in words.
    pub description: String,
    /// How often, from the start of the phase; the last entry goes on. Empty for continuous.
    pub every: Vec<ReviewInterval>,
    /// Who attends, by role.
    pub attendees: Vec<Role>,
}

/// A stretch of a phase with one review interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewInterval {
    /// Time between reviews.
    pub interval: Duration,
    /// How long this interval applies; for ever where absent.
    pub lasts: Option<Duration>,
}

/// A gate between two phases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// Id, e.g. `gate-0`.
    pub id: ResourceId,
    /// Title, e.g. `Gate 0`.
    pub title: String,
    /// Roles that must approve; distinct people.
    pub approvers: Vec<Role>,
    /// What must hold.
    pub criteria: Vec<Criterion>,
}

/// A continuous alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threshold {
    /// The metric.
    pub metric: Metric,
    /// The phases it applies in.
    pub phases: Vec<PhaseId>,
    /// What the value must be.
    pub requirement: Requirement,
    /// The rolling window it is counted over.
    pub window: Duration,
}

/// A signal to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// Id, e.g. `error-rate-spike`.
    pub id: ResourceId,
    /// Title as in the document.
    pub title: String,
    /// What it may mean.
    pub concern: String,
    /// What to do.
    pub action: String,
    /// The metric behind it.
    pub metric: Metric,
}

/// A pause or rollback trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Id, e.g. `error-rate-over-10`.
    pub id: ResourceId,
    /// Title as in the document.
    pub title: String,
    /// Section, e.g. `5.1`.
    pub section: String,
    /// When it fires.
    pub condition: TriggerCondition,
    /// What happens.
    pub action: TriggerAction,
    /// What must be shown before resuming; empty for rollbacks.
    pub resume_criterion: String,
}

/// When a trigger fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TriggerCondition {
    /// A metric is in a bad relation to a threshold.
    Metric {
        /// The metric.
        metric: Metric,
        /// The bad relation.
        fires_when: Requirement,
        /// The rolling window.
        window: Duration,
        /// How long it must hold at every evaluation; zero for at once.
        sustained_for: Duration,
        /// Samples below which it warns only.
        minimum_samples: u64,
        /// Fires on the bare rule, without a confidence bound.
        literal: bool,
    },
    /// An incident of this kind was recorded.
    Incident {
        /// The kind.
        kind: IncidentKind,
    },
}

/// Kinds of incidents the plan reacts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IncidentKind {
    /// A P1 incident.
    P1,
    /// A confirmed data integrity issue.
    DataIntegrity,
    /// Data corruption was found.
    DataCorruption,
    /// A client reported lost data.
    ClientReportedDataLoss,
}

/// What a trigger does, from mild to severe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TriggerAction {
    /// Pauses the phase.
    PausePhase,
    /// Engages the kill switch as well.
    GlobalPause,
    /// Rolls back to the previous phase.
    RollbackToPrevious,
    /// Rolls back to the first phase.
    RollbackToFirst,
}

/// A step of the rollback checklist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollbackStep {
    /// Id, e.g. `activate-kill-switch`.
    pub id: ResourceId,
    /// The step as worded.
    pub title: String,
    /// True where the system does it, false where people do.
    pub by_system: bool,
}

/// A row of the decision matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixRow {
    /// Id, e.g. `known-issue`.
    pub id: ResourceId,
    /// The condition as worded.
    pub condition: String,
    /// The duration as worded.
    pub duration: String,
    /// True for rollback, false for pause.
    pub rollback: bool,
}

/// When GA may be declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GaRules {
    /// Consecutive daily evaluations that must be met, all at 100 %.
    pub consecutive_days: u32,
    /// Judged on every one of those days.
    pub quantitative: Vec<Criterion>,
    /// Confirmed by people.
    pub qualitative: Vec<Criterion>,
    /// The declaration checklist.
    pub checklist: Vec<Criterion>,
    /// Roles that sign off; distinct people.
    pub approvers: Vec<Role>,
}

/// The communication plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Communication {
    /// Where messages go.
    pub channels: Vec<Channel>,
    /// Who they are for.
    pub audiences: Vec<Audience>,
    /// Which event sends what.
    pub messages: Vec<Message>,
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Id, e.g. `slack-engineering`. Addresses and secrets are settings of the comms service.
    pub id: ResourceId,
    /// What it speaks.
    pub kind: ChannelKind,
    /// Where, as people say it, e.g. `#engineering`.
    pub label: String,
}

/// Protocols of channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChannelKind {
    /// A Slack channel.
    Slack,
    /// Mail.
    Mail,
    /// A calendar invitation by mail.
    Meeting,
    /// A banner in the product.
    Banner,
    /// The blog.
    Blog,
    /// The status page.
    StatusPage,
    /// A signed webhook.
    Webhook,
}

/// An audience: roles, or a set of clients the comms service works out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience {
    /// Id, e.g. `engineering`.
    pub id: ResourceId,
    /// Title, e.g. `Engineering + PM`.
    pub title: String,
    /// Mail addresses, for channels that need them.
    pub addresses: Vec<String>,
}

/// What an event sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Id, e.g. `phase-start`.
    pub id: ResourceId,
    /// Section, e.g. `7.1`.
    pub section: String,
    /// The event.
    pub event: CommunicationEvent,
    /// Restricts a phase event to these phases; all where empty.
    pub phases: Vec<PhaseId>,
    /// Channels it goes to.
    pub channels: Vec<ResourceId>,
    /// For whom.
    pub audience: ResourceId,
}

/// Events that people are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CommunicationEvent {
    /// A phase started.
    PhaseStart,
    /// A gate is to be reviewed.
    GateReview,
    /// Something went wrong, or the kill switch was engaged.
    Incident,
    /// Something went wrong that clients feel.
    ClientIncident,
    /// GA was declared.
    GaDeclaration,
    /// Clients are invited to the canary.
    CanaryInvitation,
    /// The beta is announced.
    BetaAnnouncement,
    /// GA is announced.
    GaAnnouncement,
    /// Clients affected by a rollback are told.
    RollbackNotice,
    /// A review is due.
    ReviewReminder,
    /// A signal to watch moved.
    Advisory,
    /// A task after GA is due.
    PostGaFollowUp,
    /// A phase has taken longer than planned.
    PhaseOverdue,
}

/// A task after GA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostGaTask {
    /// Id.
    pub id: ResourceId,
    /// The task as worded.
    pub title: String,
    /// Section, e.g. `8.1`.
    pub section: String,
    /// Due this long after GA.
    pub due_after: Duration,
}

/// An enhancement planned for later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enhancement {
    /// What.
    pub title: String,
    /// What must come first.
    pub prerequisite: String,
    /// When, e.g. `D8+`.
    pub target: String,
}

/// A reference document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Its name, e.g. `D6.4`.
    pub document: String,
    /// What it is for.
    pub purpose: String,
}

/// Document control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentControl {
    /// Status as worded.
    pub status: String,
    /// Versions, oldest first.
    pub changes: Vec<DocumentChange>,
    /// Roles that must approve the plan.
    pub approvers: Vec<Role>,
}

/// A line of the version table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentChange {
    /// The version.
    pub version: String,
    /// The date, `YYYY-MM-DD`.
    pub date: String,
    /// What changed.
    pub change: String,
}

impl Plan {
    /// Finds a phase.
    #[must_use]
    pub fn phase(&self, id: &PhaseId) -> Option<&Phase> {
        self.phases.iter().find(|phase| &phase.id == id)
    }

    /// Where a phase stands in the order.
    #[must_use]
    pub fn position(&self, id: &PhaseId) -> Option<usize> {
        self.phases.iter().position(|phase| &phase.id == id)
    }

    /// Every criterion: entry, gates and GA.
    pub fn criteria(&self) -> impl Iterator<Item = &Criterion> {
        let of_phases = self.phases.iter().flat_map(|phase| {
            phase.entry.iter().chain(phase.gate.iter().flat_map(|gate| gate.criteria.iter()))
        });
        let of_ga = [&self.ga.quantitative, &self.ga.qualitative, &self.ga.checklist];
        of_phases.chain(of_ga.into_iter().flatten())
    }
}
