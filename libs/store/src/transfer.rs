//! Everything a store keeps, taken out and put into another one.

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tokio::sync::mpsc;
use vocab::{Timestamp, UploadId, WorkspaceId};

use crate::counters::{Batch, Reading, Scope};
use crate::embedded::EmbeddedStore;
use crate::error::StoreError;
use crate::journal::RequestKey;
use crate::open::{Clock, Location, Options};
use crate::record::{Hash, Record, StreamName, Version};
use crate::{Store, open};

/// One thing that a store keeps. What is kept for a time only says until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A record of a stream; those of one stream come in order, from the first.
    Record {
        /// The stream.
        stream: StreamName,
        /// The record.
        record: Record,
    },
    /// The answer to a request: the records it wrote.
    Answer {
        /// The stream.
        stream: StreamName,
        /// The request.
        request: RequestKey,
        /// The version of its first record.
        first: Version,
        /// How many records it wrote.
        count: u64,
        /// Until when it is kept.
        until: Timestamp,
    },
    /// A batch that was counted.
    Batch {
        /// What it was counted for.
        scope: Scope,
        /// Its id and contents.
        batch: Batch,
        /// Until when it is remembered.
        until: Timestamp,
    },
    /// One counter of one bucket.
    Count {
        /// What it belongs to.
        scope: Scope,
        /// The series.
        series: String,
        /// The beginning of the bucket.
        start: Timestamp,
        /// The counter.
        field: String,
        /// Its value.
        count: u64,
        /// Until when the bucket is kept.
        until: Timestamp,
    },
    /// A gauge.
    Gauge {
        /// What it belongs to.
        scope: Scope,
        /// Its name.
        gauge: String,
        /// Its newest value.
        reading: Reading,
    },
    /// An upload that holds a unit of a quota.
    Hold {
        /// The pipeline.
        pipeline: String,
        /// The workspace.
        workspace: WorkspaceId,
        /// The UTC day, `YYYY-MM-DD`.
        day: String,
        /// The upload.
        upload: UploadId,
        /// Until when it is kept.
        until: Timestamp,
    },
    /// The last fence that was given out for a lease. Who holds it now is not kept.
    Fence {
        /// The lease.
        lease: String,
        /// The fence.
        fence: u64,
    },
}

/// What a store can be taken out of and put into.
#[async_trait]
pub(crate) trait Transfer: Send + Sync + Debug {
    /// Sends everything that is kept. Nobody may write meanwhile.
    async fn dump(&self, items: mpsc::Sender<Item>) -> Result<(), StoreError>;

    /// Puts items in; those that are in already stay as they are.
    async fn load(&self, items: Vec<Item>) -> Result<(), StoreError>;

    /// Whether nothing at all is kept.
    async fn is_empty(&self) -> Result<bool, StoreError>;

    /// Which export is being put in, if one is.
    async fn unfinished_import(&self) -> Result<Option<String>, StoreError>;

    /// Notes which export is being put in, or that none is any more.
    async fn note_import(&self, export: Option<&str>) -> Result<(), StoreError>;
}

impl Store {
    /// Sends everything the store keeps. Nobody may write meanwhile: an embedded store sees to
    /// that by itself, on Redis the services must be stopped.
    ///
    /// # Errors
    /// `Corrupt` where something is not what was written; `Unavailable` where the store does not
    /// answer, or the receiver is gone.
    pub async fn dump(&self, items: mpsc::Sender<Item>) -> Result<(), StoreError> {
        self.transfer.dump(items).await
    }
}

/// An export on its way into an empty store, which nobody else can open before it is finished.
#[derive(Debug)]
pub struct Import {
    store: Store,
    place: Place,
}

/// Where what has come in becomes a store.
#[derive(Debug)]
enum Place {
    /// The files are made here and moved there.
    Directory { making: PathBuf, target: PathBuf },
    /// A note keeps everybody out.
    Noted,
}

impl Import {
    /// Begins to put the export with this digest into the store at `location`, or goes on with it
    /// where that was broken off.
    ///
    /// # Errors
    /// `Settings` where something is kept there already, and as [`Store::open`].
    pub async fn begin(
        location: &Location,
        clock: Clock,
        options: &Options,
        export: Hash,
    ) -> Result<Self, StoreError> {
        if let Location::Embedded(target) = location {
            return Self::begin_in(target, clock, options).await;
        }
        let store = open::open_unchecked(location, clock, options).await?;
        let export = export.to_string();
        match store.transfer.unfinished_import().await? {
            Some(other) if other != export => Err(StoreError::Settings(format!(
                "another export, {other}, is half imported into {location}: finish that one, or \
                 empty the store"
            ))),
            Some(_) => Ok(Self { store, place: Place::Noted }),
            None if store.transfer.is_empty().await? => {
                store.transfer.note_import(Some(&export)).await?;
                Ok(Self { store, place: Place::Noted })
            }
            None => Err(not_empty(location)),
        }
    }

    async fn begin_in(target: &Path, clock: Clock, options: &Options) -> Result<Self, StoreError> {
        if EmbeddedStore::is_in(target) {
            return Err(not_empty(&Location::Embedded(target.to_owned())));
        }
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(".importing");
        let making = target.with_file_name(name);
        if making.exists() {
            // Broken off, and of no use to anybody: made anew from the export.
            std::fs::remove_dir_all(&making).map_err(|error| unusable(&making, &error))?;
        }
        let location = Location::Embedded(making.clone());
        let store = open::open_unchecked(&location, clock, options).await?;
        Ok(Self { store, place: Place::Directory { making, target: target.to_owned() } })
    }

    /// Puts items in, and returns when they are as durable as everything is. May be repeated.
    ///
    /// # Errors
    /// `Corrupt` where a stream already has another record; `Unavailable` where the store does not
    /// answer.
    pub async fn load(&self, items: Vec<Item>) -> Result<(), StoreError> {
        self.store.transfer.load(items).await
    }

    /// What has come in so far, to be verified.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Makes it a store like any other.
    ///
    /// # Errors
    /// `Unavailable` where the store does not answer; `Settings` where files cannot be moved.
    pub async fn finish(self) -> Result<(), StoreError> {
        match self.place {
            Place::Noted => self.store.transfer.note_import(None).await,
            Place::Directory { making, target } => {
                drop(self.store); // Closes the files.
                EmbeddedStore::move_files(&making, &target)
                    .map_err(|error| unusable(&target, &error))
            }
        }
    }
}

fn not_empty(location: &Location) -> StoreError {
    StoreError::Settings(format!("{location} is not empty: an import goes into a new store only"))
}

fn unusable(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Settings(format!("{}: {error}", path.display()))
}

/// What to say of a store that an import has not filled yet.
pub(crate) fn half_imported(location: &Location, export: &str) -> StoreError {
    StoreError::Settings(format!(
        "{location} is half filled by an import of export {export}: run `softlaunch store import` \
         again, it goes on where it was broken off"
    ))
}
