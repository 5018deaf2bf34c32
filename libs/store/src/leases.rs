//! Leases with fencing tokens, for loops that should run once among replicas.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::StoreError;

/// A lease held. Not a proof of exclusion: what its holder writes must carry an expected version
/// or `fence`, since a paused holder may wake after its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What is leased, e.g. `comms-delivery`.
    pub name: String,
    /// Who holds it.
    pub holder: String,
    /// Rises with every new holder, for ever.
    pub fence: u64,
}

/// Leases by name.
#[async_trait]
pub trait Leases: Send + Sync + Debug {
    /// Takes or renews the lease `name` for `holder`. `None` while somebody else holds it.
    /// A renewal keeps the fence.
    ///
    /// # Errors
    /// `Unavailable` where the store does not answer.
    async fn acquire(
        &self,
        name: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError>;

    /// Gives the lease up, if it is still this one.
    ///
    /// # Errors
    /// `Unavailable` where the store does not answer.
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;
}
