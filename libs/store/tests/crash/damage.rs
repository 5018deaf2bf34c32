//! A byte that is not what was written is found, and said, and not served.

use store::{Store, StoreError};

use crate::image::{Contents, Image, contents, open, some_of, story};

/// What came of opening a store with one byte changed.
#[derive(Debug, Default)]
struct Tally {
    refused: usize,
    whole: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_flipped_in_the_log_of_a_killed_process_is_refused_or_mended() {
    let dir = tempfile::tempdir().unwrap();
    let images = story(dir.path(), 0..8).await;
    let (image, known) = images.last().unwrap();
    let used = image.log.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let mut tally = Tally::default();
    for at in some_of(0..used, 90) {
        let mut damaged = image.clone();
        damaged.log[at] ^= 0x10;
        tally.take(&damaged, known, at).await;
    }
    assert!(tally.whole > 0, "{tally:?}: one whole copy of two is enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_flipped_in_the_database_is_refused_or_was_of_no_use() {
    let dir = tempfile::tempdir().unwrap();
    let images = story(dir.path(), 0..40).await;
    let known = &images.last().unwrap().1;
    let image = Image::of(dir.path()); // Closed by now: the log is of no help.
    let mut tally = Tally::default();
    let header = some_of(0..512, 64);
    for at in header.into_iter().chain(some_of(512..image.database.len(), 90)) {
        let mut damaged = image.clone();
        damaged.database[at] ^= 0x01;
        tally.take(&damaged, known, at).await;
    }
    assert!(tally.refused > 10, "{tally:?}: some bytes were of use");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_replaced_by_an_older_copy_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(story(dir.path(), 0..3).await);
    let older = Image::of(dir.path());
    drop(story(dir.path(), 3..6).await);
    let newer = Image::of(dir.path());
    let mixed = Image { database: older.database, log: newer.log };
    let refused = open(mixed.put().path()).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Corrupt(_)), "{refused:?}");
    assert!(refused.to_string().contains("it went back"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_cut_short_by_somebody_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let images = story(dir.path(), 0..8).await;
    let killed = images.last().unwrap().0.put();
    let log = std::fs::OpenOptions::new().write(true).open(killed.path().join("store.wal"));
    log.unwrap().set_len(4_096).unwrap();
    let refused = open(killed.path()).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Corrupt(_)), "{refused:?}");
    assert!(refused.to_string().contains("cut short"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_its_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(story(dir.path(), 0..3).await);
    std::fs::remove_file(dir.path().join("store.wal")).unwrap();
    let refused = open(dir.path()).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Corrupt(_)), "{refused:?}");
    assert!(refused.to_string().contains("store.wal is missing"), "{refused}");
}

impl Tally {
    /// Opens `damaged`: it is refused as corrupt, or has all that is `known`.
    async fn take(&mut self, damaged: &Image, known: &Contents, at: usize) {
        let dir = damaged.put();
        let opened: Result<Store, StoreError> = open(dir.path()).await;
        let found = match &opened {
            Ok(store) => contents(store).await,
            Err(error) => Err(error.clone()),
        };
        match found {
            Ok(found) => {
                assert_eq!(found, *known, "byte {at} was served");
                self.whole += 1;
            }
            Err(StoreError::Corrupt(_) | StoreError::Settings(_)) => self.refused += 1,
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
}
