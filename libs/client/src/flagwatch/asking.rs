//! The service's own answer, where a flag cannot be evaluated here.

use std::time::Duration;

use contracts::flag as pb;
use contracts::flag::evaluation_service_client::EvaluationServiceClient;
use credentials::Line;
use flag_core::{Reason, Value};
use tonic::Status;

use super::answer::{Evaluation, Source};
use super::context::Context;

/// Asks for at most `timeout`.
pub(super) async fn ask(
    line: Line,
    timeout: Duration,
    key: &str,
    context: &Context,
) -> Result<Evaluation, Status> {
    let request = pb::EvaluateFlagRequest {
        name: format!("flags/{key}"),
        workspace_id: context.targeting_key().to_string(),
        attributes: context.wire_attributes(),
    };
    let mut client = EvaluationServiceClient::new(line);
    let answer = tokio::time::timeout(timeout, client.evaluate_flag(request)).await;
    let answer = answer.map_err(|_e| Status::deadline_exceeded("it did not answer in time"))?;
    Ok(read(answer?.into_inner()))
}

fn read(answer: pb::EvaluateFlagResponse) -> Evaluation {
    let stale = answer.stale;
    let revision = u64::try_from(answer.revision).unwrap_or(0);
    let (age, source) = (Some(Duration::ZERO), Source::Service);
    let Some(reason) = reason(answer.reason()) else {
        // A reason that is not said, or not known here, is read as off.
        let (variant, value) = (Some("off".to_owned()), Some(Value::Truth(false)));
        let reason = Reason::Disabled;
        return Evaluation { enabled: false, variant, value, reason, revision, stale, age, source };
    };
    let enabled = answer.enabled;
    let variant = Some(answer.variant).filter(|name| !name.is_empty());
    let value = answer.value.as_ref().and_then(flag_wire::attribute);
    let value = value.and_then(|value| Value::of_json(&(&value).into()));
    // A boolean flag has no value besides: `enabled` says it.
    let value = variant.is_some().then(|| value.unwrap_or(Value::Truth(enabled)));
    Evaluation { enabled, variant, value, reason, revision, stale, age, source }
}

const fn reason(wire: pb::Reason) -> Option<Reason> {
    Some(match wire {
        pb::Reason::Unspecified => return None,
        pb::Reason::Killed => Reason::Killed,
        pb::Reason::Paused => Reason::Paused,
        pb::Reason::Denylisted => Reason::Denylisted,
        pb::Reason::Allowlisted => Reason::Allowlisted,
        pb::Reason::Disabled => Reason::Disabled,
        pb::Reason::Excluded => Reason::Excluded,
        pb::Reason::Targeted => Reason::Targeted,
        pb::Reason::Percentage => Reason::Percentage,
        pb::Reason::Default => Reason::Default,
        pb::Reason::Static => Reason::Static,
    })
}
