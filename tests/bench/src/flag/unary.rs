//! An evaluation over the wire.

use contracts::flag as pb;
use contracts::flag::evaluation_service_client::EvaluationServiceClient;
use contracts::flagd::evaluation::v1::service_client::ServiceClient;
use contracts::flagd::evaluation::v1::{ResolveBooleanRequest, ResolveBooleanResponse};
use prost::Message as _;
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use tonic::transport::Channel;

use super::echo::{Asked, echo};
use super::load::{IN_FLIGHT, Turn, connect, turn};
use super::serving::{prepare, question};
use crate::Error;
use crate::measure::{Samples, report};
use crate::process::Server;

const TURNS: usize = 11;
const CALLS: usize = 20_000;
const THROUGHPUT_MIN: f64 = 0.90;
const P99_MAX: f64 = 1.25;

/// The two questions.
#[derive(Debug, Clone, Copy)]
enum Asks {
    Ours,
    OpenFeature,
}

impl Asks {
    async fn ask(self, channel: Channel, number: usize) -> Result<(usize, usize), Error> {
        let workspace = workspace(number);
        Ok(match self {
            Self::Ours => {
                let question = question(&workspace);
                let size = question.encoded_len();
                let mut client = EvaluationServiceClient::new(channel);
                let answer: pb::EvaluateFlagResponse =
                    client.evaluate_flag(question).await?.into_inner();
                (size, answer.encoded_len())
            }
            Self::OpenFeature => {
                let question = resolve(workspace);
                let size = question.encoded_len();
                let mut client = ServiceClient::new(channel);
                let answer: ResolveBooleanResponse =
                    client.resolve_boolean(question).await?.into_inner();
                (size, answer.encoded_len())
            }
        })
    }
}

fn workspace(number: usize) -> String {
    format!("ws-{:05}", number % 50_000)
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
    let (ours, echoes) = (connect(&server.address).await?, connect(&bare.address).await?);
    for (asks, what) in
        [(Asks::Ours, "EvaluateFlag"), (Asks::OpenFeature, "flagd.evaluation.v1 ResolveBoolean")]
    {
        compare(asks, what, &ours, &echoes).await?;
    }
    Ok(())
}

async fn compare(
    asks: Asks,
    what: &str,
    ours: &[Channel],
    echoes: &[Channel],
) -> Result<(), Error> {
    let (asked_size, answer_size) = asks.ask(ours[0].clone(), 0).await?;
    let answer_size = u32::try_from(answer_size)?.saturating_sub(2); // Tag and length of the bytes.
    let payload = vec![b'x'; asked_size.saturating_sub(4)]; // And those of the size to answer with.
    let question = Asked { payload, answer_size, quota: String::new() };
    let (mut elapsed, mut p99) = <(Sides, Sides)>::default();
    for number in 0..=TURNS {
        let own = turn(ours, CALLS, move |channel, number| async move {
            asks.ask(channel, number).await.map(drop)
        });
        let own = own.await?;
        let question = question.clone();
        let bare = turn(echoes, CALLS, move |channel, _| {
            let question = question.clone();
            async move { echo(channel, question).await.map(drop) }
        });
        let bare = bare.await?;
        if number > 0 {
            elapsed.push(own.elapsed, bare.elapsed);
            p99.push(own.p99, bare.p99);
        }
        let _warm: (Turn, Turn) = (own, bare);
    }
    println!("{what}: {asked_size} bytes asked, {IN_FLIGHT} in flight, beside a bare echo:");
    let rate = |side: &Samples| CALLS as f64 / side.median().as_secs_f64();
    let share = rate(&elapsed.ours) / rate(&elapsed.bare);
    let verdict = if share >= THROUGHPUT_MIN { "met" } else { "MISSED" };
    println!(
        "  throughput: {share:.2} ({:.0} / {:.0} a second, target >= {THROUGHPUT_MIN}: {verdict})",
        rate(&elapsed.ours),
        rate(&elapsed.bare)
    );
    report("  99th percentile", p99.ours.median(), p99.bare.median(), P99_MAX);
    Ok(())
}

#[derive(Debug, Default)]
struct Sides {
    ours: Samples,
    bare: Samples,
}

impl Sides {
    fn push(&mut self, ours: std::time::Duration, bare: std::time::Duration) {
        self.ours.push(ours);
        self.bare.push(bare);
    }
}
