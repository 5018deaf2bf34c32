//! The store inside the process: one `redb` file, one process at a time.
//!
//! **Invariant:** only the writer thread writes, and it answers after the commit is on disk.

mod counters;
mod expiry;
mod group;
mod journal;
mod leases;
mod quotas;
mod tables;
mod watches;
mod writer;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase as _};

use crate::error::StoreError;
use crate::open::Clock;

use leases::Held;
use tables::failed;
use watches::Watches;
use writer::Writer;

const FILE_NAME: &str = "store.redb";

/// Everything a store keeps, in one file.
#[derive(Debug)]
pub(crate) struct EmbeddedStore {
    database: Arc<Database>,
    writer: Writer,
    watches: Arc<Watches>,
    held: Arc<Held>,
}

impl EmbeddedStore {
    /// Whether a store was ever made in `dir`.
    pub(crate) fn is_in(dir: &Path) -> bool {
        dir.join(FILE_NAME).is_file()
    }

    /// Opens the store in `dir`, and makes one where there is none. Blocks on the disk.
    pub(crate) fn open(dir: &Path, clock: Clock) -> Result<Self, StoreError> {
        let unusable = |error: std::io::Error| {
            StoreError::Settings(format!("the directory {} cannot be used: {error}", dir.display()))
        };
        std::fs::create_dir_all(dir).map_err(unusable)?;
        let database = Database::create(dir.join(FILE_NAME)).map_err(|e| not_opened(dir, e))?;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(unusable)?; // The name, too.
        tables::create(&database)?;
        let database = Arc::new(database);
        let writer = Writer::start(Arc::clone(&database), clock)?;
        Ok(Self { database, writer, watches: Arc::default(), held: Arc::default() })
    }

    /// Runs `work` on what is committed, away from the async threads.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = Arc::clone(&self.database);
        let reading = tokio::task::spawn_blocking(move || {
            let transaction = database.begin_read().map_err(failed)?;
            work(&transaction)
        });
        reading.await.map_err(|e| StoreError::Unavailable(format!("a read ended early: {e}")))?
    }
}

fn not_opened(dir: &Path, error: DatabaseError) -> StoreError {
    if matches!(error, DatabaseError::DatabaseAlreadyOpen) {
        return StoreError::InUse(format!(
            "the directory {} is held by another process: stop that one, or give this one a \
             directory of its own",
            dir.display()
        ));
    }
    if let DatabaseError::UpgradeRequired(version) = error {
        return StoreError::Settings(format!(
            "the file in {} has format {version}, which this release cannot read",
            dir.display()
        ));
    }
    failed(error)
}
