//! Quotas in the embedded file.

use std::time::Duration;

use async_trait::async_trait;
use redb::{ReadableTable as _, WriteTransaction};
use vocab::{Timestamp, UploadId};

use crate::error::StoreError;
use crate::quotas::{Quota, Quotas, Taken};

use super::EmbeddedStore;
use super::ops::{Hold, Kind};
use super::tables::{HOLDERS, USED, failed};

const DAY_KEPT: Duration = Duration::from_secs(2 * 24 * 60 * 60);

#[async_trait]
impl Quotas for EmbeddedStore {
    async fn take(&self, quota: &Quota, upload: &UploadId) -> Result<Taken, StoreError> {
        let (day, limit, upload) = (Day::of(quota), quota.limit, upload.clone());
        self.writer
            .write(move |group| {
                let transaction = group.transaction()?;
                let used = day.used(transaction)?;
                if day.holds(transaction, &upload)? {
                    return Ok(Taken { granted: true, used });
                }
                if used >= limit {
                    return Ok(Taken { granted: false, used });
                }
                group.apply(day.moved(&upload, true, used + 1, group.now()))?;
                Ok(Taken { granted: true, used: used + 1 })
            })
            .await
    }

    async fn release(&self, quota: &Quota, upload: &UploadId) -> Result<Taken, StoreError> {
        let (day, upload) = (Day::of(quota), upload.clone());
        self.writer
            .write(move |group| {
                let transaction = group.transaction()?;
                let used = day.used(transaction)?;
                if !day.holds(transaction, &upload)? {
                    return Ok(Taken { granted: false, used });
                }
                let left = used.saturating_sub(1);
                group.apply(day.moved(&upload, false, left, group.now()))?;
                Ok(Taken { granted: false, used: left })
            })
            .await
    }
}

/// The key of one day of one workspace.
struct Day {
    pipeline: String,
    workspace_day: String,
}

impl Day {
    fn of(quota: &Quota) -> Self {
        let workspace_day = format!("{}/{}", quota.workspace, quota.day);
        Self { pipeline: quota.pipeline.clone(), workspace_day }
    }

    fn holder<'a>(&'a self, upload: &'a UploadId) -> (&'a str, &'a str, &'a str) {
        (&self.pipeline, &self.workspace_day, upload.as_str())
    }

    fn used(&self, transaction: &WriteTransaction) -> Result<u32, StoreError> {
        let table = transaction.open_table(USED).map_err(failed)?;
        let used = table.get((self.pipeline.as_str(), self.workspace_day.as_str()));
        Ok(used.map_err(failed)?.map_or(0, |used| used.value()))
    }

    fn holds(&self, transaction: &WriteTransaction, upload: &UploadId) -> Result<bool, StoreError> {
        let holders = transaction.open_table(HOLDERS).map_err(failed)?;
        Ok(holders.get(self.holder(upload)).map_err(failed)?.is_some())
    }

    fn moved(&self, upload: &UploadId, held: bool, used: u32, now: Timestamp) -> Kind {
        Kind::Hold(Hold {
            pipeline: self.pipeline.clone(),
            workspace_day: self.workspace_day.clone(),
            upload: upload.as_str().to_owned(),
            held,
            used,
            until_ms: now.plus(DAY_KEPT).as_millis(),
        })
    }
}
