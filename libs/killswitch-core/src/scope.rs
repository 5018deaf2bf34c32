//! What a switch stops, and what is stopped.

use vocab::{Pattern, PhaseId, PipelineId, WorkspaceId};

/// What a switch stops. A wider scope covers every narrower one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    Global,
    /// One pipeline.
    Pipeline(PipelineId),
    /// The cohort of one phase.
    Cohort(PipelineId, PhaseId),
    /// Workspaces by glob.
    Workspace(PipelineId, Pattern),
}

/// Something that may be stopped.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The pipeline.
    pub pipeline: &'a PipelineId,
    /// The phase the workspace's flag is in, where known.
    pub phase: Option<&'a PhaseId>,
    /// The workspace.
    pub workspace: &'a WorkspaceId,
}

impl Scope {
    /// Whether the scope covers the target.
    #[must_use]
    pub fn covers(&self, target: Target<'_>) -> bool {
        match self {
            Self::Global => true,
            Self::Pipeline(pipeline) => pipeline == target.pipeline,
            // A phase that is not known could be the one that is stopped.
            Self::Cohort(pipeline, phase) => {
                pipeline == target.pipeline && target.phase.is_none_or(|known| known == phase)
            }
            Self::Workspace(pipeline, pattern) => {
                pipeline == target.pipeline && pattern.matches(target.workspace.as_str())
            }
        }
    }

    /// The last part of the switch's resource name, e.g. `pipeline:ingestion_v2`.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Global => "global".to_owned(),
            Self::Pipeline(pipeline) => format!("pipeline:{pipeline}"),
            Self::Cohort(pipeline, phase) => format!("cohort:{pipeline}:{phase}"),
            Self::Workspace(pipeline, pattern) => format!("workspace:{pipeline}:{pattern}"),
        }
    }
}
