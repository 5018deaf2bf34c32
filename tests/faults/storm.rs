//! Commands while processes and stores are killed: every acknowledged one is there once, every
//! other wholly or not, and a repeated one has its first answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use contracts::killswitch::KillSwitchEvent;
use contracts::killswitch::kill_switch_event::Kind;
use prost::Message as _;
use softlaunch_tests::{Action, Call, History, Outcome, Recorder, check_register};
use store::Record;
use test_kit::eventually;
use tokio::task::JoinSet;

use crate::clients::{Duty, FLAG, prepare, work};
use crate::installation::Installation;
use crate::told;
use crate::truth::{self, contains, counted_once, once, tagged};
use test_kit::rounds;

/// Clients: several of those that must agree on one thing.
const DUTIES: [Duty; 8] = [
    Duty::Flag,
    Duty::Flag,
    Duty::Look,
    Duty::Look,
    Duty::Kill,
    Duty::Attest,
    Duty::Batch,
    Duty::Batch,
];
const CALLS_BETWEEN: usize = 40; // Calls that end between two faults, at the least.

/// What is killed in each round.
#[derive(Debug, Clone, Copy)]
enum Struck {
    Services,
    Redis,
}

/// Runs the clients while `faults` faults strike, and returns what they saw.
async fn storm(
    installation: &mut Installation,
    recorder: &Arc<Recorder>,
    struck: Struck,
    faults: usize,
) -> History {
    prepare(&installation.addresses).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for (client, duty) in DUTIES.into_iter().enumerate() {
        let (addresses, recorder) = (installation.addresses.clone(), Arc::clone(recorder));
        clients.spawn(work(client, duty, addresses, recorder, Arc::clone(&stop)));
    }
    let names = installation.names();
    for round in 0..faults {
        let ended = recorder.ended();
        // In flight, and not only just begun after a quiet time.
        let busy = || recorder.ended() >= ended + CALLS_BETWEEN && recorder.in_flight() > 2;
        tokio::select! {
            () = eventually("clients to be busy", async || busy()) => {}
            // A client that has seen something wrong says so at once.
            Some(broken) = clients.join_next() => broken.expect("a client does its duty"),
        }
        match struck {
            Struck::Services => {
                let name = names[round % names.len()];
                recorder.fault(format!("kill -9 of {name}"));
                installation.kill(name);
                installation.start_again(name).await;
            }
            Struck::Redis => {
                recorder.fault("kill -9 of Redis");
                installation.redis().kill();
                installation.redis().restart().await;
            }
        }
    }
    let ended = recorder.ended();
    eventually("clients to go on", async || recorder.ended() >= ended + CALLS_BETWEEN).await;
    stop.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.expect("a client does its duty");
    }
    recorder.history()
}

/// Compares what clients saw with what is there.
async fn judge(installation: &mut Installation, history: &History, faults: usize) {
    history.suffices(faults * CALLS_BETWEEN, faults * 3 / 4).expect("the run shows something");
    told::nothing_lost_or_made_up(installation, history, faults).await;
    installation.kill_all();
    let location = installation.location();
    truth::audit(&location);
    let store = truth::open(&location).await;
    for (duty, stream, kind) in [
        (Duty::Flag, "flag", "FlagChanged"),
        (Duty::Kill, "killswitch", "Engaged"),
        (Duty::Attest, "gate", "CriterionAttested"),
    ] {
        let calls = history.about(duty.target());
        let records = truth::records(&store, stream).await;
        let mut there = tagged(&records, kind, &calls);
        assert!(!there.is_empty(), "no {kind} at all");
        once(&calls, &there);
        if duty == Duty::Kill {
            // What is answered is the epoch.
            there.iter_mut().for_each(|(version, _)| *version = epoch(&records, *version));
            check_register(&calls, &there).unwrap_or_else(|why| panic!("LINEAR: {why}"));
        }
    }
    counted_once(&store, &history.about(Duty::Batch.target())).await;

    let calls = history.about(FLAG);
    let records = truth::records(&store, "flag").await;
    let mut journal = tagged(&records, "FlagChanged", &calls);
    let created = records.iter().find(|record| contains(record, FLAG));
    let created = created.expect("the flag was created").version;
    journal.insert(0, (created, String::new()));
    let calls = with_creation(&calls, created);
    check_register(&calls, &journal).unwrap_or_else(|why| panic!("LINEAR: {why}"));
}

/// The epoch of the kill in the record of that version.
fn epoch(records: &[Record], version: u64) -> u64 {
    let record = records.iter().find(|record| record.version == version).expect("it was found");
    let event = KillSwitchEvent::decode(record.payload.as_slice()).expect("it is an event");
    let Some(Kind::Engaged(engaged)) = event.kind else { panic!("{} is no kill", record.kind) };
    u64::try_from(engaged.epoch).expect("an epoch is not negative")
}

/// The calls on the flag, and the one that created it before any other began.
fn with_creation(calls: &[Call], revision: u64) -> Vec<Call> {
    let outcome = Outcome::Done(revision);
    let creation = Call {
        client: usize::MAX,
        target: FLAG.to_owned(),
        invoked: Duration::ZERO,
        ended: Duration::ZERO,
        action: Action::Write { payload: String::new(), expected: None, outcome },
    };
    std::iter::once(creation).chain(calls.iter().cloned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_survive_kills_of_the_one_process_on_the_embedded_store() {
    let faults = rounds(10);
    let mut installation = Installation::all_in_one().await;
    let recorder = Arc::new(Recorder::new("kills-of-the-one-process"));
    let history = storm(&mut installation, &recorder, Struck::Services, faults).await;
    judge(&mut installation, &history, faults).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_survive_kills_of_each_service_over_redis() {
    let faults = rounds(10);
    let mut installation = Installation::separate().await;
    let recorder = Arc::new(Recorder::new("kills-of-services"));
    let history = storm(&mut installation, &recorder, Struck::Services, faults).await;
    judge(&mut installation, &history, faults).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_survive_kills_of_redis() {
    let faults = rounds(10);
    let mut installation = Installation::separate().await;
    let recorder = Arc::new(Recorder::new("kills-of-redis"));
    let history = storm(&mut installation, &recorder, Struck::Redis, faults).await;
    judge(&mut installation, &history, faults).await;
}
