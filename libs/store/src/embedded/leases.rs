//! Leases inside one process: holders in memory, fences in the file.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use redb::ReadableTable as _;
use tokio::time::Instant;

use crate::error::StoreError;
use crate::leases::{Lease, Leases};

use super::EmbeddedStore;
use super::group::Group;
use super::ops::{self, Kind};
use super::tables::{FENCES, failed};

const TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60); // Nobody is away for longer.

/// Who holds what: gone with the process, as are the holders.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<HashMap<String, (Lease, Instant)>>);

impl Held {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Lease, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer where somebody holds `name` now: the renewed lease, or none for anybody else.
    fn renew(&self, name: &str, holder: &str, ttl: Duration) -> Option<Option<Lease>> {
        let now = Instant::now();
        let mut held = self.lock();
        let (lease, until) = held.get_mut(name).filter(|(_, until)| *until > now)?;
        if lease.holder != holder {
            return Some(None);
        }
        *until = now + ttl.min(TTL_MAX);
        Some(Some(lease.clone()))
    }
}

#[async_trait]
impl Leases for EmbeddedStore {
    async fn acquire(
        &self,
        name: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        if let Some(answer) = self.held.renew(name, holder, ttl) {
            return Ok(answer); // A renewal costs no write.
        }
        let (name, holder) = (name.to_owned(), holder.to_owned());
        let held = Arc::clone(&self.held);
        let work = move |group: &mut Group<'_>| {
            if let Some(answer) = held.renew(&name, &holder, ttl) {
                return Ok(answer); // Another caller was first in the queue.
            }
            let fence = last_fence(group, &name)? + 1;
            group.apply(Kind::Fence(ops::Fence { lease: name.clone(), fence }))?;
            let lease = Lease { name: name.clone(), holder, fence };
            held.lock().insert(name, (lease.clone(), Instant::now() + ttl.min(TTL_MAX)));
            Ok(Some(lease))
        };
        self.writer.write(work).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut held = self.held.lock();
        if held.get(&lease.name).is_some_and(|(current, _)| current == lease) {
            held.remove(&lease.name);
        }
        Ok(())
    }
}

fn last_fence(group: &Group<'_>, lease: &str) -> Result<u64, StoreError> {
    let fences = group.transaction()?.open_table(FENCES).map_err(failed)?;
    let last = fences.get(lease).map_err(failed)?;
    Ok(last.map_or(0, |last| last.value()))
}
