//! The stream of the ruleset: a snapshot, changes in order, signs of life; and slow readers.

use std::time::Duration;

use contracts::flag as pb;
use contracts::flag::watch_ruleset_response::Update;
use tonic::{Code, Streaming};

use crate::site::{Site, ada, refused, share};

async fn watch(site: &Site, after_revision: i64) -> Streaming<pb::WatchRulesetResponse> {
    let request = pb::WatchRulesetRequest { after_revision };
    site.evaluations().watch_ruleset(request).await.unwrap().into_inner()
}

async fn next(stream: &mut Streaming<pb::WatchRulesetResponse>) -> Update {
    let message = tokio::time::timeout(Duration::from_secs(60), stream.message()).await;
    message.expect("the stream goes on").unwrap().unwrap().update.unwrap()
}

/// The next that is no sign of life.
async fn news(stream: &mut Streaming<pb::WatchRulesetResponse>) -> Update {
    loop {
        let found = next(stream).await;
        if !matches!(found, Update::Heartbeat(_)) {
            return found;
        }
    }
}

async fn update(site: &Site, flag: pb::Flag, denylist: Vec<String>) -> pb::Flag {
    let mut flag = flag;
    flag.definition.as_mut().unwrap().denylist = denylist;
    let reason = "for a test".to_owned();
    let request = pb::UpdateFlagRequest { flag: Some(flag), reason, ..Default::default() };
    site.flags().update_flag(ada(request)).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_gets_a_snapshot_then_changes_in_order_and_signs_of_life() {
    let site = Site::start().await;
    let first = site.create("first", share(100)).await;
    let mut stream = watch(&site, 0).await;
    let Update::Snapshot(snapshot) = next(&mut stream).await else { panic!("a snapshot first") };
    assert_eq!((snapshot.revision, snapshot.flags.len(), snapshot.more), (1, 1, false));
    assert_eq!(snapshot.history.len(), 64);
    let Update::Heartbeat(beat) = next(&mut stream).await else { panic!("nothing has changed") };
    assert_eq!((beat.revision, beat.stale), (1, false));
    update(&site, first.clone(), vec!["ws-1".to_owned()]).await;
    site.create("second", share(100)).await;
    let request = pb::DeleteFlagRequest {
        name: "flags/first".to_owned(),
        reason: "done".to_owned(),
        ..Default::default()
    };
    site.flags().delete_flag(ada(request)).await.unwrap();
    let mut seen: Vec<(i64, String, bool)> = Vec::new();
    while seen.last().is_none_or(|(revision, ..)| *revision < 4) {
        let Update::Change(flag) = news(&mut stream).await else { panic!("one change at a time") };
        seen.push((flag.revision, flag.name, flag.delete_time.is_some()));
    }
    assert!(seen.is_sorted_by_key(|(revision, ..)| *revision), "{seen:?}");
    assert!(seen.contains(&(3, "flags/second".to_owned(), false)));
    assert_eq!(seen.last().unwrap(), &(4, "flags/first".to_owned(), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_comes_back_gets_what_it_missed_and_one_from_another_history_everything() {
    let site = Site::start().await;
    site.create("first", share(100)).await;
    site.create("second", share(100)).await;
    let mut behind = watch(&site, 1).await;
    let Update::Change(flag) = next(&mut behind).await else { panic!("what it missed") };
    assert_eq!((flag.name.as_str(), flag.revision), ("flags/second", 2));
    let mut current = watch(&site, 2).await;
    assert!(matches!(next(&mut current).await, Update::Heartbeat(beat) if beat.revision == 2));
    let mut elsewhere = watch(&site, 99).await;
    assert!(matches!(next(&mut elsewhere).await, Update::Snapshot(all) if all.flags.len() == 2));
    let negative = pb::WatchRulesetRequest { after_revision: -1 };
    let negative = site.evaluations().watch_ruleset(negative).await.map(drop);
    refused(negative, (Code::InvalidArgument, "FIELD_INVALID"), "after_revision");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_reads_too_slowly_begins_again_with_a_snapshot() {
    let site = Site::start().await;
    let mut flag = site.create("busy", share(100)).await;
    let mut stream = watch(&site, 0).await;
    assert!(matches!(next(&mut stream).await, Update::Snapshot(_)));
    // Far more than the connection buffers and the ring holds, while nobody reads.
    let large: Vec<_> =
        (0..2_000).map(|n| format!("some-workspace-with-a-long-name-{n}")).collect();
    for n in 0..250 {
        let mut list = large.clone();
        list.push(format!("ws-{n}"));
        flag = update(&site, flag, list).await;
    }
    let mut last = 1;
    let mut snapshots = 0;
    while last < flag.revision {
        match next(&mut stream).await {
            Update::Snapshot(snapshot) => {
                snapshots += 1;
                assert!(snapshot.revision >= last);
                last = snapshot.revision;
            }
            Update::Change(changed) => {
                assert!(changed.revision > last, "{} after {last}", changed.revision);
                last = changed.revision;
            }
            Update::Heartbeat(beat) => assert!(beat.revision >= last),
        }
    }
    assert!(snapshots >= 1, "it kept up with everything: nothing was tested");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ruleset_larger_than_a_message_comes_in_parts() {
    let site = Site::start().await;
    for id in ["a", "b", "c", "d"] {
        let denylist = (0..30_000).map(|n| format!("some-workspace-{id}-{n}")).collect();
        site.create(id, pb::FlagDefinition { denylist, ..share(100) }).await;
    }
    let mut stream = watch(&site, 0).await;
    let (mut flags, mut parts) = (Vec::new(), 0);
    loop {
        let Update::Snapshot(part) = next(&mut stream).await else { panic!("a snapshot first") };
        assert_eq!(part.revision, 4);
        flags.extend(part.flags.into_iter().map(|flag| flag.name));
        parts += 1;
        if !part.more {
            break;
        }
    }
    assert_eq!(flags, ["flags/a", "flags/b", "flags/c", "flags/d"]);
    assert!(parts > 1);
}
