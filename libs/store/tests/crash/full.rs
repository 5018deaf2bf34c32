//! A disk without room.

use store::StoreError;
use test_kit::{SmallDisk, eventually};

use crate::image::{contents, goes_on, open, try_step};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_everything_acknowledged_before_is_kept() {
    let Some(disk) = SmallDisk::mount("24m") else { return };
    let dir = disk.path().join("store");
    let store = open(&dir).await.unwrap();
    let mut acknowledged = 0;
    for nth in 0..100 {
        try_step(&store, nth).await.unwrap();
        acknowledged += u64::from(nth % 3 != 2);
    }
    disk.fill();
    // The log has its room already: it is the database that finds none, at a checkpoint.
    let mut nth = 100;
    let refused = loop {
        match try_step(&store, nth).await {
            Ok(()) => acknowledged += u64::from(nth % 3 != 2),
            Err(refused) => break refused,
        }
        nth += 1;
        assert!(nth < 100_000, "nobody noticed that the disk is full");
    };
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    let again = try_step(&store, nth).await.unwrap_err();
    assert!(matches!(again, StoreError::Unavailable(_)), "{again:?}");
    drop(store);

    disk.free();
    let store = eventually("the store opens", async || open(&dir).await.ok()).await;
    let found = contents(&store).await.unwrap().records.len() as u64;
    // The one that was refused may have been in the log already.
    assert!((acknowledged..=acknowledged + 1).contains(&found), "{found} of {acknowledged}");
    goes_on(&store).await;
}
