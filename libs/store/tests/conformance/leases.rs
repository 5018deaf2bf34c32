//! Leases: one holder at a time, and a fence that rises.

use std::time::Duration;

use test_kit::eventually;
use tokio::task::JoinSet;

use crate::site::Site;

const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(50);

on_every_store!(
    of_racing_holders_one_gets_the_lease,
    a_renewal_keeps_the_fence_and_a_new_holder_raises_it,
    a_lease_that_ran_out_can_be_taken,
    only_the_holder_can_give_a_lease_up,
    a_fence_outlives_the_store,
);

async fn of_racing_holders_one_gets_the_lease(site: &Site) {
    let leases = site.open().await.leases;
    let mut racers = JoinSet::new();
    for index in 0..16 {
        let leases = leases.clone();
        racers.spawn(async move {
            leases.acquire("delivery", &format!("h{index}"), LONG).await.unwrap()
        });
    }
    assert_eq!(racers.join_all().await.iter().flatten().count(), 1);
}

async fn a_renewal_keeps_the_fence_and_a_new_holder_raises_it(site: &Site) {
    let leases = site.open().await.leases;
    let first = leases.acquire("delivery", "a", LONG).await.unwrap().unwrap();
    assert_eq!(leases.acquire("delivery", "a", LONG).await.unwrap(), Some(first.clone()));
    assert_eq!(leases.acquire("delivery", "b", LONG).await.unwrap(), None);
    leases.release(&first).await.unwrap();
    let second = leases.acquire("delivery", "b", LONG).await.unwrap().unwrap();
    assert!(second.fence > first.fence, "{first:?} {second:?}");
    assert!(leases.acquire("other", "a", LONG).await.unwrap().is_some());
}

async fn a_lease_that_ran_out_can_be_taken(site: &Site) {
    let leases = site.open().await.leases;
    let first = leases.acquire("delivery", "a", SHORT).await.unwrap().unwrap();
    let second = eventually("the lease runs out", async || {
        leases.acquire("delivery", "b", LONG).await.unwrap()
    })
    .await;
    assert!(second.fence > first.fence, "{first:?} {second:?}");
}

async fn only_the_holder_can_give_a_lease_up(site: &Site) {
    let leases = site.open().await.leases;
    let first = leases.acquire("delivery", "a", LONG).await.unwrap().unwrap();
    leases.release(&first).await.unwrap();
    let second = leases.acquire("delivery", "a", LONG).await.unwrap().unwrap();
    leases.release(&first).await.unwrap(); // A fence too late.
    assert_eq!(leases.acquire("delivery", "b", LONG).await.unwrap(), None);
    leases.release(&second).await.unwrap();
    assert!(leases.acquire("delivery", "b", LONG).await.unwrap().is_some());
}

async fn a_fence_outlives_the_store(site: &Site) {
    let store = site.open().await;
    let first = store.leases.acquire("delivery", "a", LONG).await.unwrap().unwrap();
    store.leases.release(&first).await.unwrap();
    drop(store);
    let leases = site.open().await.leases;
    let second = leases.acquire("delivery", "b", LONG).await.unwrap().unwrap();
    assert!(second.fence > first.fence, "{first:?} {second:?}");
}
