//! An admission that takes a unit of a daily quota, on Redis.

use std::sync::Arc;

use bytes::Bytes;
use contracts::flag as pb;
use prost::Message as _;
use redis::aio::MultiplexedConnection;
use test_kit::RedisServer;
use tonic::transport::Channel;

use super::echo::{self, Asked};
use super::load::{Turn, connect, turn};
use super::raw::call;
use super::serving::{FLAG, prepare};
use crate::Error;
use crate::measure::{Samples, report_turns};
use crate::operator::PIPELINE;
use crate::process::Server;

const ADMIT: &str = "/softlaunch.flag.v1.AdmissionService/AdmitUpload";
const WORKSPACES: usize = 100;
const TURNS: usize = 41;
const CALLS: usize = 2_560;
const TARGET: f64 = 1.2;
const UPLOADS_PER_DAY: i32 = 1_000_000;

/// Prints what an admission costs beside a bare server that runs the same script, both on one
/// Redis, with keys and answers as long as each other's; and how often that was asked. What the bare
/// server is asked is some thirty bytes longer: the key is in it, and nothing is left to it to make.
pub(crate) async fn beside_a_bare_evalsha() -> Result<(), Error> {
    let redis = RedisServer::start().await;
    let server = Server::start(&["flag", &redis.url()]).await?;
    let limits =
        pb::UploadLimits { uploads_per_day_count: UPLOADS_PER_DAY, file_size_max_bytes: 1 << 20 };
    prepare(&server.address, Some(limits)).await?;
    let bare = Server::start(&["echo", &redis.url()]).await?;
    let (ours, scripts) = (connect(&server.address).await?, connect(&bare.address).await?);
    let client = redis::Client::open(redis.url())?;
    let mut watching = client.get_multiplexed_async_connection().await?;
    // Nothing is measured of the first: it says how long an answer is.
    let answer = call(ours[0].clone(), ADMIT, upload(TURNS + 1, 0)).await?;
    let answer_size = u32::try_from(answer.len())?.saturating_sub(2); // Tag and length of the bytes.
    let (mut own, mut other, mut asked_of_redis) = (Samples::default(), Samples::default(), 0);
    for number in 0..=TURNS {
        let before = scripts_run(&mut watching).await?;
        let uploads = (0..CALLS).map(|number_of| upload(number, number_of)).collect();
        let admitted = asked(&ours, ADMIT, uploads, is_admitted).await?;
        asked_of_redis = scripts_run(&mut watching).await? - before;
        let units = (0..CALLS).map(|number_of| unit(number, number_of, answer_size)).collect();
        let taken = asked(&scripts, echo::PATH, units, |_| Ok(())).await?;
        if number > 0 {
            own.push(admitted.elapsed);
            other.push(taken.elapsed);
        }
    }
    println!("{CALLS} admissions with a quota ran {asked_of_redis} scripts on Redis");
    report_turns("Admit with a quota / a bare EVALSHA", &own, &other, TARGET);
    Ok(())
}

/// The question whether an upload may start.
fn upload(turn: usize, call: usize) -> Bytes {
    let request = pb::AdmitUploadRequest {
        name: FLAG.to_owned(),
        workspace_id: format!("canary-ws-{}", call % WORKSPACES),
        upload_id: format!("upload-{turn}-{call}"),
        file_size_bytes: 1_000,
        attributes: None,
    };
    request.encode_to_vec().into()
}

/// The question for a unit of a quota, with a key as long as ours.
fn unit(turn: usize, call: usize, answer_size: u32) -> Bytes {
    let workspace = format!("canary-ws-{}", call % WORKSPACES);
    let asked = Asked {
        payload: format!("upload-{turn}-{call}").into_bytes(),
        answer_size,
        quota: format!("{{softlaunch:{PIPELINE}}}:quota:{workspace}:2026-01-31"),
    };
    asked.encode_to_vec().into()
}

async fn asked(
    channels: &[Channel],
    path: &'static str,
    questions: Vec<Bytes>,
    check: impl Fn(Bytes) -> Result<(), Error> + Copy + Send + 'static,
) -> Result<Turn, Error> {
    let questions = Arc::new(questions);
    turn(channels, CALLS, move |channel, number| {
        let question = questions[number].clone();
        async move {
            let answer = call(channel, path, question).await?;
            check(answer)
        }
    })
    .await
}

fn is_admitted(answer: Bytes) -> Result<(), Error> {
    let admission = pb::AdmitUploadResponse::decode(answer)?.admission();
    if admission == pb::Admission::Admit {
        return Ok(());
    }
    Err(format!("an upload is answered with {admission:?}").into())
}

/// How many scripts Redis has run so far.
async fn scripts_run(redis: &mut MultiplexedConnection) -> Result<u64, Error> {
    let text: String = redis::cmd("INFO").arg("commandstats").query_async(redis).await?;
    let lines = text
        .lines()
        .filter(|line| line.starts_with("cmdstat_evalsha:") || line.starts_with("cmdstat_eval:"));
    let calls = lines.filter_map(|line| line.split_once("calls=")?.1.split(',').next());
    Ok(calls.filter_map(|calls| calls.parse::<u64>().ok()).sum())
}
