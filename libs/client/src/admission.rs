//! Asking: may this upload start, and is this workspace on.

use std::time::Duration;

use contracts::flag as pb;
use contracts::flag::admission_service_client::AdmissionServiceClient;
use contracts::flag::evaluation_service_client::EvaluationServiceClient;
use killswitch_core::Target;
use tonic::{Code, Response, Status};
use vocab::{UploadId, WorkspaceId};

use crate::Client;

const RETRY_AFTER: Duration = Duration::from_secs(5); // Where the service could not say.
/// Before a question is asked again that nobody answered: a service that is restarted is away for
/// a moment, and asking twice for one upload takes its quota once.
const AGAIN: [Duration; 3] =
    [Duration::from_millis(20), Duration::from_millis(100), Duration::from_millis(400)];

/// What to do with an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Process with the new pipeline.
    Admit,
    /// Process with the old pipeline.
    Legacy,
    /// Keep the upload and ask again.
    Defer {
        /// When to ask again.
        retry_after: Duration,
    },
    /// Refuse the upload.
    Reject {
        /// Why, for the client.
        why: String,
    },
}

/// Whether a workspace is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluated {
    /// Whether it is on; the caller's default where the service cannot be asked.
    pub enabled: bool,
    /// Why, e.g. `ALLOWLISTED`; `ERROR: ...` where the default was returned.
    pub reason: String,
}

impl Client {
    /// Asks whether an upload may start. Out of touch with the control plane it is deferred.
    pub async fn admit(
        &self,
        workspace: &WorkspaceId,
        upload: &UploadId,
        file_size_bytes: u64,
    ) -> Admission {
        let target = Target { pipeline: &self.pipeline, phase: None, workspace };
        if self.killed_for_sure(target) {
            return Admission::Defer { retry_after: RETRY_AFTER };
        }
        let request = pb::AdmitUploadRequest {
            name: format!("flags/{}", self.flag),
            workspace_id: workspace.to_string(),
            upload_id: upload.to_string(),
            file_size_bytes: i64::try_from(file_size_bytes).unwrap_or(i64::MAX),
            attributes: None,
        };
        let asking = || {
            let (mut client, request) =
                (AdmissionServiceClient::new(self.flags.clone()), request.clone());
            async move { client.admit_upload(request).await.map(Response::into_inner) }
        };
        match asked(asking).await {
            Ok(answer) => read(&answer),
            Err(status) => {
                tracing::warn!(code = %status.code(), why = status.message(), "cannot ask: deferred");
                Admission::Defer { retry_after: RETRY_AFTER }
            }
        }
    }

    /// Evaluates the flag for a workspace. Where the service cannot be asked, `default` is
    /// returned and the reason says so.
    pub async fn evaluate(&self, workspace: &WorkspaceId, default: bool) -> Evaluated {
        let request = pb::EvaluateFlagRequest {
            name: format!("flags/{}", self.flag),
            workspace_id: workspace.to_string(),
            attributes: None,
        };
        let asking = || {
            let (mut client, request) =
                (EvaluationServiceClient::new(self.flags.clone()), request.clone());
            async move { client.evaluate_flag(request).await.map(Response::into_inner) }
        };
        match asked(asking).await {
            Ok(answer) => {
                let reason = answer.reason();
                // A reason that is not said, or not known here, is read as off.
                let enabled = answer.enabled && reason != pb::Reason::Unspecified;
                let reason = reason.as_str_name().trim_start_matches("REASON_");
                Evaluated { enabled, reason: reason.to_owned() }
            }
            Err(status) => {
                let reason = format!("ERROR: {}: {}", status.code(), status.message());
                Evaluated { enabled: default, reason }
            }
        }
    }

    /// The phase of a workspace's flag is not known here: a cohort's kill is left to the service.
    fn killed_for_sure(&self, target: Target<'_>) -> bool {
        if self.kills().is_stale() {
            return self.kills().is_killed(target);
        }
        self.kills().covers_without_phase(target)
    }
}

/// Asks, and asks again where nobody was there.
async fn asked<T, F>(ask: impl Fn() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<T, Status>>,
{
    for delay in AGAIN {
        match ask().await {
            Err(status) if status.code() == Code::Unavailable => tokio::time::sleep(delay).await,
            answer => return answer,
        }
    }
    ask().await
}

fn read(answer: &pb::AdmitUploadResponse) -> Admission {
    match answer.admission() {
        pb::Admission::Admit => Admission::Admit,
        pb::Admission::Legacy => Admission::Legacy,
        pb::Admission::Reject => {
            let what = match answer.limit() {
                pb::Limit::FileSize => "bytes is the largest file",
                pb::Limit::UploadsPerDay => "uploads a day is the quota",
                pb::Limit::Unspecified => "is the limit",
            };
            let (limit, observed) = (answer.limit_value, answer.observed_value);
            Admission::Reject { why: format!("{limit} {what}, and this would be {observed}") }
        }
        pb::Admission::Defer | pb::Admission::Unspecified => {
            let asked = answer.retry_after_duration.and_then(|wire| Duration::try_from(wire).ok());
            Admission::Defer { retry_after: asked.unwrap_or(RETRY_AFTER) }
        }
    }
}
