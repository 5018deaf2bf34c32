//! What a flag is.

use std::collections::{BTreeMap, HashSet};

use plan::{Exclusion, FlagForm};
use vocab::{BasisPoints, FlagKey, Invalid, Pattern, PhaseId, PipelineId};

/// Longest allow or deny list: bounds memory and the size of a message.
pub const LISTED_MAX: usize = 100_000;

/// A boolean flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// Its key.
    pub key: FlagKey,
    /// The pipeline whose kill switch it obeys.
    pub pipeline: PipelineId,
    /// Who is on.
    pub definition: Definition,
    /// Limits on uploads of those who are on.
    pub limits: Limits,
    /// The rollout that moves it, as a resource name; empty for none.
    pub rollout: String,
    /// That rollout's phase.
    pub phase: Option<PhaseId>,
    /// Orders that rollout's steps.
    pub generation: u64,
    /// Whether the cohort's new uploads are deferred.
    pub paused: bool,
}

/// Who is on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Definition {
    /// Whether the percentage applies.
    pub enabled: bool,
    /// On, but for a deny.
    pub allow: Patterns,
    /// Off.
    pub deny: Patterns,
    /// The share of all others that is on.
    pub percentage: BasisPoints,
    /// Attributes that keep a workspace off the percentage.
    pub exclusions: Vec<Exclusion>,
}

/// Limits on uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Uploads a workspace may make on a UTC day.
    pub uploads_per_day: Option<u32>,
    /// Largest file, in bytes.
    pub file_size_max_bytes: Option<u64>,
}

/// A list of globs; exact ids are found in constant time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Patterns {
    listed: Vec<Pattern>,
    exact: HashSet<Box<str>>,
    globs: Vec<Pattern>,
}

impl Patterns {
    /// Compiles a list.
    ///
    /// # Errors
    /// Refuses more than [`LISTED_MAX`] patterns.
    pub fn new(listed: Vec<Pattern>) -> Result<Self, Invalid> {
        if listed.len() > LISTED_MAX {
            return Err(Invalid::new(format!(
                "{} patterns are too many: expected at most {LISTED_MAX}",
                listed.len()
            )));
        }
        let (exact, globs): (Vec<_>, Vec<_>) = listed.iter().cloned().partition(Pattern::is_exact);
        let exact = exact.iter().map(|pattern| pattern.as_str().into()).collect();
        Ok(Self { listed, exact, globs })
    }

    /// Whether any pattern matches.
    #[must_use]
    pub fn matches(&self, id: &str) -> bool {
        self.exact.contains(id) || self.globs.iter().any(|glob| glob.matches(id))
    }

    /// The patterns as listed.
    #[must_use]
    pub fn listed(&self) -> &[Pattern] {
        &self.listed
    }
}

/// A property of a workspace, sent along with a question.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// A text.
    Text(String),
    /// A finite number.
    Number(f64),
    /// A truth value.
    Truth(bool),
}

/// Attributes by name.
pub type Attributes = BTreeMap<String, Attribute>;

impl Definition {
    /// The definition a phase of a plan asks for, at `percentage` instead of the phase's last step.
    ///
    /// # Errors
    /// Refuses lists that are too long.
    pub fn from_plan(form: &FlagForm, percentage: BasisPoints) -> Result<Self, Invalid> {
        Ok(Self {
            enabled: form.enabled,
            allow: Patterns::new(form.allowlist.clone())?,
            deny: Patterns::new(form.denylist.clone())?,
            percentage,
            exclusions: form.exclude.clone(),
        })
    }

    /// The share of unlisted workspaces that is on.
    #[must_use]
    pub const fn share(&self) -> BasisPoints {
        if self.enabled { self.percentage } else { BasisPoints::ZERO }
    }
}
