//! Quotas on Redis: a set of uploads for each day of a workspace.

use std::time::Duration;

use async_trait::async_trait;
use vocab::{UploadId, WorkspaceId};

use crate::error::StoreError;
use crate::quotas::{Quota, Quotas, Taken};

use super::{RedisStore, ttl_ms};

const DAY_KEPT: Duration = Duration::from_secs(2 * 24 * 60 * 60);

#[async_trait]
impl Quotas for RedisStore {
    async fn take(&self, quota: &Quota, upload: &UploadId) -> Result<Taken, StoreError> {
        let mut script = self.scripts.take.call(&[key(quota)]);
        script.arg(upload.as_str()).arg(quota.limit).arg(ttl_ms(DAY_KEPT));
        let (granted, used): (bool, u32) = self.connection.run(&script).await?;
        Ok(Taken { granted, used })
    }

    async fn release(&self, quota: &Quota, upload: &UploadId) -> Result<Taken, StoreError> {
        let mut script = self.scripts.release_quota.call(&[key(quota)]);
        script.arg(upload.as_str()).arg(ttl_ms(DAY_KEPT));
        let used: u32 = self.connection.run(&script).await?;
        Ok(Taken { granted: false, used })
    }
}

fn key(quota: &Quota) -> String {
    quota_key(&quota.pipeline, &quota.workspace, &quota.day)
}

pub(super) fn quota_key(pipeline: &str, workspace: &WorkspaceId, day: &str) -> String {
    format!("{{softlaunch:{pipeline}}}:quota:{workspace}:{day}")
}
