//! Admission: one question per upload, before it starts (semantics §4).

use contracts::flag as pb;
use flag_core::{Admission, Limit, LimitHit, decide_admission};
use service_kit::fault::{Fault, checked};
use service_kit::journaled::store_failed;
use service_kit::wire::signed;
use store::Quota;
use vocab::{Invalid, UploadId, WorkspaceId};

use crate::app::App;
use crate::convert;
use crate::error::DOMAIN;

/// Reads a UTC day, `YYYY-MM-DD`: it becomes part of a storage key.
fn day(text: &str) -> Result<String, Invalid> {
    let well = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if well {
        return Ok(text.to_owned());
    }
    let shown = vocab::excerpt(text);
    Err(Invalid::new(format!(
        "`{shown}` is not a UTC day: expected the quota_day of the admission"
    )))
}

impl App {
    /// Decides on one upload.
    pub(crate) async fn admit(
        &self,
        request: &pb::AdmitUploadRequest,
    ) -> Result<pb::AdmitUploadResponse, Fault> {
        let key = convert::flag_name("name", &request.name)?;
        let workspace = checked(DOMAIN, "workspace_id", WorkspaceId::new(&request.workspace_id))?;
        let upload = checked(DOMAIN, "upload_id", UploadId::new(&request.upload_id))?;
        let size = u64::try_from(request.file_size_bytes)
            .map_err(|_e| Fault::field(DOMAIN, "file_size_bytes", "is negative"))?;
        convert::attributes(request.attributes.as_ref())?;
        let facts = flag_wire::StructFacts(request.attributes.as_ref());
        let (mut response, mut decided, pipeline) = self.of_flag(key, |stored| {
            let (found, epoch) = self.evaluate(&stored.flag, Some(workspace.as_str()), &facts)?;
            let response = pb::AdmitUploadResponse {
                reason: convert::wire_reason(found.reason).into(),
                revision: signed(stored.revision),
                kill_epoch: signed(epoch),
                stale: self.is_stale(),
                variant: found.variant.map_or_else(String::new, |one| one.name.to_string()),
                ..pb::AdmitUploadResponse::default()
            };
            let decided = decide_admission(found, &stored.flag.limits, size);
            Ok((response, decided, stored.flag.pipeline.to_string()))
        })?;
        self.census.saw(&workspace, request.attributes.as_ref());
        if let Admission::TakeQuota(limit) = decided {
            let quota = Quota { pipeline, workspace, day: self.clock.now().utc_day(), limit };
            let taken = self.quotas.take(&quota, &upload).await;
            let taken = taken.map_err(|error| store_failed(DOMAIN, &error))?;
            if taken.granted {
                response.quota_day = quota.day;
            }
            response.quota_used_count = taken.used.into();
            decided = if taken.granted {
                Admission::Admit
            } else {
                let (value, observed) = (u64::from(limit), u64::from(taken.used) + 1);
                Admission::Reject(LimitHit { limit: Limit::UploadsPerDay, value, observed })
            };
        }
        self.fill(&mut response, decided);
        self.metrics.admitted(key, &response);
        Ok(response)
    }

    /// Gives back the quota of an upload that never started.
    pub(crate) async fn release(
        &self,
        request: &pb::ReleaseUploadRequest,
    ) -> Result<pb::ReleaseUploadResponse, Fault> {
        let key = convert::flag_key("name", &request.name)?;
        let workspace = checked(DOMAIN, "workspace_id", WorkspaceId::new(&request.workspace_id))?;
        let upload = checked(DOMAIN, "upload_id", UploadId::new(&request.upload_id))?;
        let day = checked(DOMAIN, "quota_day", day(&request.quota_day))?;
        let stored = self.any_flag(&key)?; // Also of a flag that was deleted since.
        let quota = Quota { pipeline: stored.flag.pipeline.to_string(), workspace, day, limit: 0 };
        let left = self.quotas.release(&quota, &upload).await;
        let left = left.map_err(|error| store_failed(DOMAIN, &error))?;
        Ok(pb::ReleaseUploadResponse { quota_used_count: left.used.into() })
    }

    fn fill(&self, response: &mut pb::AdmitUploadResponse, decided: Admission) {
        let admission = match decided {
            Admission::Admit => pb::Admission::Admit,
            Admission::Legacy => pb::Admission::Legacy,
            Admission::Defer | Admission::TakeQuota(_) => {
                response.retry_after_duration = self.durations.retry_after.try_into().ok();
                pb::Admission::Defer
            }
            Admission::Reject(hit) => {
                response.set_limit(match hit.limit {
                    Limit::FileSize => pb::Limit::FileSize,
                    Limit::UploadsPerDay => pb::Limit::UploadsPerDay,
                });
                response.limit_value = signed(hit.value);
                response.observed_value = signed(hit.observed);
                pb::Admission::Reject
            }
        };
        response.set_admission(admission);
    }
}
