//! A replica whose store no longer holds what was seen of it says so, and neither goes back nor on.

use store::Condition;
use test_kit::eventually;

use crate::replica::{replica, say};
use crate::site::{Site, append_at, connect, fill, stream};

const KEY: &str = "{softlaunch:rollout}:journal";

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_cut_short_raises_the_alarm_until_it_is_back() {
    let mut site = Site::redis().await;
    let store = site.open().await;
    let replica = replica(&store).await;
    say(&replica, "one").await.unwrap();
    say(&replica, "two").await.unwrap();
    let mut redis = connect(site.server()).await;
    let kept: Vec<u8> = redis::cmd("DUMP").arg(KEY).query_async(&mut redis).await.unwrap();

    let () = redis::cmd("DEL").arg(KEY).query_async(&mut redis).await.unwrap();
    let raised = eventually("the alarm is raised", async || match replica.condition() {
        Condition::DataLost(why) => Some(why),
        Condition::Following | Condition::Stale(_) => None,
    })
    .await;
    assert!(raised.contains("stream rollout is at version 0, 2 was seen before"), "{raised}");
    assert!(!replica.is_connected());
    assert_eq!(replica.snapshot().state.0, ["one", "two"]);
    let refused = say(&replica, "three").await.unwrap_err();
    assert!(refused.to_string().contains("lost data"), "{refused}");

    let mut restore = redis::cmd("RESTORE");
    let () = restore.arg(KEY).arg(0).arg(kept).query_async(&mut redis).await.unwrap();
    eventually("the alarm is over", async || replica.condition() == Condition::Following).await;
    say(&replica, "three").await.unwrap();
    assert_eq!(replica.snapshot().state.0, ["one", "two", "three"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_grew_again_with_other_records_is_not_taken_for_the_one_seen() {
    let mut site = Site::redis().await;
    let store = site.open().await;
    let replica = replica(&store).await;
    say(&replica, "one").await.unwrap();
    say(&replica, "two").await.unwrap();
    let mut redis = connect(site.server()).await;
    for length in [2, 5] {
        let mut both = redis::pipe();
        let () = both.cmd("DEL").arg(KEY).query_async(&mut redis).await.unwrap();
        fill(&*store.journal, length).await;
        let refused = say(&replica, "three").await.unwrap_err();
        assert!(refused.to_string().contains("record 2 of stream rollout is not the one"));
        assert!(matches!(replica.condition(), Condition::DataLost(_)));
        assert_eq!(replica.snapshot().state.0, ["one", "two"]);
    }
    append_at(&*store.journal, &stream(), 5, 1).await.unwrap();
}
