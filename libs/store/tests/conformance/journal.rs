//! Streams: exact versions, chained records, harmless repetition, waiting.

use std::time::Duration;

use store::{AppendError, Appended, Head, StoreError};
use tokio::task::JoinSet;

use crate::site::{Site, append, append_at, fill, head_at, request, stream};

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(50);

on_every_store!(
    an_append_behind_another_version_than_the_head_is_refused_and_changes_nothing,
    of_racing_appenders_at_most_one_wins_each_version,
    records_are_numbered_without_gaps_and_each_holds_the_hash_of_the_one_before,
    a_changed_byte_is_found,
    a_repeated_request_is_answered_with_its_first_records,
    that_there_was_nothing_to_do_is_an_answer_too,
    an_append_behind_another_record_of_the_same_version_tells_of_lost_data,
    a_request_id_with_other_contents_is_refused,
    a_request_raced_by_itself_is_carried_out_once,
    pages_follow_each_other_and_end,
    an_append_of_nothing_or_too_much_is_refused,
    streams_are_apart,
    waiting_ends_when_something_is_appended,
    waiting_ends_when_patience_does,
    waiting_past_the_end_tells_of_lost_data,
    waiting_delays_nobody,
);

async fn an_append_behind_another_version_than_the_head_is_refused_and_changes_nothing(
    site: &Site,
) {
    let journal = site.open().await.journal;
    fill(&*journal, 2).await;
    let head = journal.head(&stream()).await.unwrap();
    for wrong in [0, 1, 3, 7] {
        let refused = append_at(&*journal, &stream(), wrong, 2).await;
        assert!(
            matches!(&refused, Err(AppendError::Conflict { expected, actual: 2 }) if *expected == wrong),
            "{refused:?}"
        );
    }
    assert_eq!(journal.head(&stream()).await.unwrap(), head);
    assert_eq!(head.version, 2);
}

async fn of_racing_appenders_at_most_one_wins_each_version(site: &Site) {
    let journal = site.open().await.journal;
    let mut racers = JoinSet::new();
    for _racer in 0..16 {
        let journal = journal.clone();
        racers.spawn(async move {
            let mut won = 0;
            for version in 0..10 {
                match append_at(&*journal, &stream(), version, 1).await {
                    Ok(appended) => {
                        assert_eq!(appended.records[0].version, version + 1);
                        won += 1;
                    }
                    Err(AppendError::Conflict { .. }) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            won
        });
    }
    let won: u64 = racers.join_all().await.into_iter().sum();
    assert_eq!(won, journal.head(&stream()).await.unwrap().version);
    assert_eq!(journal.read(&stream(), 0, 100).await.unwrap().len() as u64, won);
    assert!((1..=10).contains(&won), "{won}");
}

async fn records_are_numbered_without_gaps_and_each_holds_the_hash_of_the_one_before(site: &Site) {
    let journal = site.open().await.journal;
    let mut written = append_at(&*journal, &stream(), 0, 3).await.unwrap().records;
    written.extend(append_at(&*journal, &stream(), 3, 2).await.unwrap().records);
    let read = journal.read(&stream(), 0, 100).await.unwrap();
    assert_eq!(read, written);
    let mut last = Head::default();
    for record in &read {
        assert_eq!((record.version, record.previous), (last.version + 1, last.hash));
        assert_eq!(record.hash, record.expected_hash());
        last = Head { version: record.version, hash: record.hash };
    }
    assert_eq!(journal.head(&stream()).await.unwrap(), last);
    assert_eq!(last.version, 5);
}

async fn a_changed_byte_is_found(site: &Site) {
    let store = site.open().await;
    fill(&*store.journal, 3).await;
    drop(store);
    site.tamper(&stream(), 2).await;
    let journal = site.open().await.journal;
    let read = journal.read(&stream(), 0, 100).await;
    assert!(matches!(read, Err(StoreError::Corrupt(_))), "{read:?}");
    assert_eq!(journal.head(&stream()).await.unwrap().version, 3);
}

async fn a_repeated_request_is_answered_with_its_first_records(site: &Site) {
    let store = site.open().await;
    let mut first = append(Head::default(), 2);
    first.request = Some(request("r1", "contents"));
    let answer = store.journal.append(&stream(), &first).await.unwrap();
    assert!(!answer.repeated);
    append_at(&*store.journal, &stream(), 2, 1).await.unwrap();
    drop(store);

    let journal = site.open().await.journal;
    let first_answer = Appended { repeated: true, ..answer };
    for version in [0, 2, 3, 9] {
        let expected = head_at(&*journal, &stream(), version).await;
        let again = store::Append { expected, ..first.clone() };
        assert_eq!(journal.append(&stream(), &again).await.unwrap(), first_answer);
    }
    let found = journal.find(&stream(), &request("r1", "contents")).await.unwrap();
    assert_eq!(found, Some(first_answer));
    assert_eq!(journal.find(&stream(), &request("r2", "contents")).await.unwrap(), None);
    assert_eq!(journal.head(&stream()).await.unwrap().version, 3);
}

async fn that_there_was_nothing_to_do_is_an_answer_too(site: &Site) {
    let journal = site.open().await.journal;
    let mut nothing = append(Head::default(), 0);
    nothing.request = Some(request("r1", "contents"));
    for (before, after) in [(0, 0), (2, 2)] {
        fill(&*journal, before).await;
        nothing.request = Some(request(&format!("r{before}"), "contents"));
        nothing.expected = journal.head(&stream()).await.unwrap();
        let first = journal.append(&stream(), &nothing).await.unwrap();
        assert_eq!(first, Appended { version: after, records: Vec::new(), repeated: false });
    }
    append_at(&*journal, &stream(), 2, 1).await.unwrap();
    let mut late = nothing.clone();
    late.request = Some(request("r9", "contents"));
    let refused = journal.append(&stream(), &late).await;
    assert!(matches!(refused, Err(AppendError::Conflict { actual: 3, .. })), "{refused:?}");
    let again = journal.append(&stream(), &nothing).await.unwrap();
    assert_eq!(again, Appended { version: 2, records: Vec::new(), repeated: true });
}

async fn an_append_behind_another_record_of_the_same_version_tells_of_lost_data(site: &Site) {
    let journal = site.open().await.journal;
    fill(&*journal, 2).await;
    let elsewhere = Head { version: 2, hash: store::Hash::of(b"another history") };
    let diverged = journal.append(&stream(), &append(elsewhere, 1)).await;
    assert!(
        matches!(diverged, Err(AppendError::Store(StoreError::Diverged { version: 2, .. }))),
        "{diverged:?}"
    );
    let diverged = journal.wait(&stream(), elsewhere, SHORT).await;
    assert!(matches!(diverged, Err(StoreError::Diverged { version: 2, .. })), "{diverged:?}");
    assert_eq!(journal.head(&stream()).await.unwrap().version, 2);
}

async fn a_request_id_with_other_contents_is_refused(site: &Site) {
    let journal = site.open().await.journal;
    let mut first = append(Head::default(), 1);
    first.request = Some(request("r1", "contents"));
    journal.append(&stream(), &first).await.unwrap();
    let mut other = append(head_at(&*journal, &stream(), 1).await, 1);
    other.request = Some(request("r1", "other contents"));
    let refused = journal.append(&stream(), &other).await;
    assert!(
        matches!(&refused, Err(AppendError::RequestReused { id }) if id == "r1"),
        "{refused:?}"
    );
    let refused = journal.find(&stream(), &request("r1", "other contents")).await;
    assert!(
        matches!(&refused, Err(AppendError::RequestReused { id }) if id == "r1"),
        "{refused:?}"
    );
    assert_eq!(journal.head(&stream()).await.unwrap().version, 1);
}

async fn a_request_raced_by_itself_is_carried_out_once(site: &Site) {
    let journal = site.open().await.journal;
    let mut once = append(Head::default(), 2);
    once.request = Some(request("r1", "contents"));
    let mut racers = JoinSet::new();
    for _racer in 0..12 {
        let (journal, once) = (journal.clone(), once.clone());
        racers.spawn(async move { journal.append(&stream(), &once).await.unwrap() });
    }
    let answers = racers.join_all().await;
    assert_eq!(answers.iter().filter(|answer| !answer.repeated).count(), 1);
    assert!(answers.iter().all(|answer| answer.records == answers[0].records));
    assert_eq!(journal.head(&stream()).await.unwrap().version, 2);
}

async fn pages_follow_each_other_and_end(site: &Site) {
    let journal = site.open().await.journal;
    append_at(&*journal, &stream(), 0, 10).await.unwrap();
    let mut versions = Vec::new();
    loop {
        let after = versions.last().copied().unwrap_or(0);
        let page = journal.read(&stream(), after, 4).await.unwrap();
        assert!(page.len() <= 4);
        if page.is_empty() {
            break;
        }
        versions.extend(page.iter().map(|record| record.version));
    }
    assert_eq!(versions, (1..=10).collect::<Vec<_>>());
    assert!(journal.read(&stream(), 25, 4).await.unwrap().is_empty());
}

async fn an_append_of_nothing_or_too_much_is_refused(site: &Site) {
    let journal = site.open().await.journal;
    for count in [0, 101] {
        let refused = append_at(&*journal, &stream(), 0, count).await;
        assert!(matches!(refused, Err(AppendError::Store(StoreError::Settings(_)))));
    }
    assert_eq!(append_at(&*journal, &stream(), 0, 100).await.unwrap().records.len(), 100);
}

async fn streams_are_apart(site: &Site) {
    let journal = site.open().await.journal;
    let other = store::StreamName::new("rollout2").unwrap();
    let mut here = append(Head::default(), 1);
    here.request = Some(request("r1", "contents"));
    journal.append(&stream(), &here).await.unwrap();
    assert_eq!(journal.head(&other).await.unwrap(), Head::default());
    assert_eq!(journal.find(&other, &request("r1", "contents")).await.unwrap(), None);
    assert!(!journal.append(&other, &here).await.unwrap().repeated);
}

async fn waiting_ends_when_something_is_appended(site: &Site) {
    let journal = site.open().await.journal;
    fill(&*journal, 2).await;
    let start = Head::default();
    let two = journal.wait(&stream(), start, LONG).await.unwrap();
    assert_eq!(two.version, 2);
    let waiting = {
        let journal = journal.clone();
        tokio::spawn(async move { journal.wait(&stream(), two, LONG).await })
    };
    tokio::task::yield_now().await;
    append_at(&*journal, &stream(), 2, 1).await.unwrap();
    let woken = tokio::time::timeout(LONG / 2, waiting).await.unwrap();
    assert_eq!(woken.unwrap().unwrap(), journal.head(&stream()).await.unwrap());
}

async fn waiting_ends_when_patience_does(site: &Site) {
    let journal = site.open().await.journal;
    let start = Head::default();
    assert_eq!(journal.wait(&stream(), start, SHORT).await.unwrap(), start);
    fill(&*journal, 2).await;
    let head = journal.head(&stream()).await.unwrap();
    assert_eq!(journal.wait(&stream(), head, SHORT).await.unwrap(), head);
}

async fn waiting_past_the_end_tells_of_lost_data(site: &Site) {
    let journal = site.open().await.journal;
    fill(&*journal, 2).await;
    let seen = Head { version: 5, hash: store::Hash::of(b"seen") };
    let lost = journal.wait(&stream(), seen, SHORT).await;
    assert!(matches!(lost, Err(StoreError::Lost { seen: 5, found: 2, .. })), "{lost:?}");
}

async fn waiting_delays_nobody(site: &Site) {
    let journal = site.open().await.journal;
    let other = store::StreamName::new("other").unwrap();
    let mut waiting = JoinSet::new();
    for _waiter in 0..20 {
        let (journal, other) = (journal.clone(), other.clone());
        waiting.spawn(async move { journal.wait(&other, Head::default(), LONG).await.unwrap() });
    }
    let busy = fill(&*journal, 20);
    tokio::time::timeout(LONG / 2, busy).await.unwrap();
    append_at(&*journal, &other, 0, 1).await.unwrap();
    let woken = tokio::time::timeout(LONG / 2, waiting.join_all()).await.unwrap();
    assert!(woken.iter().all(|head| head.version == 1), "{woken:?}");
}
