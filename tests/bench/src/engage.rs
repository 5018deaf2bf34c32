//! How long an engagement takes.

use std::sync::Arc;

use service_kit::clock::real_now;
use store::{Append, Draft, Head, Location, Record, Store, StreamName};
use tokio::time::Instant;
use vocab::Actor;

use crate::Error;
use crate::measure::{Samples, report};
use crate::operator::Operator;
use crate::process::Server;

const TURNS: usize = 400;
const ENGAGE_MAX: f64 = 1.3;
const EVENT_SIZE: usize = 80; // About that of an engagement.

/// An engagement over a socket, beside one durable append to a store of the same kind; and the
/// call alone, which explains the difference.
pub(crate) async fn beside_a_bare_append() -> Result<(), Error> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("product");
    let path = path.to_str().ok_or("a directory with a strange name")?;
    let (ours, bare) = (Server::start(&["product", path]).await?, Server::start(&["bare"]).await?);
    let mut operator = Operator::connect(&ours.address).await?;
    let mut caller = Operator::connect(&bare.address).await?;
    let location = Location::Embedded(dir.path().join("bare"));
    let store = Store::open(&location, Arc::new(real_now)).await?;
    let stream = StreamName::new("bench")?;
    let (mut engaging, mut appending, mut calling) =
        (Samples::default(), Samples::default(), Samples::default());
    let mut head = Head::default();
    for _turn in 0..TURNS {
        let started = Instant::now();
        let engaged = operator.engage("bad data").await?;
        engaging.push(started.elapsed());
        operator.release(engaged.epoch).await?;
        let append = event(head);
        let started = Instant::now();
        let appended = store.journal.append(&stream, &append).await?;
        appending.push(started.elapsed());
        let head_of = |last: &Record| Head { version: last.version, hash: last.hash };
        head = appended.records.last().map_or(head, head_of);
        let started = Instant::now();
        caller.engage("bad data").await?;
        calling.push(started.elapsed());
    }
    println!(
        "engage over a socket {:.2?}, append without one {:.2?}, call alone {:.2?}",
        engaging.median(),
        appending.median(),
        calling.median()
    );
    let both = appending.median() + calling.median();
    report("engage / bare append + bare call", engaging.median(), both, ENGAGE_MAX);
    Ok(())
}

fn event(expected: Head) -> Append {
    let draft = Draft { kind: "Engaged".to_owned(), payload: vec![7; EVENT_SIZE] };
    Append {
        expected,
        time: real_now(),
        actor: Actor::system("bench"),
        reason: "bad data".to_owned(),
        traceparent: String::new(),
        request: None,
        drafts: vec![draft],
    }
}
