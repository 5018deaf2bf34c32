//! What the gate service says of the things it watches.

use vocab::Timestamp;

/// Something watched has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// Where the gate service's stream stands with it: each is acted upon once.
    pub cursor: u64,
    /// The generation in which the phase was entered: what belongs to an older one is over.
    pub phase_generation: u64,
    /// The trigger, threshold or advisory, by its id in the plan.
    pub id: String,
    /// The incident, where each one fires by itself; empty otherwise.
    pub incident: String,
    /// Which of the three it is.
    pub kind: Watched,
    /// Whether its condition holds now, or not any more.
    pub firing: bool,
    /// What it is, in the words of the plan.
    pub title: String,
    /// What it rests on, in words.
    pub evidence: String,
    /// When.
    pub at: Timestamp,
}

impl Firing {
    /// What fires: the trigger's id, with the incident where there is one, e.g.
    /// `p1-incident/incidents/INC-42`.
    #[must_use]
    pub fn name(&self) -> String {
        if self.incident.is_empty() {
            return self.id.clone();
        }
        format!("{}/incidents/{}", self.id, self.incident)
    }
}

/// The trigger's id in the plan, of the name of what fires.
pub(crate) fn trigger_id(name: &str) -> &str {
    name.split('/').next().unwrap_or_default()
}

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Watched {
    /// A pause or rollback trigger (D7 §5.1, §5.2).
    Trigger,
    /// A threshold (D7 §4.1).
    Threshold,
    /// A signal to watch (D7 §4.3).
    Advisory,
}

/// What came of a firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Its action was taken.
    Acted,
    /// Its action, or a more severe one, is in force.
    InForce,
    /// It belongs to a phase that was left.
    Stale,
    /// It has cleared, or only tells.
    Told,
}

impl Outcome {
    /// The outcome in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Acted => "acted upon",
            Self::InForce => "in force already",
            Self::Stale => "of an earlier stay in a phase",
            Self::Told => "noted",
        }
    }
}
