//! Questions: who is on. Answered from memory.

use contracts::flag as pb;
use flag_core::{Definition, Evaluation, Facts, Flag, Question, Value, evaluate};
use service_kit::fault::{Fault, checked};
use service_kit::wire::signed;
use vocab::{Timestamp, WorkspaceId};

use crate::app::App;
use crate::convert;
use crate::error::{DOMAIN, unanswered};
use crate::state::Stored;

impl App {
    /// Evaluates a flag; also says which kill-switch epoch was honoured.
    pub(crate) fn evaluate<'f, F: Facts + ?Sized>(
        &self,
        flag: &'f Flag,
        key: Option<&str>,
        facts: &F,
    ) -> Result<(Evaluation<'f>, u64), Fault> {
        let (killed, epoch) = self.stopped(flag, key);
        let now = match &flag.definition {
            Definition::Audience(_) => Timestamp::EPOCH, // Nobody looks at it.
            Definition::Imported(_) => self.clock.now(),
        };
        let question = Question { key, facts, killed, now };
        let found = evaluate(flag, &question).map_err(|why| unanswered(&flag.key, &why))?;
        Ok((found, epoch))
    }

    /// Answers one question.
    pub(crate) fn answer(
        &self,
        request: &pb::EvaluateFlagRequest,
    ) -> Result<pb::EvaluateFlagResponse, Fault> {
        let key = convert::flag_name("name", &request.name)?;
        let workspace = &request.workspace_id;
        checked(DOMAIN, "workspace_id", WorkspaceId::check(workspace))?;
        convert::attributes(request.attributes.as_ref())?;
        let facts = flag_wire::StructFacts(request.attributes.as_ref());
        self.of_flag(key, |stored| self.answer_of(stored, workspace, &facts))
    }

    fn answer_of<F: Facts + ?Sized>(
        &self,
        stored: &Stored,
        workspace: &str,
        facts: &F,
    ) -> Result<pb::EvaluateFlagResponse, Fault> {
        let (found, epoch) = self.evaluate(&stored.flag, Some(workspace), facts)?;
        let value = found.variant.map(|variant| &variant.value);
        Ok(pb::EvaluateFlagResponse {
            enabled: found.enabled,
            reason: convert::wire_reason(found.reason).into(),
            revision: signed(stored.revision),
            kill_epoch: signed(epoch),
            stale: self.is_stale(),
            workspace_id: workspace.to_owned(),
            variant: found.variant.map_or_else(String::new, |variant| variant.name.to_string()),
            value: value
                .filter(|value| !matches!(value, Value::Truth(_)))
                .map(|value| flag_wire::value_of(&value.as_json())),
        })
    }

    /// Whether the store is out of reach, so that answers come from what was known last.
    pub(crate) fn is_stale(&self) -> bool {
        !self.replica.is_connected()
    }
}
