//! What an evaluation in the SDK costs beside the engine of Unleash's SDKs, in one run:
//! `cargo run --release --manifest-path tests/bench-peers/Cargo.toml --target-dir target`.
//!
//! The same flags on both sides: that of D7's second phase, on for a tenth of all but the enterprises,
//! and the same with ten workspaces by name, for whom half of the questions are. Both are asked for the same
//! workspaces in the same order, for a boolean, as somebody asks who evaluates many: theirs through
//! `is_enabled`, ours through a thread's `Evaluator` of the flag, and for comparison through the
//! `FlagWatch` that all threads share, by the flag's name and with reasons. They take turns, and
//! what is printed is the median of the turns' ratios. Ours looks at the kill switch
//! and at the clock besides; theirs does not.

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

const PIPELINE: &str = "ingestion_v2";
/// Flags, and how many workspaces each lists by name.
const FLAGS: [(&str, usize); 2] = [("ingestion_v2_enabled", 0), ("ingestion_v2_listed", LISTED)];
const LISTED: usize = 10;
const WORKSPACES: usize = 1_000;
const EVALUATIONS: usize = 50_000;
const TURNS: usize = 101;
const PATIENCE: Duration = Duration::from_secs(30);
const TIMES_MIN: f64 = 5.0;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let dir = tempfile::tempdir()?;
    let (flags, _client) = ours(&format!("embedded:{}", dir.path().display())).await?;
    let unleash = unleash()?;
    for (flag, listed) in FLAGS {
        let names: Vec<String> = (0..WORKSPACES).map(|number| name(number, listed)).collect();
        compare(flag, &flags, &unleash, &names).await?;
    }
    Ok(())
}

/// Of a flag that lists some by name every other workspace is one of these.
fn name(number: usize, listed: usize) -> String {
    match number.checked_rem(listed) {
        Some(one) if one % 2 == 0 => format!("canary-{one}"),
        _ => format!("ws-{number}"),
    }
}

async fn compare(
    flag: &str,
    flags: &Arc<FlagWatch>,
    unleash: &EngineState,
    names: &[String],
) -> Result<(), Error> {
    let contexts: Result<Vec<_>, Error> =
        names.iter().map(|name| Ok(Context::new(name.parse()?))).collect();
    let contexts = contexts?;
    let of_unleash =
        |name: &String| UnleashContext { user_id: Some(name.clone()), ..UnleashContext::default() };
    let of_unleash: Vec<_> = names.iter().map(of_unleash).collect();
    let (mut own, mut shared, mut peer) = (Vec::new(), Vec::new(), Vec::new());
    let mut evaluator = flags.evaluator(flag);
    for turn in 0..=TURNS {
        let (mut on, started) = (0_usize, Instant::now());
        for context in contexts.iter().cycle().take(EVALUATIONS) {
            on += usize::from(evaluator.boolean_value(false, black_box(context)));
        }
        let ours = started.elapsed();
        let (mut shared_on, started) = (0_usize, Instant::now());
        for context in contexts.iter().cycle().take(EVALUATIONS) {
            let details = flags.boolean(black_box(flag), false, black_box(context)).await;
            shared_on += usize::from(details.value);
        }
        let of_watch = started.elapsed();
        let (mut unleash_on, started) = (0_usize, Instant::now());
        for context in of_unleash.iter().cycle().take(EVALUATIONS) {
            let enabled = unleash.is_enabled(black_box(flag), black_box(context), &None);
            unleash_on += usize::from(enabled);
        }
        let theirs = started.elapsed();
        // They hash differently, so that only about as many are on.
        if on == 0 || on != shared_on || on.abs_diff(unleash_on) > EVALUATIONS / 20 {
            let counts = format!("{on}, {shared_on} and {unleash_on} were on");
            return Err(format!("not the same flag: {counts}").into());
        }
        if turn > 0 {
            own.push(ours);
            shared.push(of_watch);
            peer.push(theirs);
        }
    }
    // Those of one turn are beside each other: the machine is not equally fast in all of them.
    let times = |turns: &[Duration]| {
        let beside = turns.iter().zip(&peer);
        median(beside.map(|(turn, theirs)| theirs.as_secs_f64() / turn.as_secs_f64()).collect())
    };
    let each = |turns: &[Duration]| {
        let nanos = median(turns.iter().map(Duration::as_secs_f64).collect()) * 1e9;
        nanos / EVALUATIONS as f64
    };
    let verdict = if times(&own) >= TIMES_MIN { "met" } else { "MISSED" };
    println!(
        "{flag}: {:.2} times the evaluations of unleash-yggdrasil ({:.1} ns / {:.1} ns each, \
         target >= {TIMES_MIN}: {verdict}); shared by all threads {:.2} times ({:.1} ns)",
        times(&own),
        each(&own),
        each(&peer),
        times(&shared),
        each(&shared)
    );
    Ok(())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
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

    for (flag, listed) in FLAGS {
        create(&flag_address, flag, listed).await?;
    }
    let client = Client::start(Options {
        flag_address,
        killswitch_address,
        ..Options::new(PIPELINE, FLAGS[0].0)
    })?;
    let heartbeat = Duration::from_secs(60);
    let flags = client.watch_flags(FlagOptions { heartbeat, ..FlagOptions::default() })?;
    client.kills().first_word().await;
    flags.first_word().await;
    Ok((flags, client))
}

async fn create(address: &str, flag: &str, listed: usize) -> Result<(), Error> {
    let definition = pb::FlagDefinition {
        enabled: true,
        percentage_basis_points: 1_000,
        allowlist: canaries(listed),
        denylist: vec!["enterprise-*".to_owned()],
        ..pb::FlagDefinition::default()
    };
    let wire = pb::Flag {
        pipeline: PIPELINE.to_owned(),
        definition: Some(definition),
        ..pb::Flag::default()
    };
    let mut request = tonic::Request::new(pb::CreateFlagRequest {
        flag_id: flag.to_owned(),
        flag: Some(wire),
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

fn canaries(listed: usize) -> Vec<String> {
    (0..listed).map(|number| format!("canary-{number}")).collect()
}

/// The same flags as Unleash has them: strategies, of which one suffices.
fn unleash() -> Result<EngineState, Error> {
    let no_enterprise = json!({
        "contextName": "userId", "operator": "STR_STARTS_WITH", "values": ["enterprise-"],
        "inverted": true,
    });
    let features = FLAGS.map(|(flag, listed)| {
        let share = json!({"rollout": "10", "stickiness": "userId", "groupId": flag});
        let share = json!({
            "name": "flexibleRollout", "parameters": share, "constraints": [no_enterprise],
        });
        let by_name =
            json!({"contextName": "userId", "operator": "IN", "values": canaries(listed)});
        let by_name = json!({"name": "default", "constraints": [no_enterprise, by_name]});
        let strategies = if listed == 0 { vec![share] } else { vec![by_name, share] };
        json!({"name": flag, "enabled": true, "strategies": strategies})
    });
    let message: UpdateMessage =
        serde_json::from_value(json!({"version": 2, "features": features}))?;
    let engine = EngineState::default();
    match engine.take_state(message) {
        None => Ok(engine),
        Some(warnings) => Err(format!("Unleash warns: {warnings:?}").into()),
    }
}
