//! Replicas: each the fold of the journal, and none decides on what is over.

use std::convert::Infallible;
use std::sync::Arc;

use store::{Command, Draft, Executed, Projection, Record, Replica, Store, WriteError};
use test_kit::eventually;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use vocab::{Actor, Timestamp};

use crate::site::{Site, request, stream};

on_every_store!(
    racing_replicas_converge_on_the_fold_of_the_journal,
    a_repeated_request_returns_its_first_answer_and_decides_nothing,
    a_request_carried_out_elsewhere_meanwhile_is_not_refused_for_what_it_did,
    a_request_with_nothing_to_do_has_nothing_to_do_for_ever,
    a_replica_behind_neither_refuses_nor_ignores_on_what_is_over,
    a_refusal_writes_nothing,
    a_replica_opened_later_knows_all,
    a_replica_dropped_lets_go_of_the_store,
);

/// All payloads, oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Log(pub(crate) Vec<String>);

impl Projection for Log {
    fn apply(&mut self, record: &Record) -> Result<(), String> {
        self.0.push(String::from_utf8(record.payload.clone()).map_err(|e| e.to_string())?);
        Ok(())
    }
}

pub(crate) async fn replica(store: &Store) -> Arc<Replica<Log>> {
    Replica::open(store.journal.clone(), stream()).await.unwrap()
}

pub(crate) fn command() -> Command {
    Command {
        time: Timestamp::EPOCH,
        actor: Actor::system("test"),
        reason: String::new(),
        traceparent: String::new(),
        request: None,
    }
}

pub(crate) fn draft(text: &str) -> Vec<Draft> {
    vec![Draft { kind: "Said".to_owned(), payload: text.as_bytes().to_vec() }]
}

pub(crate) async fn say(
    replica: &Replica<Log>,
    text: &str,
) -> Result<Executed<Log>, WriteError<Infallible>> {
    replica.execute(&command(), |_log, _version| Ok(draft(text))).await
}

async fn racing_replicas_converge_on_the_fold_of_the_journal(site: &Site) {
    let store = site.open().await;
    let replicas = [replica(&store).await, replica(&store).await];
    let mut racers = JoinSet::new();
    for index in 0..40 {
        let replica = Arc::clone(&replicas[index % 2]);
        racers.spawn(async move {
            // The decision depends on the state: it must be made on the newest.
            let decide = |log: &Log, _| Ok::<_, Infallible>(draft(&log.0.len().to_string()));
            let executed = replica.execute(&command(), decide).await.unwrap();
            assert!(executed.snapshot.version >= executed.records[0].version);
        });
    }
    racers.join_all().await;
    let records = store.journal.read(&stream(), 0, 100).await.unwrap();
    let mut fold = Log::default();
    records.iter().for_each(|record| fold.apply(record).unwrap());
    assert_eq!(fold.0, (0..40).map(|index| index.to_string()).collect::<Vec<_>>());
    for replica in &replicas {
        let mut changes = replica.changes();
        eventually("a replica has caught up", async || replica.snapshot().version == 40).await;
        assert_eq!(*replica.snapshot().state, fold);
        assert_eq!(*changes.borrow_and_update(), 40);
        assert!(replica.is_connected());
    }
}

async fn a_repeated_request_returns_its_first_answer_and_decides_nothing(site: &Site) {
    let store = site.open().await;
    let (one, two) = (replica(&store).await, replica(&store).await);
    let mut command = command();
    command.request = Some(request("r1", "contents"));
    let decide = |_log: &Log, _| Ok::<_, Infallible>(draft("once"));
    let first = one.execute(&command, decide).await.unwrap();
    say(&one, "between").await.unwrap();
    for replica in [&one, &two] {
        let again = replica
            .execute(&command, |_log, _| -> Result<_, Infallible> { panic!("decided again") })
            .await
            .unwrap();
        assert_eq!(again.records, first.records);
        assert_eq!(
            (again.snapshot.version, &again.snapshot.state.0[..]),
            (1, &["once".into()][..])
        );
        assert_eq!(replica.snapshot().version, 2);
    }
    command.request = Some(request("r1", "other contents"));
    let refused = one.execute(&command, decide).await;
    assert!(matches!(&refused, Err(WriteError::RequestReused(id)) if id == "r1"), "{refused:?}");
}

async fn a_request_carried_out_elsewhere_meanwhile_is_not_refused_for_what_it_did(site: &Site) {
    let store = site.open().await;
    let (one, two) = (replica(&store).await, replica(&store).await);
    let mut once = command();
    once.request = Some(request("r1", "contents"));
    let mut elsewhere = None;
    let refused_each_time = |_log: &Log, _| -> Result<Vec<Draft>, &str> {
        elsewhere.get_or_insert_with(|| {
            let decide = |_log: &Log, _| Ok::<_, Infallible>(draft("once"));
            let doing = two.execute(&once, decide);
            tokio::task::block_in_place(|| Handle::current().block_on(doing)).unwrap()
        });
        Err("it is there already")
    };
    let answer = one.execute(&once, refused_each_time).await.unwrap();
    assert_eq!(answer.records, elsewhere.unwrap().records);
    assert_eq!(answer.snapshot.version, 1);
}

async fn a_request_with_nothing_to_do_has_nothing_to_do_for_ever(site: &Site) {
    let store = site.open().await;
    let (one, two) = (replica(&store).await, replica(&store).await);
    let mut off_unless_off = command();
    off_unless_off.request = Some(request("r1", "off"));
    let decide = |log: &Log, _| match log.0.last().map(String::as_str) {
        Some("on") => Ok::<_, Infallible>(draft("off")),
        _ => Ok(Vec::new()),
    };
    let first = one.execute(&off_unless_off, decide).await.unwrap();
    assert_eq!((first.snapshot.version, first.records.len()), (0, 0));

    say(&two, "on").await.unwrap();
    let again = two.execute(&off_unless_off, decide).await.unwrap();
    assert_eq!((again.snapshot.version, again.records.len()), (0, 0));
    assert_eq!(two.snapshot().state.0, ["on"]);
}

async fn a_replica_behind_neither_refuses_nor_ignores_on_what_is_over(site: &Site) {
    let store = site.open().await;
    let (one, two) = (replica(&store).await, replica(&store).await);
    for round in 0..20_usize {
        say(&one, "on").await.unwrap();
        let refused_where_stale = |log: &Log, _| match log.0.len() {
            length if length == 3 * round + 1 => Ok(draft("off")),
            length => Err(length),
        };
        two.execute(&command(), refused_where_stale).await.unwrap();
        let ignored_where_stale = |log: &Log, _| match log.0.len() {
            length if length == 3 * round + 2 => Ok::<_, Infallible>(draft("seen")),
            _ => Ok(Vec::new()),
        };
        let executed = one.execute(&command(), ignored_where_stale).await.unwrap();
        assert_eq!(executed.records.len(), 1);
    }
}

async fn a_refusal_writes_nothing(site: &Site) {
    let store = site.open().await;
    let replica = replica(&store).await;
    let refused = replica.execute(&command(), |_log, _| Err("no")).await;
    assert!(matches!(refused, Err(WriteError::Refused("no"))));
    let nothing = replica.execute(&command(), |_log, _| Ok::<_, Infallible>(Vec::new())).await;
    assert!(nothing.unwrap().records.is_empty());
    assert_eq!(store.journal.head(&stream()).await.unwrap().version, 0);
}

async fn a_replica_opened_later_knows_all(site: &Site) {
    let store = site.open().await;
    let first = replica(&store).await;
    for index in 0..7 {
        let drafts: Vec<Draft> = (0..90).flat_map(|_| draft(&index.to_string())).collect();
        let decide = |_log: &Log, _| Ok::<_, Infallible>(drafts.clone());
        first.execute(&command(), decide).await.unwrap();
    }
    let second = replica(&store).await; // More than one page.
    assert_eq!(second.snapshot().version, 630);
    assert_eq!(second.snapshot().state, first.snapshot().state);
}

async fn a_replica_dropped_lets_go_of_the_store(site: &Site) {
    let store = site.open().await;
    let replica = replica(&store).await;
    say(&replica, "hello").await.unwrap();
    let journal = Arc::downgrade(&store.journal);
    drop((store, replica));
    eventually("nobody holds the journal", async || journal.upgrade().is_none()).await;
}
