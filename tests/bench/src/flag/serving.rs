//! The flag service as it is shipped, with the kill-switch service beside it.

use std::sync::Arc;
use std::time::Duration;

use contracts::flag as pb;
use contracts::flag::evaluation_service_client::EvaluationServiceClient;
use contracts::flag::flag_service_client::FlagServiceClient;
use service_kit::bootstrap::{Dependencies, ServiceSettings as _};
use service_kit::clock::{Clock, real_now};
use service_kit::identity::claim;
use service_kit::{settings, shutdown};
use store::{Location, Store};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tonic::Request;

use crate::Error;
use crate::operator::PIPELINE;

pub(crate) const FLAG: &str = "flags/bench";
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves flags over the store at `location`. Signs of life of the ruleset are rare, so that they
/// are not measured.
pub(crate) async fn serve(location: &str) -> Result<(), Error> {
    let location = Location::parse(location)?;
    let store = Store::open(&location, Arc::new(real_now)).await?;
    let on = || Dependencies { store: store.clone(), clock: Clock::system() };
    let (_trigger, end) = shutdown::channel();
    let kills = TcpListener::bind("127.0.0.1:0").await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut settings: flag_service::Settings =
        settings::defaults(flag_service::Settings::DEFAULTS)?;
    settings.peers.killswitch = format!("http://{}", kills.local_addr()?);
    settings.evaluation.heartbeat = "60s".to_owned();
    println!("http://{} {}", listener.local_addr()?, settings.peers.killswitch);
    let of_kills = settings::defaults(killswitch_service::Settings::DEFAULTS)?;
    tokio::try_join!(
        killswitch_service::serve(of_kills, on(), kills, end.clone()),
        flag_service::serve(settings, on(), listener, end),
    )?;
    Ok(())
}

/// Creates the flag of the benchmark, and waits until it is evaluated as it is defined.
pub(crate) async fn prepare(address: &str, limits: Option<pb::UploadLimits>) -> Result<(), Error> {
    let mut flags = FlagServiceClient::connect(address.to_owned()).await?;
    let definition = pb::FlagDefinition {
        enabled: true,
        percentage_basis_points: 1_000, // The most that a flag may begin with.
        allowlist: vec!["canary-ws-*".to_owned()],
        ..pb::FlagDefinition::default()
    };
    let flag = pb::Flag {
        pipeline: PIPELINE.to_owned(),
        definition: Some(definition),
        limits,
        ..pb::Flag::default()
    };
    let request = pb::CreateFlagRequest {
        flag_id: "bench".to_owned(),
        flag: Some(flag),
        reason: "to be measured".to_owned(),
        ..pb::CreateFlagRequest::default()
    };
    flags.create_flag(asked(request)?).await?;
    let mut evaluations = EvaluationServiceClient::connect(address.to_owned()).await?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = evaluations.evaluate_flag(question("canary-ws-1")).await?.into_inner();
        if answer.reason() == pb::Reason::Allowlisted {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("the flag is answered with {:?}", answer.reason()).into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) fn question(workspace: &str) -> pb::EvaluateFlagRequest {
    pb::EvaluateFlagRequest {
        name: FLAG.to_owned(),
        workspace_id: workspace.to_owned(),
        attributes: None,
    }
}

pub(crate) fn asked<T>(message: T) -> Result<Request<T>, Error> {
    let mut request = Request::new(message);
    claim(request.metadata_mut(), "bench", &[]).map_err(|_e| "a malformed name")?;
    Ok(request)
}
