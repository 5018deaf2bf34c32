//! The two files of a store as they are on disk at a moment, and what a store made of them knows.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use store::{
    Append, AppendError, Batch, BatchId, Bucket, Change, Draft, Hash, Head, Location, Reading,
    Record, RequestKey, Scope, Store, StoreError, StreamName, Window,
};
use tempfile::TempDir;
use test_kit::rounds;
use vocab::{Actor, Timestamp};

const DATABASE: &str = "store.redb";
const LOG: &str = "store.wal";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MINUTE: Duration = Duration::from_secs(60);

/// What is in the files, byte by byte.
#[derive(Clone, PartialEq)]
pub(crate) struct Image {
    pub(crate) database: Vec<u8>,
    pub(crate) log: Vec<u8>,
}

impl Image {
    pub(crate) fn of(dir: &Path) -> Self {
        let read = |name| std::fs::read(dir.join(name)).unwrap();
        Self { database: read(DATABASE), log: read(LOG) }
    }

    /// Writes the files into a directory of their own. Zeros at the end of the log are left out:
    /// the file system makes them.
    pub(crate) fn put(&self) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(DATABASE), &self.database).unwrap();
        let used = self.log.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let log = std::fs::File::create(dir.path().join(LOG)).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&log, &self.log[..used], 0).unwrap();
        log.set_len(self.log.len() as u64).unwrap();
        dir
    }

    /// The log with all after byte `cut` as `later` has it still to come.
    pub(crate) fn cut_short(&self, later: &Self, cut: usize) -> Self {
        let mut torn = self.clone();
        torn.log[..cut].copy_from_slice(&later.log[..cut]);
        torn
    }

    /// Where the logs differ: from the first byte to behind the last.
    pub(crate) fn difference(&self, later: &Self) -> Range<usize> {
        let differs = |at: &usize| self.log[*at] != later.log[*at];
        let first = (0..self.log.len()).find(differs).unwrap();
        let last = (0..self.log.len()).rfind(differs).unwrap();
        first..last + 1
    }
}

/// Everything a store says it has.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Contents {
    pub(crate) records: Vec<Record>,
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) gauges: BTreeMap<String, Reading>,
}

fn scope() -> Scope {
    Scope::new("ingestion_v2").unwrap()
}

pub(crate) fn stream() -> StreamName {
    StreamName::new("rollout").unwrap()
}

fn at() -> Timestamp {
    Timestamp::from_millis(1_790_000_040_000)
}

/// Opens a store without waiting for anybody.
pub(crate) async fn open(dir: &Path) -> Result<Store, StoreError> {
    Store::open(&Location::Embedded(dir.to_owned()), Arc::new(at)).await
}

/// Reads all that [`step`] writes.
pub(crate) async fn contents(store: &Store) -> Result<Contents, StoreError> {
    let window = Window { series: "m".to_owned(), from: at(), to: at().plus(DAY), width: DAY };
    Ok(Contents {
        records: store.journal.read(&stream(), 0, 10_000).await?,
        counts: store.counters.sum(&scope(), &window).await?,
        gauges: store.counters.gauges(&scope()).await?,
    })
}

/// Step `nth` of a story: an event with a request, or every third time a batch of counts.
pub(crate) async fn step(store: &Store, nth: u64) {
    try_step(store, nth).await.unwrap();
}

/// As [`step`], and says where the store refused.
pub(crate) async fn try_step(store: &Store, nth: u64) -> Result<(), StoreError> {
    if nth % 3 == 2 {
        let bucket = Bucket { series: "m".to_owned(), start: at(), keep: DAY };
        let id = BatchId::new(&format!("batch-{nth}")).unwrap();
        let changes = vec![
            Change::add(bucket, format!("field-{}", nth % 7), nth),
            Change::Set { gauge: "backlog".to_owned(), value: 5, at: at().plus(MINUTE) },
        ];
        let batch = Batch { id, contents: Hash::of(b"contents") };
        return store.counters.add(&scope(), &batch, DAY, changes).await.map(drop);
    }
    let head = store.journal.head(&stream()).await?;
    match store.journal.append(&stream(), &event(head, nth)).await {
        Ok(_appended) => Ok(()),
        Err(AppendError::Store(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

fn event(expected: Head, nth: u64) -> Append {
    let payload = format!("event {nth} ").repeat(12).into_bytes();
    Append {
        expected,
        time: at(),
        actor: Actor::system("test"),
        reason: "because".to_owned(),
        traceparent: String::new(),
        request: Some(RequestKey { id: format!("r{nth}"), digest: Hash::of(b"contents") }),
        drafts: vec![Draft { kind: "SomethingHappened".to_owned(), payload }],
    }
}

/// The files and the contents after each of these steps, with the store open all the time: what
/// a process leaves that is killed right then.
pub(crate) async fn story(dir: &Path, steps: Range<u64>) -> Vec<(Image, Contents)> {
    let store = open(dir).await.unwrap();
    let mut images = Vec::new();
    for nth in steps {
        step(&store, nth).await;
        images.push((Image::of(dir), contents(&store).await.unwrap()));
    }
    images
}

/// Some `count` of the places, spread over all of them; more in the long form.
pub(crate) fn some_of(places: Range<usize>, count: usize) -> Vec<usize> {
    let stride = (places.len() / rounds(count)).max(1) | 1; // Odd: meets every place of a word.
    places.step_by(stride).collect()
}

/// Appends one more event, to show that the store works.
pub(crate) async fn goes_on(store: &Store) {
    let head = store.journal.head(&stream()).await.unwrap();
    store.journal.append(&stream(), &event(head, 1_000_000)).await.unwrap();
}
