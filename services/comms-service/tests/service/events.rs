//! Which events of other services are told, and to whom.

use contracts::comms as pb;
use contracts::comms::message::State;

use crate::site::{ROLLOUT, Site, within};

#[tokio::test]
async fn a_kill_is_told_to_those_of_the_pipelines_plan() {
    let site = Site::new().await;
    let running = site.start().await;
    site.create_rollout();
    site.enter_phase("P1");
    running.reaches("slack-engineering", State::Sent).await; // The plan is known.
    site.engage("ingestion_v2", false);
    let posts = within("Slack has it", site.incidents.wait_for(1)).await;
    assert!(posts[0].text.contains("kill switch engaged for all of ingestion_v2"), "{posts:?}");
    assert!(posts[0].text.contains("Reason: bad data"), "{posts:?}");
    let message = running.reaches("slack-incidents", State::Sent).await;
    assert_eq!((message.event.as_str(), message.rollout.as_str()), ("incident", ROLLOUT));
}

#[tokio::test]
async fn a_kill_read_before_its_plan_is_told_once_the_plan_is_known() {
    let site = Site::new().await;
    site.create_rollout();
    site.engage("ingestion_v2", false);
    site.fakes.plan_refusals.store(3, std::sync::atomic::Ordering::Relaxed);
    let running = site.start().await;
    running.reaches("slack-incidents", State::Sent).await;
    assert_eq!(site.incidents.posts().len(), 1);
    assert!(site.fakes.switches.cursors().len() > 1, "the kill was not read before the plan");
}

#[tokio::test]
async fn a_drill_and_the_kill_of_a_stranger_are_told_nobody_and_stop_nothing() {
    let site = Site::new().await;
    let running = site.start().await;
    site.create_rollout();
    site.enter_phase("P1");
    running.reaches("slack-engineering", State::Sent).await;
    site.engage("ingestion_v2", true);
    site.engage("strange", false);
    site.engage("ingestion_v2", false);
    let message = running.reaches("slack-incidents", State::Sent).await;
    assert!(message.name.contains("killswitch-3"), "{}", message.name);
    assert_eq!(site.incidents.posts().len(), 1);
}

#[tokio::test]
async fn a_watcher_sees_every_message_on_every_change_from_its_cursor_on() {
    let site = Site::new().await;
    let mut running = site.start().await;
    let watch = pb::WatchMessagesRequest { after_revision: 0 };
    let mut watched = running.client.watch_messages(watch).await.unwrap().into_inner();
    site.create_rollout();
    site.enter_phase("P1");
    let mut sent = std::collections::BTreeSet::new();
    let mut revision = 0;
    while sent.len() < 2 {
        let next = within("a change is seen", watched.message()).await.unwrap().unwrap();
        let message = next.message.unwrap();
        assert!(message.revision >= revision, "{} after {revision}", message.revision);
        revision = message.revision;
        if message.state() == State::Sent {
            sent.insert(message.channel);
        }
    }
    let watch = pb::WatchMessagesRequest { after_revision: revision - 1 };
    let mut late = running.client.watch_messages(watch).await.unwrap().into_inner();
    let next = within("the last is seen", late.message()).await.unwrap().unwrap();
    assert_eq!(next.message.unwrap().revision, revision);
}
