//! An evaluation in the SDK, where nobody is asked.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use client::{Client, Context, FlagOptions, FlagWatch, Options};
use contracts::flag as pb;
use contracts::flag::flag_history_service_client::FlagHistoryServiceClient;
use contracts::flag::flag_service_client::FlagServiceClient;
use tokio::time::Instant;

use super::serving::{asked, prepare};
use crate::Error;
use crate::measure::{Samples, report};
use crate::operator::PIPELINE;
use crate::process::Server;

const TURNS: usize = 21;
const EVALUATIONS: usize = 500_000;
const WORKSPACES: usize = 1_000;
const SHORT: usize = 10;
const LONG: usize = 100_000;
const FLAGS: usize = 10_000;
const PATIENCE: Duration = Duration::from_secs(60);
const FLAT_MAX: f64 = 1.3;

/// A service, and its flags as the SDK follows them.
struct Followed {
    server: Server,
    flags: Arc<FlagWatch>,
    _client: Client,
    _dir: tempfile::TempDir,
}

impl Followed {
    async fn start() -> Result<Self, Error> {
        let dir = tempfile::tempdir()?;
        let location = format!("embedded:{}", dir.path().display());
        let server = Server::start(&["flag", &location]).await?;
        let kills =
            server.beside.first().cloned().ok_or("a kill-switch service without an address")?;
        prepare(&server.address, None).await?;
        let client = Client::start(Options {
            flag_address: server.address.clone(),
            killswitch_address: kills,
            ..Options::new(PIPELINE, "bench")
        })?;
        // Its service is as quiet as can be, so that only evaluations are measured.
        let heartbeat = Duration::from_secs(60);
        let flags = client.watch_flags(FlagOptions { heartbeat, ..FlagOptions::default() })?;
        client.kills().first_word().await;
        flags.first_word().await;
        Ok(Self { server, flags, _client: client, _dir: dir })
    }

    /// Creates a flag with so many workspaces on its allowlist.
    async fn create(&self, id: &str, listed: usize) -> Result<(), Error> {
        let definition = pb::FlagDefinition {
            enabled: true,
            percentage_basis_points: 1_000,
            allowlist: (0..listed).map(|number| format!("canary-{number}")).collect(),
            ..pb::FlagDefinition::default()
        };
        let flag = pb::Flag {
            pipeline: PIPELINE.to_owned(),
            definition: Some(definition),
            ..pb::Flag::default()
        };
        let request = pb::CreateFlagRequest {
            flag_id: id.to_owned(),
            flag: Some(flag),
            reason: "to be measured".to_owned(),
            ..pb::CreateFlagRequest::default()
        };
        let mut flags = FlagServiceClient::connect(self.server.address.clone()).await?;
        flags.create_flag(asked(request)?).await?;
        self.until_known(id).await
    }

    /// Creates as many flags as the service takes.
    async fn fill(&self) -> Result<(), Error> {
        let flags: Vec<_> = (1..FLAGS - 1)
            .map(|number| format!(r#""other-{number}": {{"enabled": true, "percentage": 5}}"#))
            .collect();
        let request = pb::ImportFlagsRequest {
            form: pb::DocumentForm::D7.into(),
            document: format!("{{{}}}", flags.join(",")),
            pipeline: PIPELINE.to_owned(),
            reason: "to be measured".to_owned(),
            ..pb::ImportFlagsRequest::default()
        };
        let mut history = FlagHistoryServiceClient::connect(self.server.address.clone()).await?;
        history.import_flags(asked(request)?).await?;
        self.until_known(&format!("other-{}", FLAGS - 2)).await
    }

    async fn until_known(&self, id: &str) -> Result<(), Error> {
        let context = Context::new("ws-0".parse()?);
        let deadline = Instant::now() + PATIENCE;
        while self.flags.boolean(id, false, &context).await.error.is_some() {
            if Instant::now() > deadline {
                return Err(format!("the SDK was not told of flag `{id}`").into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Asks for `id` again and again, for one workspace after the other.
    async fn turn(&self, id: &str, asked: &[Context]) -> Result<Duration, Error> {
        let (mut on, started) = (0_usize, Instant::now());
        for context in asked.iter().cycle().take(EVALUATIONS) {
            let details = self.flags.boolean(black_box(id), false, black_box(context)).await;
            on += usize::from(details.value);
        }
        let elapsed = started.elapsed();
        // Every other workspace is listed, and of the others a tenth is on: or it was not evaluated.
        let expected = EVALUATIONS / 2..EVALUATIONS * 2 / 3;
        let why = || format!("flag `{id}` was on {on} times, expected {expected:?}");
        if expected.contains(&on) { Ok(elapsed) } else { Err(why().into()) }
    }
}

/// Workspaces, every other one on a list of so many.
fn workspaces(listed: usize) -> Result<Vec<Context>, Error> {
    let step = (listed / WORKSPACES).max(1);
    let name = |number: usize| match number % 2 {
        0 => format!("canary-{}", number * step % listed),
        _ => format!("ws-{number}"),
    };
    (0..WORKSPACES).map(|number| Ok(Context::new(name(number).parse()?))).collect()
}

/// Prints what an evaluation costs with the longest list beside a short one, and with as many flags
/// as there can be beside hardly any. That it allocates nothing is a test of the client.
pub(crate) async fn beside_a_short_list() -> Result<(), Error> {
    let (few, many) = (Followed::start().await?, Followed::start().await?);
    few.create("short", SHORT).await?;
    few.create("long", LONG).await?;
    many.create("short", SHORT).await?;
    many.fill().await?;
    let (in_short, in_long) = (workspaces(SHORT)?, workspaces(LONG)?);
    let (mut short, mut long, mut crowded) = <(Samples, Samples, Samples)>::default();
    for turn in 0..=TURNS {
        let took = (
            few.turn("short", &in_short).await?,
            few.turn("long", &in_long).await?,
            many.turn("short", &in_short).await?,
        );
        if turn > 0 {
            short.push(took.0);
            long.push(took.1);
            crowded.push(took.2);
        }
    }
    let each = short.median() / u32::try_from(EVALUATIONS)?;
    println!("evaluating in the SDK: {each:?} each");
    let what = format!("  {LONG} listed / {SHORT} listed");
    report(&what, long.median(), short.median(), FLAT_MAX);
    let what = format!("  {FLAGS} flags / 3 flags");
    report(&what, crowded.median(), short.median(), FLAT_MAX);
    Ok(())
}
