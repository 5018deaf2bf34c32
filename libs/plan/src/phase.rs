//! Phases: who is on, how fast the share rises, and what is asked before the next.

use std::time::Duration;

use vocab::{BasisPoints, Pattern, PhaseId, ResourceId, Role};

use crate::criterion::Criterion;

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
    /// The parameter table of the phase, in words: workspaces, limits, monitoring.
    pub parameters: Vec<Parameter>,
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

/// A line of a phase's parameter table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name, e.g. `Monitoring`.
    pub name: String,
    /// Its value as worded.
    pub value: String,
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
