//! Two and three replicas of every service over one Redis, asked for the same thing at once: one
//! wins, and the others are told what is current.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use contracts::flag::flag_service_client::FlagServiceClient;
use contracts::killswitch as kill_pb;
use contracts::rollout as rollout_pb;
use softlaunch_tests::{
    Action, Call, House, Model, Outcome, Recorder, Timed, ask, check_register, explain,
};
use test_kit::{RedisServer, eventually};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

use crate::clients::{ADA, FLAG, PIPELINE, change, create_flag};
use crate::installation::Addresses;
use crate::truth::{once, records, tagged};
use test_kit::rounds;

mod agreeing;

const HEATS: usize = 4;
const TURNS: usize = 20; // Of each client in a heat: few enough to be searched.

pub(crate) const ROLLOUT: &str = "rollouts/ingestion-v2";

/// Calls `ask_one` of every house at the same moment, and returns the answers.
pub(crate) async fn at_once<T, F>(
    houses: &[House],
    ask_one: impl Fn(usize, &House) -> F,
) -> Vec<Result<T, Status>>
where
    T: Send + 'static,
    F: Future<Output = Result<Response<T>, Status>> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(houses.len()));
    let mut asking = JoinSet::new();
    for (place, house) in houses.iter().enumerate() {
        let (barrier, one) = (Arc::clone(&barrier), ask_one(place, house));
        asking.spawn(async move {
            barrier.wait().await;
            (place, one.await.map(Response::into_inner))
        });
    }
    let mut answers = asking.join_all().await;
    answers.sort_by_key(|(place, _)| *place);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Splits answers of which exactly one must be a yes; the others must be `ABORTED` for `reason`,
/// and say under `key` what is current.
fn one_wins<T>(answers: Vec<Result<T, Status>>, reason: &str, key: &str) -> (T, Vec<String>) {
    let count = answers.len();
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    let mut won: Vec<_> = won.into_iter().flatten().collect();
    assert_eq!(won.len(), 1, "RACE: {} of {count} replicas won", won.len());
    let current = lost.into_iter().filter_map(Result::err).map(|status| {
        assert_eq!(status.code(), Code::Aborted, "RACE: {status:?}");
        current(&status, reason, key)
    });
    (won.remove(0), current.collect())
}

fn current(status: &Status, reason: &str, key: &str) -> String {
    let details = status.get_error_details();
    let info = details.error_info().expect("a refusal has a reason");
    assert_eq!(info.reason, reason, "RACE: {status:?}");
    info.metadata.get(key).cloned().expect("a refusal says what is current")
}

/// The revision in an etag.
fn revision(etag: &str) -> u64 {
    etag.trim_matches('"').parse().expect("an etag quotes a revision")
}

async fn houses(count: usize) -> (RedisServer, Vec<House>) {
    let redis = RedisServer::start().await;
    let houses = House::replicas(count, &redis.url()).await;
    (redis, houses)
}

/// A register whose state is its revision.
struct Revision;

impl Model for Revision {
    type Call = (Option<u64>, Outcome);
    type State = u64;

    fn step(state: &u64, (expected, outcome): &Self::Call) -> Option<u64> {
        let fits = expected.is_none_or(|expected| expected == *state);
        match outcome {
            Outcome::Done(revision) => (fits && revision > state).then_some(*revision),
            Outcome::Refused { current } => (!fits && current == state).then_some(*state),
            Outcome::Unknown => Some(*state), // None in a race without faults.
        }
    }
}

fn timed(calls: &[Call]) -> Vec<Timed<(Option<u64>, Outcome)>> {
    let nanos = |time: std::time::Duration| u64::try_from(time.as_nanos()).expect("a short test");
    let writes = calls.iter().filter_map(|call| match &call.action {
        Action::Write { expected, outcome, .. } => Some(Timed {
            call: (*expected, *outcome),
            invoked: nanos(call.invoked),
            returned: Some(nanos(call.ended)),
        }),
        Action::Read { .. } => None,
    });
    writes.collect()
}

/// One replica's client in one heat.
struct Client {
    place: usize,
    heat: usize,
    addresses: Addresses,
    recorder: Arc<Recorder>,
}

/// Changes the flag again and again behind the etag it last heard of.
async fn change_again_and_again(client: Client, mut etag: String) {
    let Client { place, heat, addresses, recorder } = client;
    let mut flags = FlagServiceClient::new(addresses.channel("flag"));
    for turn in 0..TURNS {
        let tag = format!("race-{place}-{heat:05}-{turn:05}-x");
        let expected = Some(revision(&etag));
        let begun = recorder.begin(place, FLAG);
        let answer = flags.update_flag(ask(ADA, change(&tag, "", &etag))).await;
        let outcome = match answer {
            Ok(flag) => {
                etag.clone_from(&flag.get_ref().etag);
                Outcome::Done(revision(&etag))
            }
            Err(status) => {
                etag = current(&status, "ETAG_MISMATCH", "etag");
                Outcome::Refused { current: revision(&etag) }
            }
        };
        recorder.end(begun, Action::Write { payload: tag, expected, outcome });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_replicas_that_change_a_flag_behind_one_etag_one_wins() {
    for count in [2, 3] {
        let (_redis, houses) = houses(count).await;
        create_flag(&Addresses::of(&houses[0])).await;
        let mut etag = flag_everywhere(&houses).await;
        for round in 0..rounds(10) {
            let seen = etag.clone();
            let answers = at_once(&houses, |place, house| {
                let mut flags = house.flags();
                let request = ask(ADA, change(&format!("round-{round:05}-{place}-x"), "", &seen));
                async move { flags.update_flag(request).await }
            });
            let (won, current) = one_wins(answers.await, "ETAG_MISMATCH", "etag");
            assert!(current.iter().all(|etag| *etag == won.etag), "RACE: {current:?} {}", won.etag);
            etag = won.etag;
        }
        let records = records(&houses[0].store, "flag").await;
        assert_eq!(kinds(&records).get("FlagChanged"), Some(&(1 + rounds(10))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_replicas_answer_that_change_one_flag_at_their_own_pace_is_linearizable() {
    for count in [2, 3] {
        let (_redis, houses) = houses(count).await;
        create_flag(&Addresses::of(&houses[0])).await;
        let recorder = Arc::new(Recorder::new("race-for-a-flag"));
        let etag = flag_everywhere(&houses).await;
        for heat in 0..rounds(HEATS) {
            // A moment of rest between two heats: the search is of one at a time.
            let mut clients = JoinSet::new();
            for (place, house) in houses.iter().enumerate() {
                let (addresses, recorder) = (Addresses::of(house), Arc::clone(&recorder));
                let client = Client { place, heat, addresses, recorder };
                clients.spawn(change_again_and_again(client, etag.clone()));
            }
            while let Some(client) = clients.join_next().await {
                client.expect("a client does its duty");
            }
        }
        judge(&recorder, &houses[0], revision(&etag), count).await;
    }
}

/// Waits until every replica knows the flag, and returns its etag.
async fn flag_everywhere(houses: &[House]) -> String {
    let mut etag = String::new();
    for house in houses {
        etag = eventually("the flag to be known everywhere", async || {
            let request = contracts::flag::GetFlagRequest { name: FLAG.to_owned() };
            let flag = house.flags().get_flag(request).await.ok()?.into_inner();
            Some(flag.etag)
        })
        .await;
    }
    etag
}

async fn judge(recorder: &Recorder, house: &House, first: u64, count: usize) {
    let history = recorder.history();
    history.suffices(count * TURNS * rounds(HEATS), 0).expect("enough calls were made");
    let there = tagged(&records(&house.store, "flag").await, "FlagChanged", &history.calls);
    let mut journal = there.clone();
    journal.insert(0, (first, "the-creation".to_owned()));
    let mut calls = history.calls.clone();
    let creation = Action::Write {
        payload: "the-creation".to_owned(),
        expected: None,
        outcome: Outcome::Done(first),
    };
    let zero = std::time::Duration::ZERO;
    let target = FLAG.to_owned();
    calls.push(Call { client: usize::MAX, target, invoked: zero, ended: zero, action: creation });
    check_register(&calls, &journal).unwrap_or_else(|why| panic!("LINEAR: {why}"));
    let ends = explain::<Revision>(&BTreeSet::from([first]), &timed(&history.calls));
    assert!(!ends.is_empty(), "LINEAR: no order of these calls explains their answers");
    once(&history.calls, &there);
    // Last: where nothing fences, nobody loses either, and that is to be said first.
    let refused = |call: &&Call| {
        matches!(call.action, Action::Write { outcome: Outcome::Refused { .. }, .. })
    };
    let lost = history.calls.iter().filter(refused).count();
    assert!(lost >= rounds(HEATS) * (count + 3), "{lost} lost a race: this run shows nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_replicas_that_release_one_kill_one_wins_and_the_others_hear_of_its_epoch() {
    for count in [2, 3] {
        let (_redis, houses) = houses(count).await;
        let mut scope = kill_pb::Scope { pipeline: PIPELINE.to_owned(), ..Default::default() };
        scope.set_kind(kill_pb::scope::Kind::Pipeline);
        for _round in 0..rounds(6) {
            let reason = "for a test".to_owned();
            // Engaging needs no epoch: all replicas may do it, and it is done once.
            let engaged = at_once(&houses, |_, house| {
                let (mut kills, scope, reason) = (house.kills(), scope.clone(), reason.clone());
                let request = kill_pb::EngageKillSwitchRequest { scope: Some(scope), reason };
                async move { kills.engage_kill_switch(ask(ADA, request)).await }
            });
            let engaged: Vec<_> =
                engaged.await.into_iter().map(|one| one.expect("engaged").epoch).collect();
            let epoch = engaged[0];
            assert!(engaged.iter().all(|one| *one == epoch), "RACE: {engaged:?}");

            let released = at_once(&houses, |_, house| {
                let (mut kills, scope, reason) = (house.kills(), scope.clone(), reason.clone());
                let (scope, evidence) = (Some(scope), "https://wiki.example.com/calm".to_owned());
                let request = kill_pb::ReleaseKillSwitchRequest { scope, epoch, reason, evidence };
                async move { kills.release_kill_switch(ask(ADA, request)).await }
            });
            let (won, current) = one_wins(released.await, "EPOCH_MISMATCH", "epoch");
            let all_told = current.iter().all(|told| *told == won.epoch.to_string());
            assert!(all_told, "RACE: {current:?}, and {} is current", won.epoch);
        }
        // Every change took one epoch: none was lost, none doubled.
        let records = records(&houses[0].store, "killswitch").await;
        let kinds = kinds(&records);
        assert_eq!(kinds.get("Engaged"), Some(&rounds(6)));
        assert_eq!(kinds.get("Released"), Some(&rounds(6)));
    }
}

fn kinds(records: &[store::Record]) -> BTreeMap<&str, usize> {
    let mut kinds = BTreeMap::new();
    records.iter().for_each(|record| *kinds.entry(record.kind.as_str()).or_default() += 1);
    kinds
}

async fn settled(house: &House) -> rollout_pb::Rollout {
    eventually("the rollout to be settled", async || {
        let request = rollout_pb::GetRolloutRequest { name: ROLLOUT.to_owned() };
        let rollout = house.rollouts().get_rollout(request).await.ok()?.into_inner();
        (!rollout.reconciling).then_some(rollout)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_replicas_that_resume_one_rollout_one_wins_and_the_others_hear_of_its_etag() {
    for count in [2, 3] {
        let (_redis, houses) = houses(count).await;
        agreeing::started(&houses).await;
        for round in 0..rounds(4) {
            let request = rollout_pb::PauseRolloutRequest {
                name: ROLLOUT.to_owned(),
                reason: format!("round {round}"),
                global: false,
            };
            houses[0].rollouts().pause_rollout(ask(ADA, request)).await.expect("it is paused");
            let seen = settled(&houses[0]).await.etag;
            let resumed = at_once(&houses, |_, house| {
                let mut rollouts = house.rollouts();
                let (name, etag) = (ROLLOUT.to_owned(), seen.clone());
                let reason = "fine".to_owned();
                let request =
                    rollout_pb::ResumeRolloutRequest { name, etag, reason, ..Default::default() };
                async move { rollouts.resume_rollout(ask(ADA, request)).await }
            });
            let (_won, current) = one_wins(resumed.await, "ETAG_MISMATCH", "etag");
            // The winner tells flag and gate, and records that they know: the etag may be newer.
            let newer = current.iter().all(|told| revision(told) > revision(&seen));
            assert!(newer, "RACE: {current:?} after {seen}");
        }
        let records = records(&houses[0].store, "rollout").await;
        let kinds = kinds(&records);
        assert_eq!(kinds.get("RolloutResumed"), Some(&rounds(4)), "RACE: {kinds:?}");
    }
}
