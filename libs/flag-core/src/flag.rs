//! What a flag is.

use std::sync::Arc;

use vocab::{BasisPoints, FlagKey, PhaseId, PipelineId, Timestamp};

use crate::audience::Audience;
use crate::context::Attributes;
use crate::flagd::Imported;

/// A flag.
#[derive(Debug, Clone, PartialEq)]
pub struct Flag {
    /// Its key.
    pub key: FlagKey,
    /// The pipeline whose kill switch it obeys.
    pub pipeline: PipelineId,
    /// Who gets what.
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
    /// What is said about it.
    pub about: About,
}

/// What is said about a flag; no answer depends on it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct About {
    /// What it is for.
    pub description: String,
    /// Who looks after it.
    pub owner: String,
    /// When it should be gone.
    pub expires_at: Option<Timestamp>,
    /// Facts for clients.
    pub metadata: Attributes,
}

/// Who gets what.
#[derive(Debug, Clone, PartialEq)]
pub enum Definition {
    /// In our own form, short or full.
    Audience(Box<Audience>),
    /// As flagd says.
    Imported(Arc<Imported>),
}

/// Limits on uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Uploads a workspace may make on a UTC day.
    pub uploads_per_day: Option<u32>,
    /// Largest file, in bytes.
    pub file_size_max_bytes: Option<u64>,
}

impl Definition {
    /// The share of unlisted workspaces that gets another variant than the default one; of an
    /// imported definition nobody knows, so it counts as everybody.
    #[must_use]
    pub fn share(&self) -> BasisPoints {
        match self {
            Self::Audience(audience) => audience.share(),
            Self::Imported(imported) if imported.exposes_nobody() => BasisPoints::ZERO,
            Self::Imported(_) => BasisPoints::ALL,
        }
    }

    /// The audience; `None` for an imported definition.
    #[must_use]
    pub fn audience(&self) -> Option<&Audience> {
        match self {
            Self::Audience(audience) => Some(audience),
            Self::Imported(_) => None,
        }
    }
}

impl Default for Definition {
    fn default() -> Self {
        Self::Audience(Box::default())
    }
}

impl From<Audience> for Definition {
    fn from(audience: Audience) -> Self {
        Self::Audience(Box::new(audience))
    }
}
