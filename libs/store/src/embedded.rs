//! The store inside the process: a `redb` file and the log before it, one process at a time.
//!
//! **Invariant:** one at a time writes, and answers after the group is on disk.

mod bucket;
mod committer;
mod count;
mod counters;
mod expiry;
mod group;
mod journal;
mod leases;
mod ops;
mod put_off;
mod quotas;
mod tables;
mod transfer;
mod wal;
mod watches;
mod writer;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase as _};

use tokio::task::JoinError;

use crate::error::StoreError;
use crate::open::Clock;

use committer::Committer;
use leases::Held;
use tables::failed;
use watches::Watches;
use writer::Writer;

const FILE_NAME: &str = "store.redb";
const LOG_NAME: &str = "store.wal";

/// Pages of the database held in memory, in bytes.
const CACHE_SIZE: usize = 32 * 1024 * 1024;

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

    /// Moves a closed store to a directory that has none. Killed half-way it has none still.
    pub(crate) fn move_files(from: &Path, to: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(to)?;
        for name in [LOG_NAME, FILE_NAME] {
            std::fs::rename(from.join(name), to.join(name))?;
        }
        File::open(to)?.sync_all()?;
        std::fs::remove_dir(from)
    }

    /// Opens the store in `dir`, and makes one where there is none. Blocks on the disk.
    pub(crate) fn open(dir: &Path, clock: Clock) -> Result<Self, StoreError> {
        let unusable = |error: std::io::Error| {
            StoreError::Settings(format!("the directory {} cannot be used: {error}", dir.display()))
        };
        std::fs::create_dir_all(dir).map_err(unusable)?;
        let mut database = Database::builder()
            .set_cache_size(CACHE_SIZE)
            .create(dir.join(FILE_NAME))
            .map_err(|e| not_opened(dir, e))?;
        if !database.check_integrity().map_err(|e| not_opened(dir, e))? {
            return Err(StoreError::Corrupt(format!(
                "{FILE_NAME} in {} is damaged: go back to a copy, or import an export",
                dir.display()
            )));
        }
        tables::create(&database)?;
        let database = Arc::new(database);
        let committer = Committer::open(Arc::clone(&database), &dir.join(LOG_NAME))?;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(unusable)?; // The names, too.
        let writer = Writer::start(committer, clock)?;
        Ok(Self { database, writer, watches: Arc::default(), held: Arc::default() })
    }

    /// As [`Self::read`], for tables of what may have been put off: sees every batch that was
    /// answered.
    async fn read_settled<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.settle().await?;
        self.read(work).await
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
        reading.await.map_err(ended_early)?
    }
}

/// What it means that the database did not come to an end. It panics on files that are not its
/// own work.
pub(crate) fn ended_early(error: JoinError) -> StoreError {
    if error.is_panic() {
        return StoreError::Corrupt(format!("the database gave up: {error}"));
    }
    StoreError::Unavailable(format!("the database was stopped: {error}"))
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
