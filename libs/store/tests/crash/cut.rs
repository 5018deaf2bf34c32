//! A process or a machine that stops in the middle of a write.

use std::ops::Range;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use test_kit::rounds;
use tokio::runtime::Handle;

use crate::image::{Contents, Image, contents, goes_on, open, some_of, step, story};

const BLOCK: usize = 512;

/// Groups between two checkpoints; see `committer`.
const UNTIL_CHECKPOINT: u64 = 256;

#[tokio::test(flavor = "multi_thread")]
async fn a_group_cut_short_at_any_byte_is_wholly_there_or_not_and_the_ones_before_are() {
    let dir = tempfile::tempdir().unwrap();
    let images = story(dir.path(), 0..6).await;
    let mut whole = 0;
    let mut cuts = 0;
    for pair in images.windows(2) {
        let [(before, known), (after, more)] = pair else { panic!("a window of two") };
        for cut in some_of(before.difference(after), 16) {
            let found = opened(&before.cut_short(after, cut)).await;
            assert!(found == *known || found == *more, "cut at {cut}");
            whole += usize::from(found == *more);
            cuts += 1;
        }
        let found = opened(after).await;
        assert_eq!(found, *more, "what was acknowledged is there");
    }
    assert!(whole > 0 && whole < cuts, "{whole} of {cuts}: both outcomes were seen");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_very_first_write_cut_short_leaves_an_empty_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    let (before, nothing) = (Image::of(dir.path()), contents(&store).await.unwrap());
    step(&store, 0).await;
    let (after, one) = (Image::of(dir.path()), contents(&store).await.unwrap());
    for cut in some_of(before.difference(&after), 24) {
        let found = opened(&before.cut_short(&after, cut)).await;
        assert!(found == nothing || found == one, "cut at {cut}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_that_the_database_was_spared_survive_a_kill_and_count_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    let batches = || (2..).step_by(3).take(150); // More than are put off at a time.
    for nth in batches() {
        step(&store, nth).await;
    }
    let killed = Image::of(dir.path());
    let known = contents(&store).await.unwrap();
    assert_eq!(known.counts.values().sum::<u64>(), batches().sum::<u64>());
    let dir = killed.put();
    let store = open(dir.path()).await.unwrap();
    assert_eq!(contents(&store).await.unwrap(), known);
    for nth in batches() {
        step(&store, nth).await;
    }
    assert_eq!(contents(&store).await.unwrap(), known, "sent again, they are known");
}

/// Blocks reach the disk in any order, and some not at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_of_which_any_part_is_on_disk_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    let mut nth = 0;
    // The store was opened with an empty log: group 1 is the first in it.
    while nth < UNTIL_CHECKPOINT {
        step(&store, nth).await;
        nth += 1;
    }
    let (before, known) = (Image::of(dir.path()), contents(&store).await.unwrap());
    step(&store, nth).await;
    let (after, more) = (Image::of(dir.path()), contents(&store).await.unwrap());
    assert!(before.log == after.log, "this group went to the database itself");
    let changed = changed_blocks(&before.database, &after.database);
    assert!(changed.len() > 5, "{} blocks", changed.len());

    let cases = u32::try_from(rounds(24)).unwrap();
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let on_disk = prop::collection::vec(any::<bool>(), changed.len());
    let check = |on_disk: Vec<bool>| {
        let mut image = before.clone();
        image.database.resize(after.database.len(), 0);
        for (block, there) in changed.iter().zip(on_disk) {
            if there {
                image.database[block.clone()].copy_from_slice(&after.database[block.clone()]);
            }
        }
        let found = tokio::task::block_in_place(|| Handle::current().block_on(opened(&image)));
        prop_assert!(found == known || found == more);
        Ok(())
    };
    TestRunner::new(config).run(&on_disk, check).unwrap();
}

fn changed_blocks(before: &[u8], after: &[u8]) -> Vec<Range<usize>> {
    let blocks = (0..after.len()).step_by(BLOCK).map(|at| at..(at + BLOCK).min(after.len()));
    blocks.filter(|block| before.get(block.clone()) != after.get(block.clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_killed_while_it_recovers_recovers_again() {
    let dir = tempfile::tempdir().unwrap();
    let images = story(dir.path(), 0..9).await;
    let (image, known) = images.last().unwrap();
    let again = image.put();
    let store = open(again.path()).await.unwrap(); // Recovered, and never closed:
    let killed = Image::of(again.path());
    assert_eq!(contents(&store).await.unwrap(), *known);
    goes_on(&store).await;
    drop(store);
    assert_eq!(opened(&killed).await, *known);
}

/// What a store opened on these files says, that then goes on, is closed, and says it again.
async fn opened(image: &Image) -> Contents {
    let dir = image.put();
    let store = open(dir.path()).await.unwrap();
    let found = contents(&store).await.unwrap();
    goes_on(&store).await;
    drop(store);
    let store = open(dir.path()).await.unwrap();
    let later = contents(&store).await.unwrap();
    assert_eq!(later.records[..found.records.len()], found.records);
    assert_eq!(later.records.len(), found.records.len() + 1);
    found
}
