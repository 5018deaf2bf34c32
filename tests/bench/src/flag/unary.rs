//! An evaluation over the wire.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contracts::flagd::evaluation::v1::ResolveBooleanRequest;
use prost::Message as _;
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use tonic::transport::Channel;

use super::echo::{self, Asked};
use super::load::{IN_FLIGHT, Turn, connect, turn};
use super::raw::call;
use super::serving::{prepare, question};
use crate::Error;
use crate::measure::{Samples, report_turns, times};
use crate::process::Server;

const WORKSPACES: usize = 5_000;
const TURNS: usize = 31;
const CALLS: usize = 10_000;
const THROUGHPUT_MIN: f64 = 0.90;
const P99_MAX: f64 = 1.25;

/// A question, asked of so many workspaces.
struct Asks {
    what: &'static str,
    path: &'static str,
    questions: Arc<Vec<Bytes>>,
}

impl Asks {
    fn ours() -> Self {
        Self {
            what: "EvaluateFlag",
            path: "/softlaunch.flag.v1.EvaluationService/EvaluateFlag",
            questions: questions(|workspace| question(&workspace).encode_to_vec()),
        }
    }

    fn openfeature() -> Self {
        Self {
            what: "flagd.evaluation.v1 ResolveBoolean",
            path: "/flagd.evaluation.v1.Service/ResolveBoolean",
            questions: questions(|workspace| resolve(workspace).encode_to_vec()),
        }
    }
}

fn questions(encoded: impl Fn(String) -> Vec<u8>) -> Arc<Vec<Bytes>> {
    let workspaces = (0..WORKSPACES).map(|number| format!("ws-{number:05}"));
    Arc::new(workspaces.map(|workspace| encoded(workspace).into()).collect())
}

fn resolve(workspace: String) -> ResolveBooleanRequest {
    let key = Value { kind: Some(Kind::StringValue(workspace)) };
    let fields = [("targetingKey".to_owned(), key)].into();
    let context = Some(Struct { fields });
    ResolveBooleanRequest { flag_key: "bench".to_owned(), context }
}

/// Prints throughput and p99 of evaluations, 64 in flight, beside echoes of as many bytes.
pub(crate) async fn beside_a_bare_echo() -> Result<(), Error> {
    let dir = tempfile::tempdir()?;
    let server = Server::start(&["flag", &format!("embedded:{}", dir.path().display())]).await?;
    prepare(&server.address, None).await?;
    let bare = Server::start(&["echo"]).await?;
    for asks in [Asks::ours(), Asks::openfeature()] {
        compare(&asks, &server, &bare).await?;
    }
    Ok(())
}

async fn compare(asks: &Asks, server: &Server, bare: &Server) -> Result<(), Error> {
    let (ours, echoes) = (connect(&server.address).await?, connect(&bare.address).await?);
    let question = &asks.questions[0];
    let answer = call(ours[0].clone(), asks.path, question.clone()).await?;
    let answer_size = u32::try_from(answer.len())?.saturating_sub(2); // Tag and length of the bytes.
    let payload = vec![b'x'; question.len().saturating_sub(4)]; // And those of the size to answer with.
    let echoed = Asked { payload, answer_size, quota: String::new() }.encode_to_vec();
    let echoed = Arc::new(vec![Bytes::from(echoed)]);
    let sizes = (question.len(), answer.len());
    let of_echo = call(echoes[0].clone(), echo::PATH, echoed[0].clone()).await?;
    if (echoed[0].len(), of_echo.len()) != sizes {
        return Err(format!("an echo is not of {sizes:?} bytes").into());
    }
    let (mut elapsed, mut p99, mut processor) = <(Sides, Sides, Sides)>::default();
    for number in 0..=TURNS {
        let (own, of_own) = asked(server, &ours, asks.path, &asks.questions).await?;
        let (bare, of_bare) = asked(bare, &echoes, echo::PATH, &echoed).await?;
        if number > 0 {
            elapsed.push(own.elapsed, bare.elapsed);
            p99.push(own.p99, bare.p99);
            processor.push(of_own, of_bare);
        }
    }
    let (what, asked_size) = (asks.what, question.len());
    println!("{what}: {asked_size} bytes asked, {IN_FLIGHT} in flight, beside a bare echo:");
    let rate = |side: &Samples| CALLS as f64 / side.median().as_secs_f64();
    let share = 1.0 / times(&elapsed.ours, &elapsed.bare);
    let verdict = if share >= THROUGHPUT_MIN { "met" } else { "MISSED" };
    println!(
        "  throughput: {share:.2} ({:.0} / {:.0} a second, target >= {THROUGHPUT_MIN}: {verdict})",
        rate(&elapsed.ours),
        rate(&elapsed.bare)
    );
    report_turns("  99th percentile", &p99.ours, &p99.bare, P99_MAX);
    let processor = times(&processor.ours, &processor.bare);
    println!("  processor time of the server for a call: {processor:.2}");
    Ok(())
}

/// A turn, and the processor time that the server took for it.
async fn asked(
    server: &Server,
    channels: &[Channel],
    path: &'static str,
    questions: &Arc<Vec<Bytes>>,
) -> Result<(Turn, Duration), Error> {
    let (questions, before) = (Arc::clone(questions), server.processor_time()?);
    let turn = turn(channels, CALLS, move |channel, number| {
        let question = questions[number % questions.len()].clone();
        async move { call(channel, path, question).await.map(drop) }
    });
    Ok((turn.await?, server.processor_time()? - before))
}

#[derive(Debug, Default)]
struct Sides {
    ours: Samples,
    bare: Samples,
}

impl Sides {
    fn push(&mut self, ours: Duration, bare: Duration) {
        self.ours.push(ours);
        self.bare.push(bare);
    }
}
