//! Leases on Redis: a hash with a time to live, and a fence that is never dropped.

use std::time::Duration;

use async_trait::async_trait;

use crate::error::StoreError;
use crate::leases::{Lease, Leases};

use super::{RedisStore, ttl_ms};

#[async_trait]
impl Leases for RedisStore {
    async fn acquire(
        &self,
        name: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        let mut script = self.scripts.acquire.call(&[lease_key(name), fence_key(name)]);
        script.arg(holder).arg(ttl_ms(ttl));
        let fence: Option<u64> = self.connection.run(&script).await?;
        Ok(fence.map(|fence| Lease { name: name.to_owned(), holder: holder.to_owned(), fence }))
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut script = self.scripts.release_lease.call(&[lease_key(&lease.name)]);
        script.arg(&lease.holder).arg(lease.fence);
        self.connection.run(&script).await
    }
}

fn lease_key(name: &str) -> String {
    format!("{{softlaunch:lease:{name}}}:holder")
}

pub(super) fn fence_key(name: &str) -> String {
    format!("{{softlaunch:lease:{name}}}:fence")
}
