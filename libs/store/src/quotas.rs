//! Quotas per workspace and UTC day, atomic over replicas, idempotent per upload.

use std::fmt::Debug;

use async_trait::async_trait;
use vocab::{UploadId, WorkspaceId};

use crate::error::StoreError;

/// One day's quota of one workspace on one pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// The pipeline.
    pub pipeline: String,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The UTC day, `YYYY-MM-DD`.
    pub day: String,
    /// How many uploads are allowed on it.
    pub limit: u32,
}

/// The answer to a request for quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Whether the upload may go on. An upload that was granted stays granted.
    pub granted: bool,
    /// Uploads that hold quota on this day, this one included where granted.
    pub used: u32,
}

/// Daily quotas. A day's state is dropped two days after it was last changed.
#[async_trait]
pub trait Quotas: Send + Sync + Debug {
    /// Takes one unit for `upload`, unless it holds one already or none is left.
    ///
    /// # Errors
    /// `Unavailable`: asking again is safe.
    async fn take(&self, quota: &Quota, upload: &UploadId) -> Result<Taken, StoreError>;

    /// Gives back what `upload` holds; nothing where it holds nothing.
    ///
    /// # Errors
    /// `Unavailable`: asking again is safe.
    async fn release(&self, quota: &Quota, upload: &UploadId) -> Result<Taken, StoreError>;
}
