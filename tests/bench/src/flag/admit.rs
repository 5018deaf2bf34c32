//! An admission that takes a unit of a daily quota, on Redis.

use contracts::flag as pb;
use contracts::flag::admission_service_client::AdmissionServiceClient;
use redis::aio::MultiplexedConnection;
use test_kit::RedisServer;

use super::echo::{Asked, echo};
use super::load::{connect, turn};
use super::serving::{FLAG, asked, prepare};
use crate::Error;
use crate::measure::{Samples, report_turns};
use crate::process::Server;

const TURNS: usize = 41;
const CALLS: usize = 2_560;
const TARGET: f64 = 1.2;
const UPLOADS_PER_DAY: i32 = 1_000_000;

/// Prints what an admission costs beside a bare server that runs the same script, both on one
/// Redis; and how often that was asked.
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
    let (mut own, mut other, mut asked_of_redis) = (Samples::default(), Samples::default(), 0);
    for number in 0..=TURNS {
        let before = scripts_run(&mut watching).await?;
        let admitted = turn(&ours, CALLS, move |channel, call| async move {
            let request = pb::AdmitUploadRequest {
                name: FLAG.to_owned(),
                workspace_id: format!("canary-ws-{}", call % 100),
                upload_id: format!("upload-{number}-{call}"),
                file_size_bytes: 1_000,
                attributes: None,
            };
            let answer = AdmissionServiceClient::new(channel).admit_upload(asked(request)?).await?;
            let admission = answer.into_inner().admission();
            if admission == pb::Admission::Admit {
                Ok(())
            } else {
                Err(format!("an upload is answered with {admission:?}").into())
            }
        });
        let admitted = admitted.await?;
        asked_of_redis = scripts_run(&mut watching).await? - before;
        let taken = turn(&scripts, CALLS, move |channel, call| async move {
            let asked = Asked {
                payload: format!("upload-{number}-{call}").into_bytes(),
                answer_size: 60,
                quota: format!("{{bench}}:{}", call % 100),
            };
            echo(channel, asked).await.map(drop)
        });
        let taken = taken.await?;
        if number > 0 {
            own.push(admitted.elapsed);
            other.push(taken.elapsed);
        }
    }
    println!("{CALLS} admissions with a quota ran {asked_of_redis} scripts on Redis");
    report_turns("Admit with a quota / a bare EVALSHA", &own, &other, TARGET);
    Ok(())
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
