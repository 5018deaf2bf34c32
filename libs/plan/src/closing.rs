//! What ends a rollout, and the papers that go with it.

use std::time::Duration;

use vocab::{ResourceId, Role};

use crate::criterion::Criterion;

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
