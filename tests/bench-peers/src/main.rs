//! What an evaluation in the SDK costs beside the engine of Unleash's SDKs, in one run:
//! `cargo run --release --manifest-path tests/bench-peers/Cargo.toml --target-dir target`.
//!
//! The same flag on both sides: ten workspaces by name, none of the enterprises, and a tenth of the
//! others, as D7 has it in its second phase. Both are asked through the call that their users make,
//! for the same workspaces in the same order; they take turns, and the median turn of each is
//! compared. Ours looks at the kill switch and at the clock besides; theirs does not.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use client::{Client, Context, FlagOptions, FlagWatch, Options};
use contracts::flag as pb;
use contracts::flag::flag_service_client::FlagServiceClient;
use serde_json::json;
use service_kit::bootstrap::{Dependencies, ServiceSettings as _};
use service_kit::clock::{Clock, real_now};
use service_kit::{identity, settings, shutdown};
use store::{Location, Store};
use tokio::net::TcpListener;
use unleash_yggdrasil::{Context as UnleashContext, EngineState, UpdateMessage};

type Error = Box<dyn std::error::Error + Send + Sync>;

const FLAG: &str = "bench";
const PIPELINE: &str = "bench";
const LISTED: usize = 10;
const WORKSPACES: usize = 1_000;
const EVALUATIONS: usize = 200_000;
const TURNS: usize = 21;
const PATIENCE: Duration = Duration::from_secs(30);
const TIMES_MIN: f64 = 5.0;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let dir = tempfile::tempdir()?;
    let (flags, _client) = ours(&format!("embedded:{}", dir.path().display())).await?;
    let unleash = unleash()?;
    for (what, listed) in [("half of them by name", 2), ("by percentage alone", 0)] {
        let names: Vec<String> = (0..WORKSPACES).map(|number| name(number, listed)).collect();
        compare(what, &flags, &unleash, &names).await?;
    }
    Ok(())
}

/// Every `listed`th workspace is one of those that the flag names; none where it is 0.
fn name(number: usize, listed: usize) -> String {
    if number.checked_rem(listed) == Some(0) {
        format!("canary-{}", number % LISTED)
    } else {
        format!("ws-{number}")
    }
}

async fn compare(
    what: &str,
    flags: &FlagWatch,
    unleash: &EngineState,
    names: &[String],
) -> Result<(), Error> {
    let contexts: Result<Vec<_>, Error> =
        names.iter().map(|name| Ok(Context::new(name.parse()?))).collect();
    let contexts = contexts?;
    let of_unleash =
        |name: &String| UnleashContext { user_id: Some(name.clone()), ..UnleashContext::default() };
    let of_unleash: Vec<_> = names.iter().map(of_unleash).collect();
    let (mut own, mut peer) = (Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        let (mut on, started) = (0_usize, Instant::now());
        for context in contexts.iter().cycle().take(EVALUATIONS) {
            on +=
                usize::from(flags.boolean(black_box(FLAG), false, black_box(context)).await.value);
        }
        let ours = started.elapsed();
        let (mut unleash_on, started) = (0_usize, Instant::now());
        for context in of_unleash.iter().cycle().take(EVALUATIONS) {
            let enabled = unleash.is_enabled(black_box(FLAG), black_box(context), &None);
            unleash_on += usize::from(enabled);
        }
        let theirs = started.elapsed();
        // They hash differently, so that only about as many are on.
        if on == 0 || on.abs_diff(unleash_on) > EVALUATIONS / 20 {
            return Err(format!("not the same flag: {on} and {unleash_on} were on").into());
        }
        if turn > 0 {
            own.push(ours);
            peer.push(theirs);
        }
    }
    own.sort();
    peer.sort();
    let (own, peer) = (own[TURNS / 2], peer[TURNS / 2]);
    let times = peer.as_secs_f64() / own.as_secs_f64();
    let verdict = if times >= TIMES_MIN { "met" } else { "MISSED" };
    let each = |turn: Duration| turn.as_nanos() / EVALUATIONS as u128;
    println!(
        "{what}: {times:.2} times the evaluations of unleash-yggdrasil ({} ns / {} ns each, \
         target >= {TIMES_MIN}: {verdict})",
        each(own),
        each(peer)
    );
    Ok(())
}

/// The services as they are shipped, and the SDK that follows them.
async fn ours(location: &str) -> Result<(Arc<FlagWatch>, Client), Error> {
    let store = Store::open(&Location::parse(location)?, Arc::new(real_now)).await?;
    let on = || Dependencies { store: store.clone(), clock: Clock::system() };
    let kills = TcpListener::bind("127.0.0.1:0").await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (killswitch_address, flag_address) =
        (format!("http://{}", kills.local_addr()?), format!("http://{}", listener.local_addr()?));
    let mut settings: flag_service::Settings =
        settings::defaults(flag_service::Settings::DEFAULTS)?;
    settings.peers.killswitch = killswitch_address.clone();
    settings.evaluation.heartbeat = "60s".to_owned(); // Signs of life are not measured.
    let (trigger, end) = shutdown::channel();
    let of_kills = settings::defaults(killswitch_service::Settings::DEFAULTS)?;
    tokio::spawn(killswitch_service::serve(of_kills, on(), kills, end.clone()));
    tokio::spawn(flag_service::serve(settings, on(), listener, end));
    std::mem::forget(trigger); // They serve as long as this process lives.

    create(&flag_address).await?;
    let client = Client::start(Options {
        flag_address,
        killswitch_address,
        ..Options::new(PIPELINE, FLAG)
    })?;
    let heartbeat = Duration::from_secs(60);
    let flags = client.watch_flags(FlagOptions { heartbeat, ..FlagOptions::default() })?;
    client.kills().first_word().await;
    flags.first_word().await;
    Ok((flags, client))
}

async fn create(address: &str) -> Result<(), Error> {
    let definition = pb::FlagDefinition {
        enabled: true,
        percentage_basis_points: 1_000,
        allowlist: (0..LISTED).map(|number| format!("canary-{number}")).collect(),
        denylist: vec!["enterprise-*".to_owned()],
        ..pb::FlagDefinition::default()
    };
    let flag = pb::Flag {
        pipeline: PIPELINE.to_owned(),
        definition: Some(definition),
        ..pb::Flag::default()
    };
    let mut request = tonic::Request::new(pb::CreateFlagRequest {
        flag_id: FLAG.to_owned(),
        flag: Some(flag),
        reason: "to be measured".to_owned(),
        ..pb::CreateFlagRequest::default()
    });
    identity::claim(request.metadata_mut(), "bench", &[]).map_err(|_e| "a malformed name")?;
    let deadline = Instant::now() + PATIENCE;
    let mut client = loop {
        match FlagServiceClient::connect(address.to_owned()).await {
            Ok(client) => break client,
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    client.create_flag(request).await?;
    Ok(())
}

/// The same flag as Unleash has it: strategies, of which one suffices.
fn unleash() -> Result<EngineState, Error> {
    let listed: Vec<_> = (0..LISTED).map(|number| format!("canary-{number}")).collect();
    let by_name = json!({"contextName": "userId", "operator": "IN", "values": listed});
    let no_enterprise = json!({
        "contextName": "userId", "operator": "STR_STARTS_WITH", "values": ["enterprise-"],
        "inverted": true,
    });
    let share = json!({"rollout": "10", "stickiness": "userId", "groupId": FLAG});
    let flag = json!({
        "name": FLAG,
        "enabled": true,
        "strategies": [
            {"name": "default", "constraints": [no_enterprise, by_name]},
            {
                "name": "flexibleRollout", "parameters": share,
                "constraints": [no_enterprise],
            },
        ],
    });
    let message: UpdateMessage = serde_json::from_value(json!({"version": 2, "features": [flag]}))?;
    let engine = EngineState::default();
    match engine.take_state(message) {
        None => Ok(engine),
        Some(warnings) => Err(format!("Unleash warns: {warnings:?}").into()),
    }
}
