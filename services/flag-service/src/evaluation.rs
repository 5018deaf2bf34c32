//! Questions: who is on. Answered from memory.

use contracts::flag as pb;
use flag_core::{Attributes, Evaluation, evaluate};
use killswitch_core::Target;
use service_kit::fault::{Fault, checked};
use service_kit::wire::signed;
use vocab::WorkspaceId;

use crate::app::App;
use crate::convert;
use crate::error::DOMAIN;
use crate::state::Stored;

impl App {
    /// Evaluates a stored flag; also says which kill-switch epoch was honoured.
    pub(crate) fn evaluate(
        &self,
        stored: &Stored,
        workspace: &WorkspaceId,
        attributes: &Attributes,
    ) -> (Evaluation, u64) {
        let flag = &stored.flag;
        let target = Target { pipeline: &flag.pipeline, phase: flag.phase.as_ref(), workspace };
        let (killed, epoch) = self.kills.answer(target);
        (evaluate(flag, killed, workspace, attributes), epoch)
    }

    /// Answers one question.
    pub(crate) fn answer(
        &self,
        request: &pb::EvaluateFlagRequest,
    ) -> Result<pb::EvaluateFlagResponse, Fault> {
        let key = convert::flag_key("name", &request.name)?;
        let workspace = checked(DOMAIN, "workspace_id", WorkspaceId::new(&request.workspace_id))?;
        let attributes = convert::attributes(request.attributes.as_ref())?;
        let stored = self.flag(&key)?;
        let (evaluation, epoch) = self.evaluate(&stored, &workspace, &attributes);
        Ok(pb::EvaluateFlagResponse {
            enabled: evaluation.enabled,
            reason: convert::wire_reason(evaluation).into(),
            revision: signed(stored.revision),
            kill_epoch: signed(epoch),
            stale: !self.replica.is_connected(),
            workspace_id: workspace.to_string(),
            ..pb::EvaluateFlagResponse::default()
        })
    }
}
