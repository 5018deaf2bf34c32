//! The embedded store beside a bare file.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use store::{Head, Journal, Record, StreamName};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::measure::{Samples, append, events, open, ratio, report, stream};

const TURNS: usize = 600;
const APPENDERS: u32 = 64;
const EACH: u32 = 200;

/// One append, beside writing the bytes of the same record to the end of a file and `fdatasync`.
pub(crate) async fn append_beside_a_bare_write() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = open(&format!("embedded:{}", dir.path().join("store").display())).await;
    let stream = stream("bench");
    let file = File::create(dir.path().join("bare")).expect("a file");
    // On a worker thread of the runtime, as the calls of a service.
    let measured = tokio::spawn(take_turns(store.journal.clone(), stream, file));
    let (ours, bare) = measured.await.expect("it runs to its end");
    let figure = ratio(ours.median(), bare.median());
    println!("  append {:?}, write + fdatasync {:?}", ours.median(), bare.median());
    report("embedded append / bare write + fdatasync", figure, "<= 1.3", figure <= 1.3);
}

async fn take_turns(
    journal: Arc<dyn Journal>,
    stream: StreamName,
    mut file: File,
) -> (Samples, Samples) {
    let event = events(Head::default(), 1);
    let bytes = Record::seal(1, Head::default().hash, &event, &event.drafts[0]).encode();
    let (mut ours, mut bare) = (Samples::default(), Samples::default());
    let mut head = Head::default();
    for _turn in 0..TURNS {
        head = ours.time(append(&*journal, &stream, head, 1)).await;
        bare.time(async {
            file.write_all(&bytes).expect("the disk has room");
            file.sync_data().expect("the disk works");
        })
        .await;
    }
    (ours, bare)
}

/// Appenders to streams of their own, all at once, beside one alone.
pub(crate) async fn sixty_four_appenders_beside_one() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = open(&format!("embedded:{}", dir.path().display())).await;
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    for round in 0..7 {
        alone.push(rate(store.journal.clone(), format!("alone{round}"), 1).await);
        together.push(rate(store.journal.clone(), format!("together{round}"), APPENDERS).await);
    }
    alone.sort_by(f64::total_cmp);
    together.sort_by(f64::total_cmp);
    let figure = together[3] / alone[3];
    println!("  one appender {:.0}/s, {APPENDERS} appenders {:.0}/s", alone[3], together[3]);
    report("embedded rate of 64 appenders / of one", figure, ">= 10", figure >= 10.0);
}

/// How many events a second `appenders` append, each to a stream of its own.
async fn rate(journal: Arc<dyn Journal>, name: String, appenders: u32) -> f64 {
    let started = Instant::now();
    let mut all = JoinSet::new();
    for index in 0..appenders {
        let (journal, stream) = (journal.clone(), stream(&format!("{name}-{index}")));
        all.spawn(async move {
            let mut head = Head::default();
            for _turn in 0..EACH {
                head = append(&*journal, &stream, head, 1).await;
            }
        });
    }
    all.join_all().await;
    f64::from(appenders * EACH) / started.elapsed().as_secs_f64()
}
